"""Tickets of official accounts at the WeChat look-alike, over real HTTP and on an injected clock."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest
import requests

from tokenworker.credential import fingerprint
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, InputError, Rules, Sandbox

#: An even hour of the wall clock, and half an hour more.
SOME_TIME = 1_800_000_000.0 // 7200 * 7200 + 1800
CLAIM = {"grant_type": "client_credential", "appid": DEMO_APPID, "secret": DEMO_SECRET}
OTHER = "wx00000000000000ff"
NAMES = {"jsapi": "jsapi_ticket", "wx_card": "wx_card_ticket", "2": "sdk_ticket"}


class Owner:
    """The owner of the demo account, who holds the sandbox's clock and calls it over HTTP."""

    def __init__(self, rules: Rules) -> None:
        self.now = SOME_TIME
        self.sandbox = Sandbox(rules, clock=lambda: self.now)
        self._http = requests.Session()
        self._http.trust_env = False

    def __enter__(self) -> Self:
        self.sandbox.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self.sandbox.__exit__()

    def call(self, path: str, method: str = "GET", **query: str) -> dict[str, Any]:
        url = f"{self.sandbox.url}/cgi-bin/{path}"
        answer: dict[str, Any] = self._http.request(method, url, params=query, timeout=2).json()
        return answer

    def control(self, path: str, **payload: Any) -> requests.Response:
        return self._http.post(f"{self.sandbox.url}/sandbox/{path}", json=payload, timeout=2)

    def shown(self, who: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.get(f"{self.sandbox.url}/sandbox/accounts/{who}", timeout=2).json()
        return answer

    def token(self, **changes: str) -> str:
        return str(self.call("token", **{**CLAIM, **changes})["access_token"])

    def answer(self, token: str | None = None, kind: str = "jsapi", method: str = "GET") -> dict[str, Any]:
        given = self.token() if token is None else token
        return self.call("ticket/getticket", method, access_token=given, type=kind)

    def ticket(self, kind: str = "jsapi", token: str | None = None) -> str:
        return str(self.answer(token, kind)["ticket"])

    def word(self, value: str) -> str:
        return self.sandbox.verdict(value).verdict


@pytest.fixture
def start() -> Iterator[Callable[..., Owner]]:
    owners: list[Owner] = []

    def start(**rules: Any) -> Owner:
        owners.append(Owner(Rules(**rules)).__enter__())
        return owners[-1]

    yield start
    for owner in owners:
        owner.__exit__()


@pytest.fixture
def owner(start: Callable[..., Owner]) -> Owner:
    return start()


# The answer


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_ticket_comes_with_errcode_0_and_86_characters(owner: Owner, method: str) -> None:
    answer = owner.answer(method=method)
    assert set(answer) == {"errcode", "errmsg", "ticket", "expires_in"}
    assert (answer["errcode"], answer["errmsg"], answer["expires_in"]) == (0, "ok", 7200)
    assert re.fullmatch(r"[A-Za-z0-9_-]{86}", answer["ticket"])


def test_each_type_is_a_ticket_of_its_own(owner: Owner) -> None:
    assert len({owner.ticket(kind) for kind in NAMES}) == 3


def test_each_account_has_tickets_of_its_own(owner: Owner) -> None:
    owner.sandbox.add_account(OTHER, "s3cret")
    token = owner.token(appid=OTHER, secret="s3cret")
    assert owner.ticket() != owner.ticket(token=token)


def test_tokens_of_both_endpoints_fetch_the_same_ticket(owner: Owner) -> None:
    claim = (DEMO_APPID, DEMO_SECRET, "client_credential", "127.0.0.1")
    stable = owner.sandbox.platform.mint_stable(*claim).access_token
    assert owner.ticket(token=stable) == owner.ticket()


# Windows


def test_a_repeat_within_the_window_is_the_same_ticket_and_says_a_whole_life_again(owner: Owner) -> None:
    ticket = owner.ticket()
    owner.now += 7199
    assert owner.answer()["ticket"] == ticket
    assert owner.answer()["expires_in"] == 7200
    owner.now += 1
    assert owner.ticket() != ticket


@pytest.mark.parametrize(
    ("seconds", "word"), [(7199, "current"), (7200, "overlap"), (14_399, "overlap"), (14_400, "expired")]
)
def test_a_ticket_is_accepted_in_its_window_and_the_next(owner: Owner, seconds: float, word: str) -> None:
    ticket = owner.ticket()
    owner.now += seconds
    assert owner.word(ticket) == word


def test_a_new_ticket_does_not_kill_the_old_one(owner: Owner) -> None:
    old = owner.ticket()
    owner.now += 7200
    new = owner.ticket()
    assert (owner.word(old), owner.word(new)) == ("overlap", "current")


def test_windows_may_begin_at_even_hours(start: Callable[..., Owner]) -> None:
    owner = start(ticket_windows_aligned=True)
    ticket = owner.ticket()
    owner.now += 5399
    assert owner.answer()["ticket"] == ticket
    owner.now += 1
    assert owner.ticket() != ticket
    assert owner.word(ticket) == "overlap"


def test_each_call_may_make_a_fresh_ticket(start: Callable[..., Owner]) -> None:
    owner = start(ticket_fresh_each_call=True)
    old, new = owner.ticket(), owner.ticket()
    assert (owner.word(old), owner.word(new)) == ("overlap", "current")


def test_a_ticket_may_die_with_its_window(start: Callable[..., Owner]) -> None:
    owner = start(ticket_dies_at_window_end=True)
    ticket = owner.ticket()
    owner.now += 7199
    assert owner.word(ticket) == "current"
    owner.now += 1
    assert owner.word(ticket) == "expired"


def test_a_ticket_lives_on_when_the_token_that_fetched_it_dies(owner: Owner) -> None:
    ticket = owner.ticket()
    owner.sandbox.revoke()
    assert owner.word(ticket) == "current"
    assert owner.ticket() == ticket


def test_a_ticket_may_die_with_the_token_that_fetched_it(start: Callable[..., Owner]) -> None:
    owner = start(ticket_dies_with_token=True)
    ticket = owner.ticket()
    owner.sandbox.revoke()
    assert owner.word(ticket) == "superseded"
    assert owner.word(owner.ticket()) == "current"


def test_expires_in_may_count_down(start: Callable[..., Owner]) -> None:
    owner = start(ticket_says_remaining=True)
    owner.ticket()
    owner.now += 7000
    assert owner.answer()["expires_in"] == 200


def test_windows_are_scaled_like_all_durations(start: Callable[..., Owner]) -> None:
    owner = start(life=72)
    ticket = owner.ticket()
    owner.now += 72
    assert owner.answer()["expires_in"] == 72
    assert owner.word(ticket) == "overlap"


# Refusals


def test_missing_unknown_superseded_and_expired_tokens_are_told_apart(owner: Owner) -> None:
    old, new = owner.token(), owner.token()
    owner.now += 300
    errcodes = [owner.answer(token)["errcode"] for token in ("", "made-up", old)]
    owner.now += 6900
    assert [*errcodes, owner.answer(new)["errcode"]] == [41001, 40001, 40001, 42001]


def test_a_ticket_is_no_token(owner: Owner) -> None:
    assert owner.answer(owner.ticket())["errcode"] == 40001
    assert owner.call("get_api_domain_ip", access_token=owner.ticket())["errcode"] == 40001


@pytest.mark.parametrize("kind", ["", "sdk", "agent_config"])
def test_a_type_that_there_is_not_is_40097(owner: Owner, kind: str) -> None:
    assert owner.answer(kind=kind)["errcode"] == 40097


def test_the_errcode_of_a_wrong_type_may_be_another(start: Callable[..., Owner]) -> None:
    assert start(ticket_type_errcode=40001).answer(kind="sdk")["errcode"] == 40001


def test_a_mini_program_has_no_tickets(owner: Owner) -> None:
    owner.sandbox.add_account(OTHER, "s3cret", mini_program=True)
    token = owner.token(appid=OTHER, secret="s3cret")
    assert [owner.answer(token, kind)["errcode"] for kind in NAMES] == [48001] * 3


def test_the_day_s_quota_is_10000_for_all_types_together(start: Callable[..., Owner]) -> None:
    assert Rules().ticket_limit == 10_000
    owner = start(ticket_limit=2)
    assert [owner.answer(kind=kind)["errcode"] for kind in NAMES] == [0, 0, 45009]
    owner.now += 86_400
    assert owner.answer()["errcode"] == 0
    owner.sandbox.reset()
    assert [owner.answer(kind=kind)["errcode"] for kind in NAMES] == [0, 0, 45009]


# Control


@pytest.mark.parametrize("kind", NAMES)
def test_a_verdict_says_whose_a_ticket_is_and_which(owner: Owner, kind: str) -> None:
    verdict = owner.control("verdict", value=owner.ticket(kind)).json()
    assert verdict == {"verdict": "current", "appid": DEMO_APPID, "seconds_left": 14_400, "name": NAMES[kind]}


def test_a_verdict_on_half_a_character_is_a_400(owner: Owner) -> None:
    assert owner.control("verdict", value="\ud800").status_code == 400


def test_tickets_are_counted_by_name_and_apart_from_tokens(owner: Owner) -> None:
    token = owner.token()
    ticket = owner.ticket(token=token)
    owner.answer(token)
    owner.sandbox.fault("errcode", errcode=45011, path="getticket")
    assert owner.answer(token)["errcode"] == 45011
    owner.sandbox.revoke()
    assert owner.answer(token)["errcode"] == 40001
    counts = owner.shown(DEMO_APPID)["by_name"]
    assert counts["jsapi_ticket"] == {"fetches": 4, "minted": 1, "forced": 0, "errors": 1, "faults": 1}
    assert (counts["access_token"]["fetches"], counts["wx_card_ticket"]["fetches"]) == (1, 0)
    assert owner.sandbox.counts(DEMO_APPID, "jsapi_ticket").fetches == 4
    assert owner.sandbox.counts().fetches == 1
    (mint,) = owner.sandbox.mints(DEMO_APPID, "jsapi_ticket")
    assert (mint.fingerprint, mint.endpoint, mint.name) == (fingerprint(ticket), "getticket", "jsapi_ticket")
    assert len(owner.sandbox.mints()) == 1


def test_one_credential_is_revoked_by_name(owner: Owner) -> None:
    token, jsapi, card = owner.token(), owner.ticket(), owner.ticket("wx_card")
    assert owner.control(f"accounts/{DEMO_APPID}/revoke", name="jsapi_ticket").json() == {"revoked": 1}
    assert [owner.word(value) for value in (token, jsapi, card)] == ["superseded", "superseded", "current"]
    assert owner.ticket() != jsapi


def test_a_revoked_ticket_may_still_be_handed_out(owner: Owner) -> None:
    ticket = owner.ticket()
    owner.sandbox.revoke(DEMO_APPID, "jsapi_ticket", still_handed_out=True)
    assert owner.ticket() == ticket
    assert owner.word(ticket) == "superseded"


def test_a_name_that_there_is_not_is_a_400_that_lists_those_there_are(owner: Owner) -> None:
    answer = owner.control(f"accounts/{DEMO_APPID}/revoke", name="pay_ticket")
    assert answer.status_code == 400
    assert "jsapi_ticket" in answer.json()["error"]
    with pytest.raises(InputError):
        owner.sandbox.counts(DEMO_APPID, "pay_ticket")


def test_a_mini_program_is_added_over_http(owner: Owner) -> None:
    assert owner.control("accounts", appid=OTHER, secret="s3cret", mini_program=True).status_code == 200
    assert owner.answer(owner.token(appid=OTHER, secret="s3cret"))["errcode"] == 48001


def test_a_flap_refuses_a_working_token_at_getticket(owner: Owner) -> None:
    token = owner.token()
    owner.sandbox.fault("flap", path="getticket")
    assert owner.answer(token)["errcode"] == 40001
    assert owner.answer(token)["errcode"] == 0


def test_a_lost_answer_leaves_a_ticket_that_a_repeat_brings(owner: Owner) -> None:
    token = owner.token()
    owner.sandbox.fault("reset", path="getticket")
    with pytest.raises(requests.ConnectionError):
        owner.answer(token)
    (mint,) = owner.sandbox.mints(DEMO_APPID, "jsapi_ticket")
    assert fingerprint(owner.ticket(token=token)) == mint.fingerprint


def test_a_reset_forgets_tickets_only_if_asked(owner: Owner) -> None:
    ticket = owner.ticket()
    owner.sandbox.reset()
    assert owner.word(ticket) == "current"
    owner.sandbox.reset(tokens=True)
    assert owner.word(ticket) == "unknown"


def test_no_control_answer_shows_a_ticket(owner: Owner) -> None:
    ticket = owner.ticket()
    assert ticket not in str(owner.shown(DEMO_APPID))
    assert ticket not in repr(owner.sandbox.platform.live_tokens(DEMO_APPID, None))
