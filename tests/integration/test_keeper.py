"""Refreshing on real parts: Redis, HTTP, and the sandbox in WeChat's place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
import redis
from support.processes import RedisServer, wait_for
from support.targets import lease_of, look, token_of

from tokenworker import TokenReader
from tokenworker.accounts.account import Account
from tokenworker.credential import CredentialId, Issued, fingerprint
from tokenworker.credentials import target as target_of
from tokenworker.credentials.kind import Kind
from tokenworker.credentials.target import Target
from tokenworker.durations import Durations
from tokenworker.errors import (
    DayLimit,
    MalformedAnswer,
    MinuteLimit,
    NetworkError,
    OperatorError,
    StoreUnavailable,
    TokenUnavailable,
    TransientError,
)
from tokenworker.refresh.causes import Demand
from tokenworker.refresh.fetcher import Fetcher
from tokenworker.refresh.keeper import Keeper
from tokenworker.refresh.turns import Limits
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Rules, Sandbox
from tokenworker.secret import Secret
from tokenworker.store.connect import connect
from tokenworker.store.exchange import Patience
from tokenworker.store.scripts import Scripts
from tokenworker.store.store import Store
from tokenworker.wechat.source import Source, WeChat
from tokenworker.wechat.transport import Transport
from tokenworker.worker.status import describe

ACCOUNT = Account(DEMO_APPID, Secret(DEMO_SECRET))
STABLE, CLASSIC = token_of(ACCOUNT), token_of(replace(ACCOUNT, endpoint="token"))
TOKEN = f"tokenworker:{{{DEMO_APPID}}}:access_token"
STATE, LEASE = f"{TOKEN}:state", f"{TOKEN}:lease"

#: Quick failures and short rests; leeway and overlap as the sandbox of the tests has them.
DURATIONS = replace(
    Durations(),
    tick=0.2,
    second=1 / 60,
    overlap=5.0,
    fetch_timeout=1.0,
    transient_wait=0.15,
    transient_cap=0.3,
    operator_wait=0.5,
    retry_gap=0.1,
    force_interval=0.6,
    report_interval=0.3,
)


def refresher_for(store: Store, source: Source, durations: Durations, limits: Limits | None = None) -> Keeper:
    return Keeper(store, Fetcher(store, source, durations, limits=lambda: limits or Limits()), durations)


@pytest.fixture
def make_refresher(store: Store, sandbox: Sandbox) -> Callable[..., Keeper]:
    def make(**changes: float) -> Keeper:
        durations = replace(DURATIONS, **changes)
        wechat = WeChat(Transport(), {"wechat": (sandbox.url,)}, durations.fetch_timeout)
        return refresher_for(store, wechat, durations, Limits(rate=1000, concurrency=100))

    return make


@pytest.fixture
def keeper(make_refresher: Callable[..., Keeper]) -> Keeper:
    return make_refresher()


def value_in(client: redis.Redis) -> str:
    value = client.get(TOKEN)
    assert isinstance(value, bytes)
    return value.decode()


def planned_in(store: Store, client: redis.Redis) -> float:
    score = client.zscore("tokenworker:due", str(CredentialId(DEMO_APPID)))
    assert isinstance(score, float)
    return score - store.now()


def test_a_cold_account_gets_a_token(keeper: Keeper, sandbox: Sandbox, client: redis.Redis) -> None:
    outcome = keeper.refresh(STABLE)

    assert outcome.result == "refreshed"
    assert outcome.expires_in == pytest.approx(20, abs=0.5)
    assert sandbox.verdict(value_in(client)).verdict == "current"


@pytest.mark.parametrize("target", [STABLE, CLASSIC], ids=["stable", "classic"])
def test_a_fresh_token_is_left_alone(keeper: Keeper, sandbox: Sandbox, target: Target) -> None:
    keeper.refresh(target)

    assert [keeper.refresh(target).result for _ in range(5)] == ["fresh"] * 5
    assert sandbox.counts().fetches == 1


def test_who_keeps_a_classic_token_for_as_long_as_was_said_holds_one_that_works(store: Store) -> None:
    with Sandbox(Rules(life=2.4, overlap=0.6)) as quick:
        durations = replace(DURATIONS, overlap=0.6)
        keeper = refresher_for(store, WeChat(Transport(), {"wechat": (quick.url,)}, 1.0), durations)
        began = time.monotonic()
        token, now = keeper.get(CLASSIC)
        said = token.expires_in(now)

        wait_for(lambda: keeper.refresh(CLASSIC).result == "refreshed")
        assert 1.6 < said < 2
        time.sleep(max(0.0, began + said - 0.1 - time.monotonic()))
        works = quick.verdict(token.value).works

        assert works
        wait_for(lambda: not quick.verdict(token.value).works, timeout=0.5)


def test_a_stale_token_is_replaced_while_it_still_works(store: Store, client: redis.Redis) -> None:
    with Sandbox(Rules(life=1, overlap=0.6)) as quick:
        durations = replace(DURATIONS, second=0.55 / 295)
        keeper = refresher_for(store, WeChat(Transport(), {"wechat": (quick.url,)}, 1), durations)
        keeper.refresh(STABLE)
        old = value_in(client)
        time.sleep(0.47)

        assert keeper.refresh(STABLE).result == "refreshed"
        assert value_in(client) != old
        assert quick.verdict(old).verdict == "overlap"


@pytest.mark.parametrize("target", [STABLE, CLASSIC], ids=["stable", "classic"])
@pytest.mark.parametrize("demand", [Demand(), Demand(early=True), Demand(rejected="0" * 16)])
def test_thirty_two_at_once_make_one_fetch(
    make_refresher: Callable[..., Keeper], sandbox: Sandbox, target: Target, demand: Demand
) -> None:
    refreshers = [make_refresher() for _ in range(32)]
    with ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(lambda keeper: keeper.refresh(target, demand).result, refreshers))

    assert sandbox.counts().fetches == 1
    assert outcomes.count("refreshed") >= 1
    assert set(outcomes) <= {"refreshed", "fresh", "busy"}


def test_all_who_ask_for_a_missing_token_get_the_same_one(
    make_refresher: Callable[..., Keeper], sandbox: Sandbox
) -> None:
    sandbox.fault("delay", seconds=0.3)
    refreshers = [make_refresher() for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        tokens = {token.access_token for token, _ in pool.map(lambda keeper: keeper.get(CLASSIC), refreshers)}

    assert len(tokens) == 1
    assert sandbox.counts().fetches == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "errcode", "errcode": -1}, TransientError),
        ({"kind": "errcode", "errcode": 45011}, MinuteLimit),
        ({"kind": "errcode", "errcode": 45009}, DayLimit),
        ({"kind": "errcode", "errcode": 40125}, OperatorError),
        ({"kind": "status", "status": 502}, MalformedAnswer),
        ({"kind": "empty"}, MalformedAnswer),
        ({"kind": "reset", "before": True}, NetworkError),
        ({"kind": "truncated"}, TransientError),
        ({"kind": "hang", "seconds": 5}, NetworkError),
        ({"kind": "body", "body": '{"access_token": "", "expires_in": 7200}'}, MalformedAnswer),
        ({"kind": "redirect", "location": "http://127.0.0.1:1/"}, MalformedAnswer),
    ],
    ids=str,
)
def test_a_failure_of_any_kind_leaves_a_working_token_alone(
    make_refresher: Callable[..., Keeper],
    sandbox: Sandbox,
    client: redis.Redis,
    store: Store,
    fault: dict[str, object],
    error: type[Exception],
) -> None:
    keeper = make_refresher(overlap=0.0, fetch_timeout=0.3)
    keeper.refresh(STABLE)
    before, left = value_in(client), int(client.pttl(TOKEN))
    sandbox.fault(**fault)  # type: ignore[arg-type]
    with pytest.raises(error) as caught:
        keeper.refresh(STABLE, Demand(early=True))

    assert value_in(client) == before
    assert int(client.pttl(TOKEN)) > left - 1500
    assert caught.value.retry_in > 0  # type: ignore[attr-defined]
    assert look(store, DEMO_APPID).error
    assert DEMO_SECRET not in str(caught.value)


def test_a_failing_account_rests_and_then_recovers(keeper: Keeper, sandbox: Sandbox, store: Store) -> None:
    sandbox.fault("errcode", errcode=-1, times=2)
    for _ in range(2):
        with pytest.raises(TransientError) as caught:
            keeper.refresh(STABLE)
        assert keeper.refresh(STABLE).result == "waiting"
        time.sleep(caught.value.retry_in or 0)

    assert keeper.refresh(STABLE).result == "refreshed"
    assert sandbox.counts().fetches == 3
    assert look(store, DEMO_APPID).failures == 0


def test_a_new_secret_ends_the_rest_at_once(keeper: Keeper) -> None:
    wrong = token_of(replace(ACCOUNT, secret=Secret("f" * 32)))
    with pytest.raises(OperatorError, match="40125"):
        keeper.refresh(wrong)

    assert keeper.refresh(wrong).result == "waiting"
    assert keeper.refresh(STABLE).result == "refreshed"


def test_who_asks_while_an_account_rests_hears_why_and_what_to_do(keeper: Keeper, sandbox: Sandbox) -> None:
    sandbox.add_account(DEMO_APPID, whitelist=["203.0.113.9"])
    for _ in range(3):
        with pytest.raises(TokenUnavailable, match=r"add 127\.0\.0\.1 to the IP whitelist") as caught:
            keeper.get(STABLE)

    assert caught.value.errcode == 40164
    assert caught.value.retry_in
    assert caught.value.since == pytest.approx(time.time(), abs=5)
    assert sandbox.counts().fetches == 1


def test_a_rejected_token_that_is_dead_is_replaced_once(
    make_refresher: Callable[..., Keeper], sandbox: Sandbox, client: redis.Redis
) -> None:
    make_refresher().refresh(CLASSIC)
    dead = value_in(client)
    sandbox.revoke()
    refreshers = [make_refresher() for _ in range(32)]
    with ThreadPoolExecutor(32) as pool:
        tokens = {t.access_token for t, _ in pool.map(lambda r: r.get(CLASSIC, fingerprint(dead)), refreshers)}

    assert len(tokens) == 1
    assert sandbox.verdict(tokens.pop()).verdict == "current"
    assert sandbox.counts().fetches == 2


def test_a_rejected_token_that_works_is_kept(keeper: Keeper, sandbox: Sandbox, client: redis.Redis) -> None:
    keeper.refresh(CLASSIC)
    good = value_in(client)
    tokens = {keeper.get(CLASSIC, fingerprint(good))[0].access_token for _ in range(5)}

    assert tokens == {good}
    assert sandbox.counts().fetches == 1


def test_a_report_of_an_older_token_does_nothing(keeper: Keeper, sandbox: Sandbox) -> None:
    keeper.refresh(CLASSIC)

    assert keeper.refresh(CLASSIC, Demand(rejected=fingerprint("older"))).result == "fresh"
    assert sandbox.counts().fetches == 1


def test_a_dead_token_that_wechat_hands_out_again_is_forced_out(
    keeper: Keeper, sandbox: Sandbox, client: redis.Redis
) -> None:
    keeper.refresh(STABLE)
    dead = value_in(client)
    sandbox.revoke(still_handed_out=True)
    with pytest.raises(TransientError, match="hands out again") as caught:
        keeper.refresh(STABLE, Demand(rejected=fingerprint(dead)))
    time.sleep(caught.value.retry_in or 0)

    assert keeper.refresh(STABLE).result == "refreshed"
    assert sandbox.verdict(value_in(client)).verdict == "current"
    assert sandbox.counts().forced == 1


def test_a_token_that_somebody_else_wrote_is_replaced_and_not_handed_out(
    keeper: Keeper, client: redis.Redis, sandbox: Sandbox
) -> None:
    keeper.refresh(STABLE)
    client.set(TOKEN, "theirs", px=60_000)

    assert sandbox.verdict(keeper.get(STABLE)[0].access_token).verdict == "current"
    assert value_in(client) != "theirs"


def test_the_old_token_stays_readable_during_a_fetch(keeper: Keeper, client: redis.Redis, sandbox: Sandbox) -> None:
    keeper.refresh(STABLE)
    old = value_in(client)
    sandbox.fault("delay", seconds=0.3)
    thread = threading.Thread(target=keeper.refresh, args=(STABLE, Demand(force=True)))
    thread.start()
    time.sleep(0.15)
    during = value_in(client)
    thread.join()

    assert during == old
    assert value_in(client) != old


def test_a_fetch_whose_commit_is_refused_is_healed_by_another(store: Store, client: redis.Redis) -> None:
    """The holder freezes before it sends; meanwhile somebody else refreshes; then it sends and comes back late."""

    class Frozen:
        def __init__(self, fetches: Iterator[str]) -> None:
            self.fetches = fetches
            self.rival: Keeper | None = None

        def fetch(self, kind: Kind, account: Account, inputs: Mapping[str, Secret], *, force: bool = False) -> Issued:
            if self.rival:
                rival, self.rival = self.rival, None
                client.delete(LEASE)
                rival.refresh(Target(account, kind))
            return Issued(next(self.fetches), 20)

        def is_alive(self, kind: Kind, value: Secret) -> bool:
            return True

    issued = chain(["rival's", "late", "healing"])
    source, durations = Frozen(issued), replace(DURATIONS, overlap=0.0)
    source.rival = refresher_for(store, Frozen(issued), durations)
    late = refresher_for(store, source, durations)
    assert late.refresh(CLASSIC).result == "busy"
    assert planned_in(store, client) < 0
    assert late.refresh(CLASSIC).result == "refreshed"

    assert value_in(client) == "healing"
    assert look(store, DEMO_APPID).in_doubt is None
    assert next(issued, None) is None


def lose_answer(keeper: Keeper) -> float:
    """Have a fetch end nobody knows how; return when the next try is due."""
    with pytest.raises((NetworkError, MalformedAnswer)) as caught:
        keeper.refresh(CLASSIC, Demand(force=True))
    assert caught.value.ambiguous
    return caught.value.retry_in or 0.0


#: A reply of WeChat's that was lost on the way, and replies of something before it.
LOST = [{"kind": "reset"}, {"kind": "reset", "before": True}, {"kind": "status", "status": 502}, {"kind": "empty"}]


@pytest.mark.parametrize("fault", LOST, ids=str)
def test_while_an_answer_of_the_classic_endpoint_is_lost_the_old_token_is_tested_and_stays(
    make_refresher: Callable[..., Keeper], client: redis.Redis, store: Store, sandbox: Sandbox, fault: Any
) -> None:
    keeper = make_refresher(overlap=4.0)
    keeper.refresh(CLASSIC)
    before = value_in(client)
    sandbox.fault(**fault)
    time.sleep(lose_answer(keeper))

    assert [keeper.refresh(CLASSIC).result for _ in range(3)] == ["fresh"] * 3
    assert value_in(client) == before
    assert int(client.pttl(TOKEN)) > 18_000
    assert sandbox.verdict(before).works
    assert sandbox.counts().fetches == 2
    found = look(store, DEMO_APPID)
    assert found.probed_alive == found.probed == fingerprint(before)
    assert found.error


def test_after_the_overlap_of_a_lost_answer_one_fetch_heals(
    make_refresher: Callable[..., Keeper], client: redis.Redis, store: Store, sandbox: Sandbox
) -> None:
    keeper = make_refresher(overlap=3.5, report_interval=30.0)
    keeper.refresh(CLASSIC)
    sandbox.fault("reset")
    time.sleep(lose_answer(keeper))
    assert keeper.refresh(CLASSIC).result == "fresh"
    assert planned_in(store, client) == pytest.approx(3.5 - 1.875 - 0.2 - 0.15, abs=0.3)
    time.sleep(planned_in(store, client) + 0.01)

    assert keeper.refresh(CLASSIC).result == "refreshed"
    assert sandbox.verdict(value_in(client)).verdict == "current"
    assert look(store, DEMO_APPID).in_doubt is None
    assert sandbox.counts().fetches == 3


def test_when_the_old_token_is_found_dead_after_a_lost_answer_another_is_fetched_at_once(
    make_refresher: Callable[..., Keeper], client: redis.Redis, sandbox: Sandbox
) -> None:
    keeper = make_refresher(overlap=4.0)
    keeper.refresh(CLASSIC)
    sandbox.fault("reset")
    time.sleep(lose_answer(keeper))
    sandbox.revoke()

    assert keeper.refresh(CLASSIC).result == "refreshed"
    assert sandbox.verdict(value_in(client)).verdict == "current"


def test_when_a_test_of_the_old_token_brings_nothing_it_stays_and_no_fetch_follows_yet(
    make_refresher: Callable[..., Keeper], client: redis.Redis, store: Store, sandbox: Sandbox
) -> None:
    keeper = make_refresher(overlap=4.0)
    keeper.refresh(CLASSIC)
    before = value_in(client)
    sandbox.fault("reset")
    sandbox.fault("status", status=502, path="get_api_domain_ip")
    time.sleep(lose_answer(keeper))
    with pytest.raises(MalformedAnswer):
        keeper.refresh(CLASSIC)

    assert [keeper.refresh(CLASSIC).result for _ in range(3)] == ["fresh"] * 3
    assert value_in(client) == before
    assert look(store, DEMO_APPID).probe_error
    assert sandbox.counts().fetches == 2


def test_a_token_found_dead_is_withheld_while_no_other_can_be_had(
    keeper: Keeper, client: redis.Redis, store: Store, sandbox: Sandbox
) -> None:
    target = token_of(replace(CLASSIC.account, publish=("mine",)))
    keeper.refresh(target)
    sandbox.fault("errcode", errcode=40125, times=9, path="token")
    dead = fingerprint(value_in(client))
    sandbox.revoke()
    with pytest.raises(OperatorError):
        keeper.refresh(target, Demand(rejected=dead))

    assert client.get(TOKEN) is None
    assert client.get("mine") is None
    assert describe(look(store, DEMO_APPID), DURATIONS)["state"] == "missing"
    with pytest.raises(TokenUnavailable, match="check the AppSecret") as caught:
        keeper.get(target)
    assert caught.value.errcode == 40125


@pytest.mark.parametrize(("errcode", "error"), [(45011, MinuteLimit), (45009, DayLimit)])
@pytest.mark.parametrize("demand", [Demand(early=True), Demand(force=True)])
def test_a_limit_of_wechats_can_not_be_asked_away(
    make_refresher: Callable[..., Keeper], sandbox: Sandbox, errcode: int, error: type[Exception], demand: Demand
) -> None:
    keeper = make_refresher(overlap=0.0, retry_gap=0.0, minute=60.0, day_probe=60.0, force_interval=0.0)
    keeper.refresh(STABLE)
    sandbox.fault("errcode", errcode=errcode, times=9)
    with pytest.raises(error):
        keeper.refresh(STABLE, demand)

    assert [keeper.refresh(STABLE, demand).result for _ in range(5)] == ["waiting"] * 5
    assert sandbox.counts().fetches == 2


def test_once_more_when_wechat_can_no_longer_act_on_a_fetch_whose_answer_was_lost(
    make_refresher: Callable[..., Keeper], store: Store, client: redis.Redis, sandbox: Sandbox
) -> None:
    keeper = make_refresher(fetch_timeout=0.5, stray=0.0, overlap=0.0)
    sandbox.fault("reset")
    with pytest.raises(NetworkError) as caught:
        keeper.refresh(CLASSIC)
    time.sleep(caught.value.retry_in or 0)
    assert keeper.refresh(CLASSIC).result == "refreshed"
    assert keeper.refresh(CLASSIC).result == "fresh"
    healed = client.get(TOKEN)

    time.sleep(planned_in(store, client) + 0.01)
    assert keeper.refresh(CLASSIC).result == "refreshed"
    assert client.get(TOKEN) != healed
    assert keeper.refresh(CLASSIC).result == "fresh"
    assert planned_in(store, client) > 5


def test_a_lost_answer_of_stable_token_is_simply_repeated(
    make_refresher: Callable[..., Keeper], store: Store, client: redis.Redis, sandbox: Sandbox
) -> None:
    keeper = make_refresher(overlap=0.0)
    keeper.refresh(STABLE)
    sandbox.fault("reset")
    with pytest.raises(NetworkError) as caught:
        keeper.refresh(STABLE, Demand(early=True))

    assert int(client.pttl(TOKEN)) > 10_000
    time.sleep(caught.value.retry_in or 0)
    keeper.refresh(STABLE, Demand(early=True))
    assert planned_in(store, client) > 5


def test_a_fetch_that_died_with_its_process_is_made_up_for(
    make_refresher: Callable[..., Keeper], store: Store, sandbox: Sandbox
) -> None:
    keeper = make_refresher(overlap=0.0)
    keeper.refresh(CLASSIC)
    assert lease_of(store, DEMO_APPID, 0.05)
    time.sleep(0.08)

    assert keeper.refresh(CLASSIC).result == "refreshed"
    assert keeper.refresh(CLASSIC).result == "fresh"
    assert sandbox.counts().fetches == 2


def test_a_token_that_we_may_have_ended_ourselves_is_no_sign_of_another_program(
    make_refresher: Callable[..., Keeper], store: Store, sandbox: Sandbox, client: redis.Redis
) -> None:
    keeper = make_refresher(overlap=4.0)
    keeper.refresh(CLASSIC)
    assert lease_of(store, DEMO_APPID, 0.05), "its holder dies"
    time.sleep(0.08)
    sandbox.revoke()

    assert keeper.refresh(CLASSIC, Demand(rejected=fingerprint(value_in(client)))).result == "refreshed"
    assert look(store, DEMO_APPID).early_deaths == 0


def test_a_waiter_does_not_queue_up_behind_a_dead_holder(make_refresher: Callable[..., Keeper], store: Store) -> None:
    assert lease_of(store, DEMO_APPID, 0.4)
    began = time.monotonic()
    token, now = make_refresher().get(STABLE)

    assert token.expires_in(now) > 0
    assert time.monotonic() - began < 1


def test_a_waiter_gives_up_in_time_with_a_reason(make_refresher: Callable[..., Keeper], store: Store) -> None:
    over = threading.Event()

    def hog() -> None:
        while not over.is_set():
            lease_of(store, DEMO_APPID, 1)

    thread = threading.Thread(target=hog)
    thread.start()
    began = time.monotonic()
    with pytest.raises(TokenUnavailable, match="under way"):
        make_refresher(fetch_timeout=0.2).get(STABLE)
    over.set()
    thread.join()

    assert time.monotonic() - began < 1


def test_the_ledger_counts_each_fetch(keeper: Keeper, store: Store, sandbox: Sandbox) -> None:
    sandbox.fault("errcode", errcode=-1)
    with pytest.raises(TransientError) as caught:
        keeper.refresh(CLASSIC)
    time.sleep(caught.value.retry_in or 0)
    keeper.refresh(CLASSIC)

    assert look(store, DEMO_APPID).fetches_today == sandbox.counts().fetches == 2


def test_the_ledger_stops_before_the_quota_is_gone(
    make_refresher: Callable[..., Keeper], sandbox: Sandbox, client: redis.Redis
) -> None:
    small = token_of(replace(CLASSIC.account, quota=4))
    keeper = make_refresher(force_interval=0.0, day_probe=0.2)
    for _ in range(3):
        keeper.refresh(small, Demand(force=True))
    before = value_in(client)
    with pytest.raises(DayLimit, match="no fetches left") as caught:
        keeper.refresh(small, Demand(force=True))

    assert sandbox.counts().fetches == 3
    assert value_in(client) == before
    time.sleep(caught.value.retry_in or 0)
    client.hset(STATE, "day", "19000")
    assert keeper.refresh(small, Demand(force=True)).result == "refreshed"


def test_forced_refreshes_keep_their_distance_and_their_number(
    make_refresher: Callable[..., Keeper], sandbox: Sandbox, client: redis.Redis
) -> None:
    keeper = make_refresher()
    outcomes = [keeper.refresh(STABLE, Demand(force=True)).result for _ in range(50)]
    assert outcomes == ["refreshed"] + ["fresh"] * 49
    client.hset(STATE, mapping={"forced_today": "20", "forced_at": "0"})
    with pytest.raises(DayLimit, match="no forced refreshes left"):
        keeper.refresh(STABLE, Demand(force=True))

    assert sandbox.counts().forced == 1


def test_a_hostile_reporter_causes_one_test_in_a_while_and_no_fetch(
    make_refresher: Callable[..., Keeper], sandbox: Sandbox, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    keeper = make_refresher(report_interval=0.4)
    keeper.refresh(CLASSIC)
    live = Demand(rejected=fingerprint(value_in(client)))
    began = time.monotonic()
    while time.monotonic() - began < 1:
        assert keeper.refresh(CLASSIC, live).result == "fresh"

    assert 2 <= sum("was probed" in record.message for record in caplog.records) <= 3
    assert sandbox.counts().fetches == 1


@pytest.mark.parametrize("storms", [1, 2, 3])
def test_a_token_that_was_never_tested_is_tested_at_once_however_lately_another_was(
    make_refresher: Callable[..., Keeper], sandbox: Sandbox, client: redis.Redis, storms: int
) -> None:
    keeper = make_refresher(report_interval=60)
    keeper.refresh(CLASSIC)
    for _ in range(storms):
        dead = value_in(client)
        sandbox.revoke()
        token, _ = keeper.get(CLASSIC, fingerprint(dead))
        assert sandbox.verdict(token.access_token).works

    assert sandbox.counts().fetches == storms + 1


def test_a_death_of_a_contested_account_is_looked_at_when_the_interval_is_over(
    make_refresher: Callable[..., Keeper], sandbox: Sandbox, client: redis.Redis
) -> None:
    keeper = make_refresher(report_interval=0.0, contested_interval=0.5)
    keeper.refresh(CLASSIC)
    for outcome in ("refreshed", "refreshed", "refreshed", "refreshed", "waiting"):
        dead = value_in(client)
        sandbox.revoke()
        assert keeper.refresh(CLASSIC, Demand(rejected=fingerprint(dead))).result == outcome
    with pytest.raises(TokenUnavailable, match="too early to look into that again"):
        make_refresher(contested_interval=60, fetch_timeout=0.1).get(CLASSIC, fingerprint(dead))
    time.sleep(0.5)

    # The report was noted: nobody need repeat it.
    assert keeper.refresh(CLASSIC).result == "refreshed"
    assert sandbox.verdict(value_in(client)).works


def test_tokens_that_keep_dying_early_make_an_account_contested(
    make_refresher: Callable[..., Keeper],
    sandbox: Sandbox,
    client: redis.Redis,
    store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keeper = make_refresher(report_interval=0.0, contested_interval=1.5)
    keeper.refresh(CLASSIC)
    for number in range(1, 5):
        sandbox.revoke()
        keeper.refresh(CLASSIC, Demand(rejected=fingerprint(value_in(client))))
        assert look(store, DEMO_APPID).early_deaths == number
    assert f"another program fetches for {DEMO_APPID}" in caplog.text
    assert describe(look(store, DEMO_APPID), DURATIONS)["state"] == "contested"
    sandbox.revoke()
    report = Demand(rejected=fingerprint(value_in(client)))

    assert keeper.refresh(CLASSIC, report).result == "waiting"
    assert sandbox.counts().fetches == 5
    time.sleep(1.5)
    assert keeper.refresh(CLASSIC, report).result == "refreshed"


def test_a_check_that_finds_another_stable_token_tells_of_somebody_elses_force(
    make_refresher: Callable[..., Keeper], sandbox: Sandbox, store: Store
) -> None:
    keeper = make_refresher(overlap=0.05)
    keeper.refresh(STABLE)
    time.sleep(0.1)
    sandbox.platform.mint_stable(DEMO_APPID, DEMO_SECRET, "client_credential", "127.0.0.1", force_refresh=True)
    keeper.refresh(STABLE, Demand(early=True))

    assert look(store, DEMO_APPID).early_deaths == 1


def test_a_token_that_redis_was_not_there_to_take_is_kept_until_it_is_back(
    own_server: RedisServer, sandbox: Sandbox
) -> None:
    durations = replace(DURATIONS, fetch_timeout=2.0)
    with closing(connect(own_server.url, timeout=0.2)) as client:
        store = Store(client, scripts=Scripts(client, Patience(0.2, 0.6, 3)))
        keeper = refresher_for(store, WeChat(Transport(), {"wechat": (sandbox.url,)}, 2.0), durations)
        keeper.refresh(CLASSIC)
        sandbox.fault("delay", seconds=0.6)
        with ThreadPoolExecutor(1) as pool:
            outcome = pool.submit(keeper.refresh, CLASSIC, Demand(force=True))
            time.sleep(0.2)
            own_server.kill()
            time.sleep(2)
            own_server.start()
            with pytest.raises(StoreUnavailable):
                outcome.result()

        wait_for(lambda: look(store, DEMO_APPID).fingerprint == sandbox.mints(DEMO_APPID)[-1].fingerprint)
        assert len(sandbox.mints(DEMO_APPID)) == 2
        assert look(store, DEMO_APPID).fingerprint == sandbox.mints(DEMO_APPID)[-1].fingerprint
        assert keeper.refresh(CLASSIC).result == "fresh"


def test_a_herd_is_let_in_at_a_limited_rate(store: Store, sandbox: Sandbox) -> None:
    accounts = [Account(f"wx{number:016x}", Secret(DEMO_SECRET)) for number in range(20)]
    for account in accounts:
        sandbox.add_account(account.appid, DEMO_SECRET)
    limits = Limits(rate=40, concurrency=4)
    keeper = refresher_for(store, WeChat(Transport(), {"wechat": (sandbox.url,)}, 1), DURATIONS, limits)
    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        tokens = list(pool.map(lambda account: keeper.get(token_of(account))[0].access_token, accounts))
    spent = time.monotonic() - began

    assert len(set(tokens)) == 20
    assert spent >= (20 - 4 - 1) / 40
    assert all(sandbox.counts(account.appid).fetches == 1 for account in accounts)


def test_who_waits_for_a_turn_holds_no_lease_and_is_not_left_for_the_next_tick(store: Store, sandbox: Sandbox) -> None:
    accounts = [Account(f"wx{number:016x}", Secret(DEMO_SECRET)) for number in range(6)]
    for account in accounts:
        sandbox.add_account(account.appid, DEMO_SECRET)
    source = WeChat(Transport(), {"wechat": (sandbox.url,)}, 1)
    keeper = refresher_for(store, source, DURATIONS, Limits(rate=20, concurrency=2))
    with ThreadPoolExecutor(6) as pool:
        outcomes = [pool.submit(keeper.refresh, token_of(account)) for account in accounts]
        time.sleep(0.1)
        leases = [store.records.look(CredentialId(account.appid)).lease_left for account in accounts]
    assert leases.count(None) >= 4
    assert [outcome.result().result for outcome in outcomes] == ["refreshed"] * 6


def test_who_finds_somebody_at_it_takes_no_turn_from_others(keeper: Keeper, store: Store, client: redis.Redis) -> None:
    assert lease_of(store, DEMO_APPID, 60)
    # A lease that is longer than any of ours would be a clock's doing.
    client.pexpire(store.keys.lease(CredentialId(DEMO_APPID)), int(DURATIONS.lease * 1000))

    assert keeper.refresh(CLASSIC).result == "busy"
    assert not client.exists("tokenworker:{limiter}:rate")


# What is made from something else.


def test_what_lacks_what_it_is_made_from_says_so_and_rests(keeper: Keeper, store: Store, server: RedisServer) -> None:
    account = Account(DEMO_APPID, Secret("0" * 32), keep=("access_token", "jsapi_ticket"))
    ticket = target_of(account, "jsapi_ticket")
    with pytest.raises(TokenUnavailable, match="40125"):
        keeper.refresh(ticket)

    with TokenReader(server.url) as reader, pytest.raises(TokenUnavailable, match=r"is made from .* 40125") as caught:
        reader.get_ticket(DEMO_APPID)
    assert caught.value.errcode == 40125
    assert "AppSecret" in caught.value.hint
    # So that the watchdog and the tick leave it alone for a while, and not longer than its token's own rest.
    assert keeper.refresh(ticket).result == "waiting"
    assert 0 < store.records.look(ticket.id).retry_at - store.now() <= DURATIONS.operator_wait * 1.2

    mended = target_of(replace(account, secret=Secret(DEMO_SECRET)), "jsapi_ticket")
    assert keeper.refresh(mended).result == "refreshed"
    assert store.records.look(ticket.id).error == ""


# The way to Redis.


class CountedConnection(redis.Connection):
    """Counts how often something is sent: what goes together, as a pipeline does, is one round trip."""

    sent = 0

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        CountedConnection.sent += 1
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]


@pytest.fixture
def count_trips(client: redis.Redis) -> Callable[[Callable[[], object]], int]:
    """Return a function that says how many round trips something takes on a connection that is open."""
    client.connection_pool.connection_class = CountedConnection

    def count(work: Callable[[], object]) -> int:
        client.ping()
        before = CountedConnection.sent
        work()
        return CountedConnection.sent - before

    return count


@pytest.mark.parametrize("target", [STABLE, CLASSIC], ids=["stable", "classic"])
def test_a_refresh_of_a_stale_token_takes_six_round_trips_at_most(
    keeper: Keeper, client: redis.Redis, count_trips: Callable[[Callable[[], object]], int], target: Target
) -> None:
    keeper.refresh(target)
    client.hset(STATE, "refresh_at", "1")
    trips = count_trips(lambda: keeper.refresh(target))

    assert look(Store(client), DEMO_APPID).fetches_today == 2
    assert trips <= 6


def test_a_live_token_is_got_in_one_round_trip(
    keeper: Keeper, count_trips: Callable[[Callable[[], object]], int]
) -> None:
    keeper.refresh(STABLE)

    assert count_trips(lambda: keeper.get(STABLE)) == 1
