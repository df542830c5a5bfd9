"""WeCom's tokens and tickets at the look-alike, over real HTTP and on an injected clock."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
import requests

from tokenworker.credential import fingerprint
from tokenworker.sandbox import (
    DEMO_AGENT,
    DEMO_AGENT_SECRET,
    DEMO_APPID,
    DEMO_CORPID,
    DEMO_SECRET,
    Fault,
    InputError,
    Rules,
    Sandbox,
)

SOME_TIME = 1_800_000_000.0
APPLICATION = f"{DEMO_CORPID}/{DEMO_AGENT}"
CLAIM = {"corpid": DEMO_CORPID, "corpsecret": DEMO_AGENT_SECRET}
OTHER_CORP = "ww00000000000000ff"
CLAIM_OF_WECHAT = {"grant_type": "client_credential", "appid": DEMO_APPID, "secret": DEMO_SECRET}
TICKETS = {"get_jsapi_ticket": {}, "ticket/get": {"type": "agent_config"}}


class Corp:
    """The demo corp, which holds the sandbox's clock and calls it over HTTP."""

    def __init__(self, rules: Rules) -> None:
        self.now = SOME_TIME
        self.sandbox = Sandbox(rules, clock=lambda: self.now)

    def __enter__(self) -> Self:
        self.sandbox.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.__exit__()

    def send(self, method: str, path: str, **options: Any) -> Any:
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, f"{self.sandbox.url}/{path}", timeout=2, **options).json()

    def call(self, path: str, **query: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.send("GET", f"cgi-bin/{path}", params=query)
        return answer

    def control(self, path: str, **payload: Any) -> Any:
        return self.send("POST", f"sandbox/{path}", json=payload)

    def answer(self, **changes: str) -> dict[str, Any]:
        return self.call("gettoken", **{**CLAIM, **changes})

    def token(self, **changes: str) -> str:
        return str(self.answer(**changes)["access_token"])

    def probe(self, token: str) -> Any:
        return self.call("get_api_domain_ip", access_token=token)["errcode"]

    def ticket(self, path: str, token: str | None = None) -> dict[str, Any]:
        return self.call(path, access_token=self.token() if token is None else token, **TICKETS[path])

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Ask for a token and wait, without an end, for the answer."""
        url = urlsplit(self.sandbox.url)
        with socket.create_connection((url.hostname, url.port), timeout=2) as caller:
            caller.sendall(b"GET /cgi-bin/gettoken HTTP/1.1\r\nHost: sandbox\r\n\r\n")
            yield

    def second_agent(self) -> str:
        self.sandbox.add_application(DEMO_CORPID, 1000003, "s3cret")
        return self.token(corpsecret="s3cret")

    def word(self, value: str) -> str:
        return self.sandbox.verdict(value).verdict


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def start() -> Iterator[Callable[..., Corp]]:
    corps: list[Corp] = []

    def start(**rules: Any) -> Corp:
        corps.append(Corp(Rules(**rules)).__enter__())
        return corps[-1]

    yield start
    for corp in corps:
        corp.__exit__()


@pytest.fixture
def corp(start: Callable[..., Corp]) -> Corp:
    return start()


# gettoken


def test_a_token_comes_with_errcode_0(corp: Corp) -> None:
    answer = corp.answer()
    assert set(answer) == {"errcode", "errmsg", "access_token", "expires_in"}
    assert (answer["errcode"], answer["errmsg"], answer["expires_in"]) == (0, "ok", 7200)
    assert re.fullmatch(r"ww_[A-Za-z0-9_-]{211}", answer["access_token"])


def test_a_repeat_is_the_same_token_with_what_is_left_of_its_life(corp: Corp) -> None:
    token = corp.token()
    corp.now += 7199
    again = corp.answer()
    assert (again["access_token"], again["expires_in"]) == (token, 1)
    corp.now += 1
    assert corp.token() != token
    assert corp.word(token) == "expired"


def test_a_repeat_may_always_say_a_whole_life(start: Callable[..., Corp]) -> None:
    corp = start(wecom_says_remaining=False)
    corp.token()
    corp.now += 7000
    assert corp.answer()["expires_in"] == 7200


def test_parameters_that_nobody_knows_do_not_matter(corp: Corp) -> None:
    assert corp.answer(appid="x", neededText="y")["errcode"] == 0


def test_each_application_has_a_token_of_its_own(corp: Corp) -> None:
    assert corp.second_agent() != corp.token()


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"corpid": "", "corpsecret": ""}, 41004),
        ({"corpid": "nonsense", "corpsecret": ""}, 41004),
        ({"corpid": ""}, 41002),
        ({"corpid": "nonsense"}, 40013),
        ({"corpid": DEMO_APPID}, 40013),
        ({"corpsecret": "wrong"}, 40001),
        ({"corpsecret": "theirs"}, 40091),
    ],
)
def test_claims_are_checked_in_order(corp: Corp, changes: dict[str, str], errcode: int) -> None:
    corp.sandbox.add_application(OTHER_CORP, 1, "theirs")
    assert corp.answer(**changes)["errcode"] == errcode


def test_a_secret_of_another_corp_may_be_no_better_than_a_wrong_one(start: Callable[..., Corp]) -> None:
    corp = start(wecom_foreign_secret_errcode=40001)
    corp.sandbox.add_application(OTHER_CORP, 1, "theirs")
    assert corp.answer(corpsecret="theirs")["errcode"] == 40001


def test_a_disabled_application_gets_no_token(corp: Corp) -> None:
    corp.sandbox.add_application(DEMO_CORPID, DEMO_AGENT, disabled=True)
    assert corp.answer()["errcode"] == 50003
    assert corp.sandbox.counts(APPLICATION).errors == 1
    corp.sandbox.add_application(DEMO_CORPID, DEMO_AGENT, disabled=False)
    assert corp.answer()["errcode"] == 0


def test_refusals_are_worded_as_wecom_s(corp: Corp) -> None:
    errmsg = corp.answer(corpsecret="wrong")["errmsg"]
    expected = r"invalid credential, hint: \[1800000000\d{15}\], from ip: 127\.0\.0\.1, more info at https://\S+e=40001"
    assert re.fullmatch(expected, errmsg)


def test_2000_bad_calls_within_an_hour_ban_the_corp_for_an_hour(start: Callable[..., Corp]) -> None:
    assert Rules().wecom_bad_call_limit == 2000
    corp = start(wecom_bad_call_limit=2)
    corp.sandbox.add_application(OTHER_CORP, 1, "theirs")
    corp.answer(corpsecret="wrong")
    corp.now += 3600
    assert [corp.answer(corpsecret="wrong")["errcode"] for _ in range(3)] == [40001, 40001, 45009]
    assert corp.answer()["errcode"] == 45009
    assert corp.answer(corpid=OTHER_CORP, corpsecret="theirs")["errcode"] == 0
    corp.now += 3600
    assert corp.answer()["errcode"] == 0


def test_a_reset_lifts_the_ban(start: Callable[..., Corp]) -> None:
    corp = start(wecom_bad_call_limit=1)
    corp.answer(corpsecret="wrong")
    corp.sandbox.reset()
    assert corp.answer()["errcode"] == 0


def test_more_calls_at_a_time_than_there_may_be_are_45033(start: Callable[..., Corp]) -> None:
    corp = start(wecom_parallel_limit=2)
    corp.sandbox.fault("hang", seconds=None, times=2, path="gettoken")
    with corp.hold(), corp.hold():
        wait_until(lambda: not corp.sandbox.faults.describe())
        assert corp.answer()["errcode"] == 45033
    wait_until(lambda: corp.answer()["errcode"] == 0)


# Use


def test_missing_unknown_revoked_and_expired_tokens_are_told_apart(corp: Corp) -> None:
    revoked = corp.token()
    corp.sandbox.revoke(APPLICATION)
    token = corp.token()
    assert [corp.ticket("get_jsapi_ticket", each)["errcode"] for each in ("", "ww_x", revoked)] == [41001, 40014, 40014]
    assert corp.probe(token) == 0
    corp.now += 7200
    assert corp.probe(token) == 42001


def test_an_expired_token_may_be_40014(start: Callable[..., Corp]) -> None:
    corp = start(wecom_expired_errcode=40014)
    token = corp.token()
    corp.now += 7200
    assert corp.probe(token) == 40014


@pytest.mark.parametrize(("token", "errcode"), [("", 41001), ("ww_made-up", 40014), ("made-up", 40001)])
def test_the_path_that_both_have_answers_by_whose_token_it_looks_like(corp: Corp, token: str, errcode: int) -> None:
    assert corp.probe(token) == errcode


def test_the_path_that_both_have_says_errcode_0_to_wecom_only(corp: Corp) -> None:
    wechat = str(corp.call("token", **CLAIM_OF_WECHAT)["access_token"])
    assert set(corp.call("get_api_domain_ip", access_token=wechat)) == {"ip_list"}
    assert set(corp.call("get_api_domain_ip", access_token=corp.token())) == {"errcode", "errmsg", "ip_list"}


def test_neither_takes_the_other_s_token(corp: Corp) -> None:
    wechat, wecom = str(corp.call("token", **CLAIM_OF_WECHAT)["access_token"]), corp.token()
    assert corp.call("user/get", access_token=wecom)["errcode"] == 40001
    assert corp.call("ticket/getticket", access_token=wecom, type="jsapi")["errcode"] == 40001
    assert corp.call("agent/get", access_token=wechat, agentid=DEMO_AGENT)["errcode"] == 40014
    assert corp.ticket("get_jsapi_ticket", wechat)["errcode"] == 40014


@pytest.mark.parametrize(("agent", "errcode"), [(DEMO_AGENT, 0), (1000003, 301002), ("", 40056)])
def test_a_token_is_for_its_own_agent(corp: Corp, agent: object, errcode: int) -> None:
    corp.second_agent()
    assert corp.call("agent/get", access_token=corp.token(), agentid=agent)["errcode"] == errcode


def test_an_address_that_is_not_trusted_gets_a_token_but_cannot_use_it(corp: Corp) -> None:
    corp.sandbox.add_application(DEMO_CORPID, DEMO_AGENT, trusted_ips=["203.0.113.*"])
    token = corp.token()
    assert corp.probe(token) == 60020
    assert [corp.ticket(path, token)["errcode"] for path in TICKETS] == [60020, 60020]
    corp.sandbox.add_application(DEMO_CORPID, DEMO_AGENT, trusted_ips=["127.0.0.1"])
    assert corp.probe(token) == 0


def test_a_token_that_is_voided_early_is_followed_by_a_new_one(corp: Corp) -> None:
    token = corp.token()
    assert corp.control(f"accounts/{APPLICATION}/revoke") == {"revoked": 1}
    assert (corp.word(token), corp.probe(token)) == ("superseded", 40014)
    assert corp.probe(corp.token()) == 0


def test_a_voided_token_may_still_be_handed_out_until_its_time_is_over(corp: Corp) -> None:
    token = corp.token()
    corp.control(f"accounts/{APPLICATION}/revoke", still_handed_out=True)
    assert corp.token() == token
    assert corp.probe(token) == 40014
    corp.now += 7200
    assert corp.probe(corp.token()) == 0


def test_a_new_secret_begins_a_new_line_of_tokens(corp: Corp) -> None:
    token = corp.token()
    corp.sandbox.add_application(DEMO_CORPID, DEMO_AGENT, "another")
    assert corp.answer()["errcode"] == 40001
    assert corp.token(corpsecret="another") != token
    assert corp.word(token) == "overlap"


# Tickets


@pytest.mark.parametrize("path", TICKETS)
def test_a_ticket_is_the_same_for_a_window_and_accepted_for_two(corp: Corp, path: str) -> None:
    answer = corp.ticket(path)
    assert set(answer) == {"errcode", "errmsg", "ticket", "expires_in"}
    corp.now += 7199
    assert corp.ticket(path) == answer
    corp.now += 1
    assert corp.ticket(path)["ticket"] != answer["ticket"]
    assert corp.word(answer["ticket"]) == "overlap"


def test_the_corp_s_ticket_is_shared_and_the_agent_s_is_not(corp: Corp) -> None:
    tokens = [corp.token(), corp.second_agent()]
    shared, own = ([corp.ticket(path, token)["ticket"] for token in tokens] for path in TICKETS)
    assert shared[0] == shared[1]
    assert own[0] != own[1]


@pytest.mark.parametrize(("path", "option"), [("get_jsapi_ticket", "corp"), ("ticket/get", "agent")])
def test_tickets_have_an_hour_s_quota(start: Callable[..., Corp], path: str, option: str) -> None:
    assert (Rules().corp_ticket_limit, Rules().agent_ticket_limit) == (400, 100)
    corp = start(**{f"{option}_ticket_limit": 2})
    assert [corp.ticket(path)["errcode"] for _ in range(3)] == [0, 0, 45009]
    assert corp.ticket(path, corp.second_agent())["errcode"] == (45009 if option == "corp" else 0)
    corp.now += 3600
    assert corp.ticket(path)["errcode"] == 0


def test_the_agent_s_ticket_has_a_type(corp: Corp) -> None:
    assert corp.call("ticket/get", access_token=corp.token(), type="jsapi")["errcode"] == 40097


# Control


def test_verdicts_say_whose_and_which(corp: Corp) -> None:
    values = [corp.token(), *(corp.ticket(path)["ticket"] for path in TICKETS)]
    verdicts = [corp.control("verdict", value=value) for value in values]
    assert [(verdict["appid"], verdict["name"]) for verdict in verdicts] == [
        (APPLICATION, "access_token"),
        (DEMO_CORPID, "jsapi_ticket"),
        (APPLICATION, "agent_ticket"),
    ]
    assert {verdict["verdict"] for verdict in verdicts} == {"current"}


def test_an_application_is_added_changed_and_shown_over_http(corp: Corp) -> None:
    assert corp.control("applications", corpid=OTHER_CORP, agent=7, secret="s3cret") == {}
    token = corp.token(corpid=OTHER_CORP, corpsecret="s3cret")
    corp.ticket("get_jsapi_ticket", token)
    corp.control("applications", corpid=OTHER_CORP, agent=7, trusted_ips=["10.0.0.1"], disabled=True)
    assert corp.answer(corpid=OTHER_CORP, corpsecret="s3cret")["errcode"] == 50003
    shown = corp.send("GET", f"sandbox/accounts/{OTHER_CORP}/7")
    assert (shown["counts"]["fetches"], shown["by_name"]["jsapi_ticket"]["minted"]) == (2, 1)
    assert [mint["name"] for mint in shown["mints"]] == ["access_token", "jsapi_ticket"]
    assert shown["mints"][0]["fingerprint"] == fingerprint(token)
    assert corp.send("GET", f"sandbox/accounts/{OTHER_CORP}")["by_name"]["jsapi_ticket"]["fetches"] == 1
    overview = corp.send("GET", "sandbox/")["applications"][f"{OTHER_CORP}/7"]
    assert (overview["disabled"], overview["trusted_ips"]) == (True, ["10.0.0.1"])
    assert token not in str(shown)
    assert "s3cret" not in str([shown, overview])


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"corpid": OTHER_CORP, "agent": 7},
        {"corpid": "wx00000000000000ff", "agent": 7, "secret": "s3cret"},
        {"corpid": OTHER_CORP, "agent": "7", "secret": "s3cret"},
        {"corpid": OTHER_CORP, "agent": -7, "secret": "s3cret"},
        {"corpid": OTHER_CORP, "agent": True, "secret": "s3cret"},
        {"corpid": OTHER_CORP, "agent": 7, "secret": "s3cret", "trusted_ips": ["x"]},
    ],
)
def test_an_application_that_cannot_work_is_refused(corp: Corp, payload: dict[str, Any]) -> None:
    assert corp.control("applications", **payload)["error"].endswith(".")
    assert len(corp.sandbox.platform.applications()) == 1


def test_what_an_application_has_is_counted_by_name(corp: Corp) -> None:
    corp.ticket("ticket/get")
    corp.ticket("get_jsapi_ticket")
    names = ["access_token", "agent_ticket", "jsapi_ticket"]
    assert [corp.sandbox.counts(APPLICATION, name).fetches for name in names] == [2, 1, 1]
    with pytest.raises(InputError, match="agent_ticket"):
        corp.sandbox.counts(APPLICATION, "wx_card_ticket")


@pytest.mark.parametrize("path", ["gettoken", *TICKETS])
def test_faults_hit_wecom_s_calls_in_wecom_s_words(corp: Corp, path: str) -> None:
    token = corp.token()
    corp.sandbox.fault("errcode", errcode=45009, path=path, appid=APPLICATION)
    answer = corp.answer() if path == "gettoken" else corp.ticket(path, token)
    assert answer["errmsg"].startswith("api freq out of limit, hint: ")
    assert corp.sandbox.counts(APPLICATION, None).faults == 1


def test_a_flap_is_40014_at_wecom(corp: Corp) -> None:
    token = corp.token()
    corp.sandbox.faults.add(Fault("flap"))
    assert [corp.probe(token), corp.probe(token)] == [40014, 0]
