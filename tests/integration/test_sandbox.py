"""The WeChat look-alike: its model on an injected clock, its endpoints over real HTTP."""

import json
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import astuple
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given, strategies as st

from tokenworker.sandbox import (
    DEMO_APPID,
    DEMO_SECRET,
    Fault,
    FaultBox,
    Grant,
    InputError,
    Platform,
    Rules,
    Sandbox,
    WeChatError,
    run,
)

NOON = 1_800_000_000.0
RID = r"rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$"
CLAIM = {"grant_type": "client_credential", "appid": DEMO_APPID, "secret": DEMO_SECRET}
OTHER = "wx00000000000000ff"


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


class Caller:
    """The demo account's owner, at a platform whose clock he holds."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.clock = Clock()
        self.platform = Platform(rules, self.clock)
        self.platform.add_account(DEMO_APPID, DEMO_SECRET)

    def classic(self) -> Grant:
        return self.platform.mint_classic(DEMO_APPID, DEMO_SECRET, "client_credential", "127.0.0.1")

    def stable(self, *, force: bool = False) -> Grant:
        return self.platform.mint_stable(DEMO_APPID, DEMO_SECRET, "client_credential", "127.0.0.1", force_refresh=force)

    def word(self, grant: Grant) -> str:
        return self.platform.verdict(grant.access_token).verdict

    def errcode(self, call: Any, **arguments: Any) -> int:
        with pytest.raises(WeChatError) as caught:
            call(**arguments)
        return caught.value.errcode


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def fetch(http: requests.Session, sandbox: Sandbox, **changes: Any) -> requests.Response:
    return http.get(f"{sandbox.url}/cgi-bin/token", params={**CLAIM, **changes}, timeout=2)


def fetch_stable(http: requests.Session, sandbox: Sandbox, **changes: Any) -> requests.Response:
    return http.post(f"{sandbox.url}/cgi-bin/stable_token", json={**CLAIM, **changes}, timeout=2)


def probe(http: requests.Session, sandbox: Sandbox, access_token: str) -> dict[str, Any]:
    url = f"{sandbox.url}/cgi-bin/get_api_domain_ip"
    answer: dict[str, Any] = http.get(url, params={"access_token": access_token}, timeout=2).json()
    return answer


def connect(sandbox: Sandbox) -> socket.socket:
    url = urlsplit(sandbox.url)
    return socket.create_connection((url.hostname, url.port), timeout=2)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


# The classic endpoint


def test_every_classic_call_mints_a_new_token(caller: Caller) -> None:
    first, second = caller.classic(), caller.classic()
    assert first.access_token != second.access_token
    assert first.expires_in == second.expires_in == 7200


@pytest.mark.parametrize(("seconds", "word"), [(299, "overlap"), (300, "superseded"), (7200, "superseded")])
def test_a_superseded_classic_token_works_for_less_than_300_seconds(caller: Caller, seconds: float, word: str) -> None:
    old = caller.classic()
    caller.classic()
    caller.clock.now += seconds
    assert caller.word(old) == word


@pytest.mark.parametrize(("seconds", "word"), [(7199, "current"), (7200, "expired")])
def test_a_token_expires_when_its_seconds_are_over(caller: Caller, seconds: float, word: str) -> None:
    token = caller.classic()
    caller.clock.now += seconds
    assert caller.word(token) == word


def test_overlap_never_prolongs_a_life(caller: Caller) -> None:
    old = caller.classic()
    caller.clock.now += 7100
    caller.classic()
    caller.clock.now += 100
    assert caller.word(old) == "expired"


def test_a_third_classic_token_kills_the_first_at_once(caller: Caller) -> None:
    grants = [caller.classic() for _ in range(3)]
    assert [caller.word(grant) for grant in grants] == ["superseded", "overlap", "current"]


def test_the_first_of_three_may_live_on_by_option() -> None:
    caller = Caller(Rules(two_newest_only=False))
    grants = [caller.classic() for _ in range(3)]
    assert [caller.word(grant) for grant in grants] == ["overlap", "overlap", "current"]


def test_the_classic_quota_comes_back_at_midnight_in_beijing() -> None:
    caller = Caller(Rules(classic_limit=1))
    midnight = (NOON + 8 * 3600) // 86_400 * 86_400 + 86_400 - 8 * 3600
    caller.classic()
    caller.clock.now = midnight - 1
    assert caller.errcode(caller.classic) == 45009
    caller.clock.now = midnight
    assert caller.word(caller.classic()) == "current"


# The stable endpoint


def test_stable_hands_out_the_same_token_while_more_than_300_seconds_are_left(caller: Caller) -> None:
    first = caller.stable()
    caller.clock.now += 6899.5
    again = caller.stable()
    assert again.access_token == first.access_token
    assert (again.expires_in, type(again.expires_in)) == (300, int)


def test_stable_renews_at_exactly_300_seconds_left_and_both_work_to_the_natural_end(caller: Caller) -> None:
    old = caller.stable()
    caller.clock.now += 6900
    new = caller.stable()
    assert new.expires_in == 7200
    caller.clock.now += 299
    assert (caller.word(old), caller.word(new)) == ("overlap", "current")
    caller.clock.now += 1
    assert caller.word(old) == "expired"


def test_a_forced_refresh_leaves_the_previous_token_the_overlap(caller: Caller) -> None:
    old = caller.stable()
    new = caller.stable(force=True)
    caller.clock.now += 299
    assert (caller.word(old), caller.word(new)) == ("overlap", "current")
    caller.clock.now += 1
    assert caller.word(old) == "superseded"


def test_two_forces_kill_the_first_token_at_once(caller: Caller) -> None:
    leaked = caller.stable(force=True)
    caller.clock.now += 30
    caller.stable(force=True)
    caller.clock.now += 30
    caller.stable(force=True)
    assert caller.word(leaked) == "superseded"


def test_a_force_may_kill_the_previous_token_by_option() -> None:
    caller = Caller(Rules(force_keeps_previous=False))
    old = caller.stable()
    caller.stable(force=True)
    assert caller.word(old) == "superseded"


@pytest.mark.parametrize(("seconds", "minted"), [(29.9, 1), (30, 2)])
def test_a_force_within_30_seconds_returns_the_current_token(caller: Caller, seconds: float, minted: int) -> None:
    caller.stable(force=True)
    caller.clock.now += seconds
    caller.stable(force=True)
    assert caller.platform.counts(DEMO_APPID).minted == minted


def test_a_force_too_soon_is_an_error_by_option() -> None:
    caller = Caller(Rules(force_too_soon_errcode=45011))
    caller.stable(force=True)
    assert caller.errcode(caller.stable, force=True) == 45011


def test_the_21st_force_of_a_day_is_refused(caller: Caller) -> None:
    for _ in range(20):
        caller.stable(force=True)
        caller.clock.now += 30
    assert caller.errcode(caller.stable, force=True) == 45009
    assert caller.platform.counts(DEMO_APPID).forced == 20


def test_the_minute_limit_ends_with_the_minute() -> None:
    caller = Caller(Rules(stable_minute_limit=2))
    caller.stable()
    caller.stable()
    assert caller.errcode(caller.stable) == 45011
    caller.clock.now += 60
    caller.stable()


def test_the_stable_day_limit_is_45009() -> None:
    caller = Caller(Rules(stable_day_limit=1))
    caller.stable()
    assert caller.errcode(caller.stable) == 45009


def test_the_two_endpoints_do_not_touch_each_other_s_tokens(caller: Caller) -> None:
    stable, classic = caller.stable(), caller.classic()
    caller.classic()
    assert (caller.word(stable), caller.word(classic)) == ("current", "overlap")
    caller.stable(force=True)
    assert caller.word(classic) == "overlap"


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 7300)), max_size=20))
def test_whatever_one_does_the_token_in_hand_works_and_two_live_at_most(calls: list[tuple[bool, float]]) -> None:
    caller = Caller()
    for force, seconds in calls:
        for grant in (caller.stable(force=force), caller.classic()):
            assert caller.word(grant) == "current"
            assert 300 <= grant.expires_in <= 7200
        live = Counter(mint.endpoint for mint, _ in caller.platform.live_tokens(DEMO_APPID))
        assert max(live.values()) <= 2
        caller.clock.now += seconds


# Accounts, claims, rules


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"appid": "", "secret": ""}, 41002),
        ({"appid": "wx0123", "grant_type": ""}, 40013),
        ({"grant_type": "password", "secret": ""}, 40002),
        ({"secret": "", "appid": OTHER}, 41004),
        ({"appid": OTHER, "ip": "10.0.0.1"}, 40013),
        ({"ip": "10.0.0.1", "secret": "wrong"}, 40164),
        ({"secret": "wrong"}, 40125),
        ({}, 40243),
    ],
)
def test_claims_are_checked_in_order(caller: Caller, changes: dict[str, str], errcode: int) -> None:
    caller.platform.add_account(DEMO_APPID, whitelist=["127.0.0.1"], frozen=True)
    claim = {**CLAIM, "ip": "127.0.0.1", **changes}
    assert caller.errcode(caller.platform.mint_classic, **claim) == errcode
    assert caller.errcode(caller.platform.mint_stable, **claim) == errcode


@pytest.mark.parametrize("entry", ["10.1.2.3", "10.1.2.*", "10.1.2.0/24"])
def test_whitelists_take_wechat_s_forms(caller: Caller, entry: str) -> None:
    caller.platform.add_account(DEMO_APPID, whitelist=[entry])
    caller.platform.mint_classic(**CLAIM, ip="10.1.2.3")
    assert caller.errcode(caller.platform.mint_classic, **CLAIM, ip="10.1.3.3") == 40164


@pytest.mark.parametrize("account", [{"appid": "shop"}, {"appid": OTHER}, {"appid": DEMO_APPID, "whitelist": ["x"]}])
def test_an_account_that_cannot_work_is_refused(caller: Caller, account: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        caller.platform.add_account(**account)


def test_a_new_secret_ends_the_old_one_and_keeps_the_tokens(caller: Caller) -> None:
    token = caller.classic()
    caller.platform.add_account(DEMO_APPID, "another")
    assert caller.errcode(caller.classic) == 40125
    assert caller.word(token) == "current"


def test_revoking_ends_all_tokens_and_the_next_fetch_mints(caller: Caller) -> None:
    stable, classic = caller.stable(), caller.classic()
    assert caller.platform.revoke(DEMO_APPID) == 2
    assert (caller.word(stable), caller.word(classic)) == ("superseded", "superseded")
    assert caller.word(caller.stable()) == "current"


def test_a_revoked_token_may_still_be_handed_out_until_a_force(caller: Caller) -> None:
    dead = caller.stable()
    caller.platform.revoke(DEMO_APPID, still_handed_out=True)
    assert caller.stable().access_token == dead.access_token
    assert caller.word(caller.stable(force=True)) == "current"


def test_counts_tell_fetches_mints_forces_and_errors_apart(caller: Caller) -> None:
    caller.stable()
    caller.stable()
    caller.stable(force=True)
    caller.errcode(caller.platform.mint_classic, **{**CLAIM, "secret": "wrong"}, ip="127.0.0.1")
    counts = caller.platform.counts(DEMO_APPID)
    assert (counts.fetches, counts.minted, counts.forced, counts.errors) == (4, 2, 1, 1)
    assert caller.platform.counts(DEMO_APPID, "token").fetches == 1
    assert [mint.forced for mint in caller.platform.mints(DEMO_APPID)] == [False, True]


def test_a_reset_gives_the_quota_back_and_forgets_tokens_only_if_asked() -> None:
    caller = Caller(Rules(classic_limit=1))
    token = caller.classic()
    caller.platform.reset()
    assert caller.platform.counts(DEMO_APPID).minted == 0
    assert caller.word(token) == "current"
    caller.classic()
    caller.platform.reset(tokens=True)
    assert caller.word(token) == "unknown"


def test_scaled_rules_scale_durations_and_nothing_else() -> None:
    rules = Rules().scaled(0.01)
    assert (rules.life, rules.overlap, rules.day) == (72, 3, 864)
    assert (rules.classic_limit, rules.token_length) == (2000, 136)


@pytest.mark.parametrize(("life", "expires_in"), [(20, 20), (1.9, 1), (0.5, 0.5)])
def test_expires_in_is_rounded_down_but_never_to_zero(life: float, expires_in: float) -> None:
    caller = Caller(Rules(life=life, overlap=0.01))
    assert caller.classic().expires_in == caller.stable().expires_in == caller.stable().expires_in == expires_in


@pytest.mark.parametrize("length", [136, 512])
def test_tokens_look_like_wechat_s(length: int) -> None:
    token = Caller(Rules(token_length=length)).classic().access_token
    assert len(token) == length
    assert re.fullmatch(r"\d+_[A-Za-z0-9_-]+", token)


@pytest.mark.parametrize("rules", [{"life": 0}, {"overlap": -1}, {"token_length": 135}, {"token_length": 513}])
def test_impossible_rules_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^Rules: "):
        Rules(**rules)


def test_no_repr_shows_a_secret_or_a_token(caller: Caller) -> None:
    grant = caller.stable()
    shown = repr([grant, caller.platform.accounts(), caller.platform.live_tokens(DEMO_APPID)])
    assert DEMO_SECRET not in shown
    assert grant.access_token not in shown


# Over HTTP


def test_success_has_a_token_and_no_errcode_in_wechat_s_content_type(http: requests.Session, sandbox: Sandbox) -> None:
    for answer in (fetch(http, sandbox), fetch_stable(http, sandbox)):
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/json; encoding=utf-8"
        assert set(answer.json()) == {"access_token", "expires_in"}


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data", "application/json"])
def test_stable_token_reads_json_whatever_the_content_type(
    http: requests.Session, sandbox: Sandbox, content_type: str
) -> None:
    url, headers = f"{sandbox.url}/cgi-bin/stable_token", {"Content-Type": content_type}
    answer = http.post(url, data=json.dumps(CLAIM), headers=headers, timeout=2)
    assert "access_token" in answer.json()


@pytest.mark.parametrize("body", [CLAIM, "", "{", "[1]", "[" * 100_000, b"\xff"])
def test_a_stable_body_that_is_no_json_object_misses_the_appid(
    http: requests.Session, sandbox: Sandbox, body: Any
) -> None:
    answer = http.post(f"{sandbox.url}/cgi-bin/stable_token", data=body, timeout=2)
    assert answer.json()["errcode"] == 41002


def test_a_wrong_method_is_an_errcode(http: requests.Session, sandbox: Sandbox) -> None:
    assert http.get(f"{sandbox.url}/cgi-bin/stable_token", timeout=2).json()["errcode"] == 43002
    assert http.post(f"{sandbox.url}/cgi-bin/token", params=CLAIM, timeout=2).json()["errcode"] == 43001


def test_refusals_are_worded_as_on_the_wire(http: requests.Session, sandbox: Sandbox) -> None:
    sandbox.add_account(DEMO_APPID, whitelist=["203.0.113.9"])
    refusal = fetch(http, sandbox)
    assert refusal.status_code == 200
    assert set(refusal.json()) == {"errcode", "errmsg"}
    expected = r"invalid ip 127\.0\.0\.1 ipv6 ::ffff:127\.0\.0\.1, not in whitelist "
    assert re.match(expected + RID, refusal.json()["errmsg"])
    seconds = int(refusal.json()["errmsg"][-26:-18], 16)
    assert abs(seconds - time.time()) < 5


def test_a_frozen_secret_is_refused_in_chinese_utf_8(http: requests.Session, sandbox: Sandbox) -> None:
    sandbox.add_account(DEMO_APPID, frozen=True)
    answer = fetch(http, sandbox)
    assert answer.json()["errcode"] == 40243
    assert "已被冻结".encode() in answer.content


def test_business_calls_tell_missing_unknown_superseded_and_expired_apart(http: requests.Session) -> None:
    clock = Clock()
    with Sandbox(clock=clock) as sandbox:
        old, new = (fetch(http, sandbox).json()["access_token"] for _ in range(2))
        assert probe(http, sandbox, old)["ip_list"]
        clock.now += 300
        assert probe(http, sandbox, "")["errcode"] == 41001
        assert probe(http, sandbox, "made-up")["errcode"] == 40001
        superseded = probe(http, sandbox, old)
        assert superseded["errcode"] == 40001
        assert "by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r rid" in superseded["errmsg"]
        assert set(probe(http, sandbox, new)) == {"ip_list"}
        clock.now += 6900
        assert probe(http, sandbox, new)["errcode"] == 42001


def test_both_kinds_of_token_send_messages(http: requests.Session, sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/cgi-bin/message/custom/send"
    for answer in (fetch(http, sandbox), fetch_stable(http, sandbox)):
        token = answer.json()["access_token"]
        sent = http.post(url, params={"access_token": token}, json={"touser": "me"}, timeout=2)
        assert sent.json() == {"errcode": 0, "errmsg": "ok"}


def test_a_connection_is_kept_alive(sandbox: Sandbox) -> None:
    request = b"GET /cgi-bin/token HTTP/1.1\r\nHost: sandbox\r\n\r\n"
    with connect(sandbox) as caller:
        for _ in range(2):
            caller.sendall(request)
            assert caller.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_storm_of_callers_is_served(sandbox: Sandbox) -> None:
    with_token = []

    def call() -> None:
        with requests.Session() as session:
            session.trust_env = False
            with_token.append(fetch_stable(session, sandbox).json()["access_token"])

    threads = [threading.Thread(target=call) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(with_token) == 100
    assert (sandbox.counts().fetches, sandbox.counts().minted) == (100, 1)


def test_nothing_secret_is_logged_even_when_the_sandbox_itself_fails(
    http: requests.Session, caplog: pytest.LogCaptureFixture
) -> None:
    def broken_clock() -> float:
        raise RuntimeError("no time")

    caplog.set_level("DEBUG")
    with Sandbox(clock=broken_clock) as sandbox:
        assert fetch(http, sandbox).status_code == 500
        http.put(f"{sandbox.url}/cgi-bin/token", params=CLAIM, timeout=2)
        http.get(f"{sandbox.url}/nowhere", params=CLAIM, timeout=2)
    # The client's own debug lines show whole URLs.
    lines = [record.getMessage() for record in caplog.records if not record.name.startswith("urllib3")]
    assert "the sandbox failed at /cgi-bin/token" in lines
    assert DEMO_SECRET not in "".join(lines)


# Faults


def test_a_fault_acts_as_often_as_asked_and_then_all_is_well(http: requests.Session, sandbox: Sandbox) -> None:
    sandbox.fault("errcode", errcode=45011, times=2)
    answers = [fetch(http, sandbox).json() for _ in range(3)]
    assert [answer.get("errcode") for answer in answers] == [45011, 45011, None]
    assert re.search("api minute-quota reach limit .* " + RID, answers[0]["errmsg"])


def test_a_fault_without_times_acts_until_cleared(http: requests.Session, sandbox: Sandbox) -> None:
    sandbox.fault("errcode", errmsg="busy hint: [x]", times=None)
    assert [fetch(http, sandbox).json()["errmsg"] for _ in range(3)] == ["busy hint: [x]"] * 3
    sandbox.clear_faults()
    assert "access_token" in fetch(http, sandbox).json()


@pytest.mark.parametrize("path", ["stable_token", "/cgi-bin/stable_token"])
def test_a_fault_hits_only_its_path_and_appid(path: str) -> None:
    box = FaultBox()
    box.add(Fault("empty", path=path, appid=OTHER))
    assert box.take("/cgi-bin/token", OTHER) is None
    assert box.take("/cgi-bin/stable_token", DEMO_APPID) is None
    assert box.take("/cgi-bin/stable_token", OTHER)
    assert box.describe() == []


def test_a_fault_may_hit_by_chance() -> None:
    box = FaultBox()
    box.add(Fault("empty", times=None, share=0.5))
    hits = sum(box.take("/cgi-bin/token", "") is not None for _ in range(200))
    assert 0 < hits < 200


@pytest.mark.parametrize(
    ("kind", "options", "status", "content_type", "text"),
    [
        ("status", {}, 502, "text/html", "<html>"),
        ("status", {"status": 503, "body": "later"}, 503, "text/html", "later"),
        ("body", {"body": "[]"}, 200, "application/json; encoding=utf-8", "[]"),
        ("body", {"body": "x", "content_type": "text/plain"}, 200, "text/plain", "x"),
        ("empty", {}, 200, "text/html; charset=gbk", ""),
        ("redirect", {"location": "http://127.0.0.1:9/"}, 302, "text/html", ""),
        ("redirect", {"location": "http://127.0.0.1:9/", "status": 307}, 307, "text/html", ""),
    ],
)
def test_answers_that_are_none_mint_nothing(
    http: requests.Session,
    sandbox: Sandbox,
    kind: Any,
    options: dict[str, Any],
    status: int,
    content_type: str,
    text: str,
) -> None:
    sandbox.fault(kind, **options)
    url = f"{sandbox.url}/cgi-bin/token"
    answer = http.get(url, params=CLAIM, timeout=2, allow_redirects=False)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)
    assert answer.text.startswith(text)
    assert answer.headers.get("Location") == options.get("location")
    counts = sandbox.counts()
    assert (counts.fetches, counts.faults, counts.minted) == (1, 1, 0)


@pytest.mark.parametrize(
    ("kind", "options", "minted"),
    [
        ("truncated", {}, 1),
        ("reset", {}, 1),
        ("reset", {"before": True}, 0),
        ("hang", {"seconds": 0.02}, 0),
        ("hang", {"seconds": None}, 0),
        ("delay", {"seconds": 1}, 1),
    ],
)
def test_broken_answers_reach_nobody(
    http: requests.Session, sandbox: Sandbox, kind: Any, options: dict[str, Any], minted: int
) -> None:
    sandbox.fault(kind, **options)
    with pytest.raises(requests.RequestException):
        http.get(f"{sandbox.url}/cgi-bin/token", params=CLAIM, timeout=0.05)
    eventually(lambda: astuple(sandbox.counts()) == (1, minted, 0, 0, 1))


def test_a_reset_is_a_reset_and_no_orderly_end(http: requests.Session, sandbox: Sandbox) -> None:
    sandbox.fault("reset")
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        fetch(http, sandbox)


@pytest.mark.parametrize(("kind", "seconds"), [("delay", 0.02), ("drip", 0.0001), ("drip_headers", 0.0001)])
def test_slow_answers_are_right(http: requests.Session, sandbox: Sandbox, kind: Any, seconds: float) -> None:
    sandbox.fault(kind, seconds=seconds)
    began = time.monotonic()
    token = fetch(http, sandbox).json()["access_token"]
    assert time.monotonic() - began > 0.01
    assert sandbox.verdict(token).works


def test_a_delay_before_mints_even_if_the_caller_has_gone(http: requests.Session, sandbox: Sandbox) -> None:
    sandbox.fault("delay", seconds=60, before=True)
    with pytest.raises(requests.Timeout):
        http.get(f"{sandbox.url}/cgi-bin/token", params=CLAIM, timeout=0.02)
    eventually(lambda: sandbox.counts().minted == 1)


def test_a_huge_body_goes_on_until_the_caller_hangs_up(http: requests.Session, sandbox: Sandbox) -> None:
    sandbox.fault("huge")
    url = f"{sandbox.url}/cgi-bin/token"
    with http.get(url, params=CLAIM, stream=True, timeout=2) as answer:
        chunks = answer.iter_content(65_536)
        assert sum(len(next(chunks)) for _ in range(50)) > 1_000_000
    assert "access_token" in fetch(http, sandbox).json()


def test_a_flap_refuses_a_valid_token_on_business_calls_only(http: requests.Session, sandbox: Sandbox) -> None:
    sandbox.fault("flap")
    token = fetch(http, sandbox).json()["access_token"]
    assert probe(http, sandbox, token)["errcode"] == 40001
    assert "ip_list" in probe(http, sandbox, token)
    assert sandbox.verdict(token).verdict == "current"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kind": "nonsense"},
        {"kind": "hang", "second": 1},
        {"kind": "hang", "status": 502},
        {"kind": "hang", "times": "2"},
        {"kind": "hang", "times": 0},
        {"kind": "hang", "seconds": -1},
        {"kind": "delay", "seconds": None},
        {"kind": "flap", "share": 0},
        {"kind": "status", "status": 204},
        {"kind": "redirect"},
    ],
)
def test_a_fault_that_makes_no_sense_is_a_400_with_a_sentence(
    http: requests.Session, sandbox: Sandbox, options: dict[str, Any]
) -> None:
    answer = http.post(f"{sandbox.url}/sandbox/faults", json=options, timeout=2)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")
    assert sandbox.faults.describe() == []


# Control over HTTP


def test_faults_are_armed_listed_and_cleared_over_http(http: requests.Session, sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/sandbox/faults"
    assert http.post(url, json={"kind": "errcode", "errcode": 50002, "times": None}, timeout=2).status_code == 201
    assert fetch(http, sandbox).json()["errcode"] == 50002
    (fault,) = http.get(url, timeout=2).json()["faults"]
    assert (fault["kind"], fault["left"]) == ("errcode", None)
    assert http.delete(url, timeout=2).json() == {"faults": []}
    assert "access_token" in fetch(http, sandbox).json()


def test_an_account_is_added_changed_and_shown_over_http(http: requests.Session, sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/sandbox/accounts"
    assert http.post(url, json={"appid": OTHER, "secret": "s3cret"}, timeout=2).status_code == 200
    token = fetch_stable(http, sandbox, appid=OTHER, secret="s3cret").json()["access_token"]
    http.post(url, json={"appid": OTHER, "frozen": True, "whitelist": ["127.0.0.*"]}, timeout=2)
    assert fetch_stable(http, sandbox, appid=OTHER, secret="s3cret").json()["errcode"] == 40243
    shown = http.get(f"{url}/{OTHER}", timeout=2)
    assert shown.json()["by_endpoint"]["stable_token"]["errors"] == 1
    assert shown.json()["mints"][0]["fingerprint"] == shown.json()["live"][0]["fingerprint"]
    overview = http.get(f"{sandbox.url}/sandbox/", timeout=2)
    assert overview.json()["accounts"][OTHER]["counts"]["fetches"] == 2
    assert token not in shown.text + overview.text
    assert "s3cret" not in shown.text + overview.text


def test_a_token_is_judged_and_revoked_over_http(http: requests.Session, sandbox: Sandbox) -> None:
    token = fetch(http, sandbox).json()["access_token"]
    url, question = f"{sandbox.url}/sandbox/verdict", {"access_token": token}
    verdict = http.post(url, json=question, timeout=2).json()
    assert (verdict["verdict"], verdict["appid"]) == ("current", DEMO_APPID)
    assert 7190 < verdict["seconds_left"] <= 7200
    revoke = f"{sandbox.url}/sandbox/accounts/{DEMO_APPID}/revoke"
    assert http.post(revoke, timeout=2).json() == {"revoked": 1}
    assert http.post(url, json=question, timeout=2).json()["verdict"] == "superseded"


def test_a_reset_over_http_keeps_tokens_unless_asked(http: requests.Session, sandbox: Sandbox) -> None:
    token = fetch(http, sandbox).json()["access_token"]
    sandbox.fault("hang")
    http.post(f"{sandbox.url}/sandbox/reset", timeout=2)
    assert (sandbox.counts().fetches, sandbox.faults.describe()) == (0, [])
    assert sandbox.verdict(token).works
    http.post(f"{sandbox.url}/sandbox/reset", json={"tokens": True}, timeout=2)
    assert sandbox.verdict(token).verdict == "unknown"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("accounts", "no JSON", 400),
        ("accounts", '{"appid": 1}', 400),
        ("accounts", '{"appid": "wx00000000000000aa"}', 400),
        ("accounts", '{"appid": "wx0123456789abcdef", "whitelist": [1]}', 400),
        ("accounts", '{"appid": "wx0123456789abcdef", "colour": "red"}', 400),
        ("verdict", "[]", 400),
        ("reset", '{"tokens": "yes"}', 400),
        (f"accounts/{OTHER}/revoke", "", 404),
        ("overthrow", "", 404),
    ],
)
def test_bad_control_input_gets_a_status_and_no_change(
    http: requests.Session, sandbox: Sandbox, path: str, body: str, status: int
) -> None:
    answer = http.post(f"{sandbox.url}/sandbox/{path}", data=body, timeout=2)
    assert answer.status_code == status
    assert len(sandbox.platform.accounts()) == 1


# Running


def test_a_sandbox_comes_back_on_its_port_with_its_tokens(http: requests.Session) -> None:
    sandbox = Sandbox(accounts={OTHER: "s3cret"})
    with sandbox:
        token = fetch(http, sandbox, appid=OTHER, secret="s3cret").json()["access_token"]
    with pytest.raises(requests.ConnectionError):
        probe(http, sandbox, token)
    with sandbox:
        assert "ip_list" in probe(http, sandbox, token)


def test_leaving_the_sandbox_hangs_up_on_those_who_wait() -> None:
    with Sandbox() as sandbox:
        sandbox.fault("hang", seconds=None)
        caller = connect(sandbox)
        caller.sendall(b"GET /cgi-bin/token HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        eventually(lambda: not sandbox.faults.describe())
    with caller:
        assert caller.recv(1) == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_tells_its_port_and_ends_on_a_signal(number: signal.Signals) -> None:
    ports: list[int] = []

    def on_ready(port: int) -> None:
        ports.append(port)
        signal.raise_signal(number)

    run("127.0.0.1", 0, Platform(), on_ready=on_ready)
    assert ports[0] > 0
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_taken_port_is_an_os_error(sandbox: Sandbox) -> None:
    port = urlsplit(sandbox.url).port or 0
    with pytest.raises(OSError, match="in use"):
        run("127.0.0.1", port, Platform())
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=port).__enter__()
