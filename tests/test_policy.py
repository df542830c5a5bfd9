"""When WeChat is called, on the boundary to the millisecond."""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

import pytest

from tokenworker.accounts import Account, Endpoint
from tokenworker.durations import Durations
from tokenworker.errors import DayLimit, FetchError, MinuteLimit, NetworkError, OperatorError
from tokenworker.policy import (
    Cause,
    Demand,
    budget,
    due,
    foreign,
    must_force,
    refresh_at,
    usable,
    wait_after,
    waits,
)
from tokenworker.secret import Secret
from tokenworker.store import Lease, Snapshot
from tokenworker.tokens import AccessToken, FetchedToken, fingerprint

DURATIONS = Durations()
ACCOUNT = Account("wx1", Secret("s"))
NAME = fingerprint("token")
#: An appid whose hash is nearly 0, so that it is spread by nothing.
UNSPREAD = min((f"wx{n}" for n in range(10_000)), key=lambda appid: crc32(appid.encode()))
FRESH = Snapshot(
    appid="wx1",
    now=1000.0,
    token=AccessToken("token", 8000.0),
    lease_left=None,
    fingerprint=NAME,
    fetched_at=500.0,
    refresh_at=7705.0,
    fencing=3,
    settled=3,
    revision=ACCOUNT.revision,
)


def test_nothing_is_due_while_the_token_is_fresh() -> None:
    assert due(FRESH, Demand(), DURATIONS) is None


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"now": 7704.999}, None),
        ({"now": 7705.0}, Cause.STALE),
        ({"token": None}, Cause.MISSING),
        ({"token": AccessToken("another", 8000.0)}, Cause.OVERWRITTEN),
        ({"dead": NAME}, Cause.DEAD),
        ({"dead": fingerprint("another")}, None),
        ({"suspect": 0}, Cause.SUSPECT),
        ({"settled": 2}, Cause.UNSETTLED),
        ({"settled": 2, "lease_left": 3.0}, None),
        ({"stray_until": 1000.001}, None),
        ({"stray_until": 1000.0}, Cause.STRAY),
        ({"stray_until": 1068.001}, None),
        ({"stray_until": 1068.051}, Cause.STRAY),
        ({"fetched_at": 1005.0}, None),
        ({"fetched_at": 1005.001}, Cause.CLOCK),
        ({"rejected": NAME}, Cause.REJECTED),
        ({"rejected": fingerprint("another")}, None),
        ({"rejected": NAME, "proven": NAME, "tested_at": 970.001}, None),
        ({"rejected": NAME, "proven": NAME, "tested_at": 970.0}, Cause.REJECTED),
    ],
)
def test_what_is_known_of_an_account_decides(changes: dict[str, object], cause: Cause | None) -> None:
    assert due(replace(FRESH, **changes), Demand(), DURATIONS) is cause  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("demand", "now", "cause"),
    [
        (Demand(early=True), 799.999, None),
        (Demand(early=True), 800.0, Cause.EARLY),
        (Demand(rejected=NAME), 1000.0, Cause.REJECTED),
        (Demand(rejected=fingerprint("old")), 1000.0, None),
        (Demand(force=True), 1000.0, Cause.FORCED),
    ],
)
def test_a_demand_adds_to_what_is_due(demand: Demand, now: float, cause: Cause | None) -> None:
    assert due(replace(FRESH, now=now), demand, DURATIONS) is cause


@pytest.mark.parametrize(
    ("forced_at", "cause"), [(965.0, Cause.FORCED), (965.001, None), (1000.05, None), (1000.051, Cause.FORCED)]
)
def test_forced_refreshes_keep_35_seconds_apart(forced_at: float, cause: Cause | None) -> None:
    assert due(replace(FRESH, forced_at=forced_at), Demand(force=True), DURATIONS) is cause


@pytest.mark.parametrize(("settled", "cause"), [(3, None), (2, Cause.UNSETTLED)])
def test_who_holds_the_lease_sees_how_the_one_before_ended(settled: int, cause: Cause | None) -> None:
    held = Lease("wx1", "me", 4, 1000.0)

    assert due(replace(FRESH, fencing=4, settled=settled, lease_left=15.0), Demand(), DURATIONS, held) is cause


@pytest.mark.parametrize(
    ("changes", "demand", "left"),
    [
        ({"retry_at": 1010.0}, Demand(), 10.0),
        ({"retry_at": 1000.05}, Demand(), 0.0),
        ({"retry_at": 0.0}, Demand(), 0.0),
        ({"retry_at": 1010.0, "failed_at": 1000.05}, Demand(), 10.0),
        ({"retry_at": 1010.0, "failed_at": 1000.051}, Demand(), 0.0),
        ({"retry_at": 1010.0, "revision": "other"}, Demand(), 0.0),
        ({"retry_at": 1010.0, "failed_at": 995.0}, Demand(early=True), 0.0),
        ({"retry_at": 1010.0, "failed_at": 995.001}, Demand(early=True), 10.0),
        ({"retry_at": 1010.0, "failed_at": 995.0}, Demand(force=True), 0.0),
        ({"retry_at": 1010.0, "failed_at": 995.0}, Demand(rejected=NAME), 10.0),
        ({"retry_at": 1000.0 + 1.5 * 3600}, Demand(), 5400.0),
        ({"retry_at": 1000.1 + 1.5 * 3600}, Demand(), 0.0),
    ],
)
def test_after_a_failure_an_account_rests(changes: dict[str, object], demand: Demand, left: float) -> None:
    snapshot = replace(FRESH, **changes)  # type: ignore[arg-type]

    assert waits(snapshot, ACCOUNT, demand, Cause.STALE, DURATIONS) == pytest.approx(left)


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"tested_at": 990.0}, 0.0),
        ({"tested_at": 999.9, "proven": "another"}, 0.0),
        ({"tested_at": 970.0}, 0.0),
        ({"tested_at": 1001.0}, 0.0),
        ({"tested_at": 990.0, "deaths": 3, "deaths_since": 900.0}, 0.0),
        ({"tested_at": 990.0, "deaths": 4, "deaths_since": 900.0}, 590.0),
        ({"tested_at": 990.0, "deaths": 4, "deaths_since": 1000.0 - 3600}, 0.0),
    ],
)
def test_a_token_that_was_not_tested_yet_is_tested_at_once_unless_the_account_is_contested(
    changes: dict[str, object], left: float
) -> None:
    snapshot = replace(FRESH, **changes)  # type: ignore[arg-type]

    assert waits(snapshot, ACCOUNT, Demand(), Cause.REJECTED, DURATIONS) == pytest.approx(left)
    assert waits(snapshot, ACCOUNT, Demand(), Cause.DEAD, DURATIONS) == 0.0


@pytest.mark.parametrize(
    ("changes", "endpoint", "cause", "foreign_"),
    [
        ({}, "stable_token", Cause.EARLY, True),
        ({}, "token", Cause.EARLY, False),
        ({}, "stable_token", Cause.FORCED, False),
        ({"now": 7700.001}, "stable_token", Cause.EARLY, False),
        ({"token": None}, "stable_token", Cause.EARLY, False),
        ({"token": AccessToken("theirs", 8000.0)}, "stable_token", Cause.EARLY, False),
    ],
)
def test_another_stable_token_before_its_time_is_the_work_of_somebody_else(
    changes: dict[str, object], endpoint: Endpoint, cause: Cause, foreign_: bool
) -> None:
    snapshot, account = replace(FRESH, **changes), replace(ACCOUNT, endpoint=endpoint)  # type: ignore[arg-type]

    assert foreign(snapshot, account, FetchedToken("another", 7200), cause, DURATIONS) is foreign_
    assert not foreign(snapshot, account, FetchedToken("token", 7200), cause, DURATIONS)


@pytest.mark.parametrize(("account", "most"), [(ACCOUNT, 475_000), (replace(ACCOUNT, endpoint="token"), 1900)])
def test_a_part_of_the_quota_is_left_to_people(account: Account, most: int) -> None:
    assert budget(account) == most
    assert budget(replace(account, quota=200)) == 190


def test_accounts_fetched_together_do_not_become_stale_together() -> None:
    fetched = FetchedToken("t", 7200)
    moments = [refresh_at(replace(ACCOUNT, appid=f"wx{n}"), None, fetched, 0.0, 295.0) for n in range(1000)]

    assert min(moments) >= 6905
    assert max(moments) <= 6905 + 0.07 * 295
    assert len({int(moment) for moment in moments}) >= 20


@pytest.mark.parametrize(
    ("error", "failures", "wait"),
    [
        (NetworkError("x"), 1, 1),
        (NetworkError("x"), 2, 2),
        (NetworkError("x"), 4, 8),
        (NetworkError("x"), 5, 15),
        (NetworkError("x"), 100_000, 15),
        (OperatorError("x"), 1, 60),
        (OperatorError("x"), 2, 120),
        (OperatorError("x"), 99, 1800),
    ],
)
def test_waits_double_up_to_a_cap_with_a_fifth_of_jitter(error: FetchError, failures: int, wait: float) -> None:
    waits_ = [wait_after(error, failures, 0.0, DURATIONS) for _ in range(200)]

    assert min(waits_) >= 0.8 * wait
    assert max(waits_) <= 1.2 * wait
    assert max(waits_) > min(waits_)


def test_the_minute_limit_waits_for_the_next_minute() -> None:
    wait = wait_after(MinuteLimit("x"), 1, 6030.0, DURATIONS)

    assert 30 <= wait <= 36


@pytest.mark.parametrize(("now", "wait"), [(0.0, 3600), (16 * 3600 - 100.0, 115)])
def test_the_day_limit_waits_an_hour_or_until_midnight_in_beijing(now: float, wait: float) -> None:
    assert wait_after(DayLimit("x"), 1, now, DURATIONS) == wait


@pytest.mark.parametrize(
    ("endpoint", "own", "common", "life", "at"),
    [
        ("stable_token", None, None, 7200, 6905),
        ("stable_token", 100.0, None, 7200, 7100),
        ("stable_token", None, 200.0, 7200, 7000),
        ("stable_token", 100.0, 200.0, 7200, 7100),
        ("stable_token", None, None, 296, 1),
        ("stable_token", None, None, 294.9, 73.725),
        ("token", None, None, 7200, 3600),
        ("token", 1000.0, None, 7200, 6200),
        ("token", None, 200.0, 7200, 7000),
        ("token", 9000.0, None, 7200, 1800),
    ],
)
def test_a_token_is_stale_one_leeway_before_its_end(
    endpoint: Endpoint, own: float | None, common: float | None, life: float, at: float
) -> None:
    account = replace(ACCOUNT, appid=UNSPREAD, endpoint=endpoint, leeway=own)

    assert refresh_at(account, common, FetchedToken("t", life), 0.0, 295.0) == pytest.approx(at, abs=0.2)


@pytest.mark.parametrize(
    ("changes", "rejected", "may"),
    [
        ({}, None, True),
        ({}, NAME, False),
        ({}, fingerprint("old"), True),
        ({"token": None}, None, False),
        ({"dead": NAME}, None, False),
        ({"fingerprint": fingerprint("another")}, None, False),
    ],
)
def test_only_our_own_living_token_is_handed_out(changes: dict[str, object], rejected: str | None, may: bool) -> None:
    assert usable(replace(FRESH, **changes), rejected) is may  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cause", "changes", "force"),
    [
        (Cause.FORCED, {}, True),
        (Cause.STALE, {"dead": NAME, "stuck": NAME}, False),
        (Cause.DEAD, {"dead": NAME}, False),
        (Cause.DEAD, {"dead": NAME, "stuck": NAME}, True),
        (Cause.DEAD, {"dead": NAME, "stuck": NAME, "forced_today": 4}, False),
        (Cause.DEAD, {"dead": NAME, "stuck": NAME, "forced_at": 965.001}, False),
    ],
)
def test_force_is_only_for_a_dead_token_that_wechat_hands_out_again(
    cause: Cause, changes: dict[str, object], force: bool
) -> None:
    assert must_force(replace(FRESH, **changes), cause, DURATIONS) is force  # type: ignore[arg-type]
