"""When WeChat is called, on the boundary to the millisecond."""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

import pytest

from tokenworker.accounts.account import Account, Endpoint
from tokenworker.credential import Credential, Issued, fingerprint
from tokenworker.durations import Durations
from tokenworker.errors import DayLimit, FetchError, MinuteLimit, NetworkError, OperatorError
from tokenworker.refresh.causes import Cause, Demand
from tokenworker.refresh.decide import (
    Decision,
    Fetch,
    Nothing,
    Probe,
    Wait,
    budget,
    decide,
    foreign,
    must_force,
    next_look,
    refresh_at,
    usable,
    wait_after,
)
from tokenworker.secret import Secret
from tokenworker.store.state import Lease, Snapshot

DURATIONS = Durations()
ACCOUNT = Account("wx1", Secret("s"))
NAME = fingerprint("token")
#: An appid whose hash is nearly 0, so that it is spread by nothing.
UNSPREAD = min((f"wx{n}" for n in range(10_000)), key=lambda appid: crc32(appid.encode()))
FRESH = Snapshot(
    appid="wx1",
    now=1000.0,
    token=Credential("token", 8000.0),
    lease_left=None,
    fingerprint=NAME,
    fetched_at=500.0,
    refresh_at=7705.0,
    fencing=3,
    resolved=3,
    settings_tried=ACCOUNT.settings_digest,
)


CLASSIC = replace(ACCOUNT, endpoint="token")
CHANGED_CLASSIC = {"settings_announced": CLASSIC.settings_digest, "settings_accepted": "before"}
CHANGED = {"settings_announced": ACCOUNT.settings_digest, "settings_accepted": "before"}


def decision(changes: dict[str, object], demand: Demand | None = None, account: Account = ACCOUNT) -> Decision:
    return decide(replace(FRESH, **changes), account, demand or Demand(), DURATIONS)  # type: ignore[arg-type]


def test_nothing_is_due_while_the_token_is_fresh() -> None:
    assert decision({}) == Nothing()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"now": 7704.999}, Nothing()),
        ({"now": 7705.0}, Fetch(Cause.STALE)),
        ({"token": None}, Fetch(Cause.MISSING)),
        ({"token": None, "probed_dead": NAME}, Fetch(Cause.DEAD)),
        ({"token": None, "probed_dead": fingerprint("another")}, Fetch(Cause.MISSING)),
        ({"token": Credential("another", 8000.0)}, Fetch(Cause.OVERWRITTEN)),
        ({"probed_dead": NAME}, Fetch(Cause.DEAD)),
        ({"probed_dead": fingerprint("another")}, Nothing()),
        ({"in_doubt": 0}, Fetch(Cause.IN_DOUBT)),
        ({"resolved": 2}, Fetch(Cause.UNRESOLVED)),
        ({"resolved": 2, "lease_left": 3.0}, Nothing()),
        ({"in_doubt_until": 1000.001}, Nothing()),
        ({"in_doubt_until": 1000.0}, Fetch(Cause.LATE)),
        ({"in_doubt_until": 1068.001}, Nothing()),
        ({"in_doubt_until": 1068.051}, Fetch(Cause.LATE)),
        ({"fetched_at": 1005.0}, Nothing()),
        ({"fetched_at": 1005.001}, Fetch(Cause.CLOCK)),
        ({"rejected": NAME}, Probe(Cause.REJECTED)),
        ({"rejected": fingerprint("another")}, Nothing()),
        ({"rejected": NAME, "probed_alive": NAME, "probed_at": 970.001}, Nothing()),
        ({"rejected": NAME, "probed_alive": NAME, "probed_at": 970.0}, Probe(Cause.REJECTED)),
        (CHANGED, Fetch(Cause.CHANGED)),
        (CHANGED | {"settings_accepted": ACCOUNT.settings_digest}, Nothing()),
        (CHANGED | {"settings_accepted": ""}, Nothing()),
        (CHANGED | {"settings_announced": "another"}, Nothing()),
    ],
)
def test_what_is_known_of_an_account_decides(changes: dict[str, object], expected: Decision) -> None:
    assert decision(changes) == expected


@pytest.mark.parametrize(
    ("demand", "now", "expected"),
    [
        (Demand(early=True), 799.999, Nothing()),
        (Demand(early=True), 800.0, Fetch(Cause.EARLY)),
        (Demand(rejected=NAME), 1000.0, Probe(Cause.REJECTED)),
        (Demand(rejected=fingerprint("old")), 1000.0, Nothing()),
        (Demand(force=True), 1000.0, Fetch(Cause.FORCED, force=True)),
    ],
)
def test_a_demand_adds_to_what_is_due(demand: Demand, now: float, expected: Decision) -> None:
    assert decision({"now": now}, demand) == expected


#: 300 s of overlap, less a lease of 15 s and a tick of 5 s: so long after a fetch that got lost the next one waits.
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"in_doubt_since": 999.0}, Probe(Cause.DOUBTFUL)),
        ({"in_doubt_since": 999.0, "probed": NAME, "probed_at": 998.949}, Probe(Cause.DOUBTFUL)),
        ({"in_doubt_since": 999.0, "probed": NAME, "probed_at": 998.95}, Nothing()),
        ({"in_doubt_since": 999.0, "probed": fingerprint("another"), "probed_at": 999.5}, Probe(Cause.DOUBTFUL)),
        ({"in_doubt_since": 990.0, "probed": NAME, "probed_at": 990.0}, Nothing()),
        ({"in_doubt_since": 960.0, "probed": NAME, "probed_at": 970.0}, Probe(Cause.DOUBTFUL)),
        ({"in_doubt_since": 720.001, "probed": NAME, "probed_at": 999.0}, Nothing()),
        ({"in_doubt_since": 720.0, "probed": NAME, "probed_at": 999.0}, Fetch(Cause.IN_DOUBT)),
        ({"in_doubt_since": 999.0, "token": Credential("token", 1020.0)}, Fetch(Cause.IN_DOUBT)),
        ({"in_doubt_since": 999.0, "token": Credential("token", 1020.1)}, Probe(Cause.DOUBTFUL)),
        ({"in_doubt_since": 999.0, "token": None}, Fetch(Cause.MISSING)),
        ({"in_doubt_since": 999.0, "now": 7800.0}, Fetch(Cause.IN_DOUBT)),
        ({"in_doubt_since": 990.0, "refresh_at": 995.0, "probed": NAME, "probed_at": 990.0}, Nothing()),
        ({"in_doubt_since": 0.0, "fetched_at": 720.0}, Fetch(Cause.IN_DOUBT)),
        ({"in_doubt_since": 0.0, "fetched_at": 720.1}, Probe(Cause.DOUBTFUL)),
        ({"in_doubt_since": 1001.0}, Fetch(Cause.IN_DOUBT)),
        ({"in_doubt_since": 720.0, "retry_at": 1010.0}, Probe(Cause.DOUBTFUL)),
        (
            {"in_doubt_since": 5000.0, "retry_at": 1010.0, "probed": NAME, "probed_at": 999.0},
            Wait(Cause.IN_DOUBT, 10.0),
        ),
        ({"in_doubt_since": 720.0, "retry_at": 1010.0, "probed": NAME, "probed_at": 979.0}, Wait(Cause.IN_DOUBT, 9.0)),
    ],
    ids=str,
)
def test_a_classic_token_that_may_be_replaced_is_tested_until_the_overlap_is_nearly_over(
    changes: dict[str, object], expected: Decision
) -> None:
    assert decision({"in_doubt": 3, "settings_tried": CLASSIC.settings_digest, **changes}, account=CLASSIC) == expected


@pytest.mark.parametrize("in_doubt_since", [999.0, 0.0])
def test_a_stable_token_that_may_be_replaced_is_simply_asked_for_again(in_doubt_since: float) -> None:
    assert decision({"in_doubt": 3, "in_doubt_since": in_doubt_since}) == Fetch(Cause.IN_DOUBT)


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"in_doubt_since": 990.0, "probed": NAME, "probed_at": 990.0}, 1020.0),
        ({"in_doubt_since": 715.0, "probed": NAME, "probed_at": 990.0}, 0.0),
        ({"in_doubt_since": 725.0, "probed": NAME, "probed_at": 990.0}, 1005.0),
        ({"in_doubt_since": 990.0, "probed": NAME, "probed_at": 990.0, "token": Credential("token", 1030.0)}, 1010.0),
        ({"in_doubt_since": 900.0, "probed": NAME, "probed_at": 990.0, "in_doubt_until": 968.0}, 1020.0),
        (
            {
                "in_doubt_since": 900.0,
                "probed": NAME,
                "probed_at": 990.0,
                **CHANGED,
                "settings_announced": CLASSIC.settings_digest,
            },
            1020.0,
        ),
    ],
)
def test_an_account_in_doubt_is_looked_at_when_its_next_test_or_fetch_may_be(
    changes: dict[str, object], at: float
) -> None:
    snapshot = replace(FRESH, in_doubt=3, **changes)  # type: ignore[arg-type]

    assert next_look(snapshot, CLASSIC, DURATIONS) == pytest.approx(at)


def test_new_settings_of_a_classic_account_wait_for_the_overlap() -> None:
    revision = {"settings_announced": CLASSIC.settings_digest, "settings_accepted": "before"}

    assert decision(revision | {"fetched_at": 700.0}, account=CLASSIC) == Fetch(Cause.CHANGED)
    assert decision(revision | {"fetched_at": 700.1}, account=CLASSIC) == Nothing()
    changed = replace(FRESH, fetched_at=700.1, **revision)  # type: ignore[arg-type]
    assert next_look(changed, CLASSIC, DURATIONS) == pytest.approx(1000.1)


@pytest.mark.parametrize(
    ("forced_at", "expected"),
    [
        (965.0, Fetch(Cause.FORCED, force=True)),
        (965.001, Nothing()),
        (1000.05, Nothing()),
        (1000.051, Fetch(Cause.FORCED, force=True)),
    ],
)
def test_forced_refreshes_keep_35_seconds_apart(forced_at: float, expected: Decision) -> None:
    assert decision({"forced_at": forced_at}, Demand(force=True)) == expected


@pytest.mark.parametrize(("resolved", "expected"), [(3, Nothing()), (2, Fetch(Cause.UNRESOLVED))])
def test_who_holds_the_lease_sees_how_the_one_before_ended(resolved: int, expected: Decision) -> None:
    held = Lease("wx1", "me", 4, 1000.0)
    snapshot = replace(FRESH, fencing=4, resolved=resolved, lease_left=15.0)

    assert decide(snapshot, ACCOUNT, Demand(), DURATIONS, held) == expected


@pytest.mark.parametrize(
    ("changes", "demand", "left"),
    [
        ({"retry_at": 1010.0}, Demand(), 10.0),
        ({"retry_at": 1000.05}, Demand(), 0.0),
        ({"retry_at": 0.0}, Demand(), 0.0),
        ({"retry_at": 1010.0, "failed_at": 1000.05}, Demand(), 10.0),
        ({"retry_at": 1010.0, "failed_at": 1000.051}, Demand(), 0.0),
        ({"retry_at": 1010.0, "settings_tried": "other"}, Demand(), 0.0),
        ({"retry_at": 1010.0, "failed_at": 995.0}, Demand(early=True), 0.0),
        ({"retry_at": 1010.0, "failed_at": 995.001}, Demand(early=True), 10.0),
        ({"retry_at": 1010.0, "failed_at": 995.0, "limited": 1}, Demand(early=True), 10.0),
        ({"retry_at": 1010.0, "failed_at": 995.0}, Demand(force=True), 0.0),
        ({"retry_at": 1010.0, "failed_at": 995.0, "limited": 1}, Demand(force=True), 10.0),
        ({"retry_at": 1000.0 + 1.5 * 3600}, Demand(), 5400.0),
        ({"retry_at": 1000.1 + 1.5 * 3600}, Demand(), 0.0),
    ],
)
def test_after_a_failure_an_account_rests(changes: dict[str, object], demand: Demand, left: float) -> None:
    made = decision({"refresh_at": 999.0, **changes}, demand)

    assert isinstance(made, Wait if left else Fetch)
    assert getattr(made, "seconds", 0.0) == pytest.approx(left)


def test_a_report_is_looked_into_even_while_no_token_may_be_fetched() -> None:
    assert decision({"refresh_at": 999.0, "retry_at": 1010.0, "rejected": NAME}) == Probe(Cause.REJECTED)


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"probed_at": 990.0}, 0.0),
        ({"probed_at": 999.9, "probed": "another", "probed_alive": "another"}, 0.0),
        ({"probed_at": 970.0, "probed": NAME, "probed_alive": NAME}, 0.0),
        ({"probed_at": 1001.0}, 0.0),
        ({"probed_at": 990.0, "probed": NAME}, 5.0),
        ({"probed_at": 985.0, "probed": NAME}, 0.0),
        ({"probed_at": 990.0, "early_deaths": 3, "early_deaths_since": 900.0}, 0.0),
        ({"probed_at": 990.0, "early_deaths": 4, "early_deaths_since": 900.0}, 590.0),
        ({"probed_at": 990.0, "early_deaths": 4, "early_deaths_since": 1000.0 - 3600}, 0.0),
    ],
)
def test_a_token_that_was_not_tested_yet_is_tested_at_once_unless_the_account_is_contested(
    changes: dict[str, object], left: float
) -> None:
    expected = Wait(Cause.REJECTED, pytest.approx(left)) if left else Probe(Cause.REJECTED)  # type: ignore[arg-type]

    assert decision({"rejected": NAME, **changes}) == expected
    assert decision({"rejected": NAME, "probed_dead": NAME, **changes}) == Fetch(Cause.DEAD)


@pytest.mark.parametrize(
    ("changes", "endpoint", "cause", "foreign_"),
    [
        ({}, "stable_token", Cause.EARLY, True),
        ({}, "token", Cause.EARLY, False),
        ({}, "stable_token", Cause.FORCED, False),
        ({"now": 7700.001}, "stable_token", Cause.EARLY, False),
        ({"token": None}, "stable_token", Cause.EARLY, False),
        ({"token": Credential("theirs", 8000.0)}, "stable_token", Cause.EARLY, False),
    ],
)
def test_another_stable_token_before_its_time_is_the_work_of_somebody_else(
    changes: dict[str, object], endpoint: Endpoint, cause: Cause, foreign_: bool
) -> None:
    snapshot, account = replace(FRESH, **changes), replace(ACCOUNT, endpoint=endpoint)  # type: ignore[arg-type]

    assert foreign(snapshot, account, Issued("another", 7200), cause, DURATIONS) is foreign_
    assert not foreign(snapshot, account, Issued("token", 7200), cause, DURATIONS)


@pytest.mark.parametrize(("account", "most"), [(ACCOUNT, 475_000), (replace(ACCOUNT, endpoint="token"), 1900)])
def test_a_part_of_the_quota_is_left_to_people(account: Account, most: int) -> None:
    assert budget(account) == most
    assert budget(replace(account, quota=200)) == 190


def test_accounts_fetched_together_do_not_become_stale_together() -> None:
    fetched = Issued("t", 7200)
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

    assert refresh_at(account, common, Issued("t", life), 0.0, 295.0) == pytest.approx(at, abs=0.2)


@pytest.mark.parametrize(
    ("changes", "rejected", "may"),
    [
        ({}, None, True),
        ({}, NAME, False),
        ({}, fingerprint("old"), True),
        ({"token": None}, None, False),
        ({"probed_dead": NAME}, None, False),
        ({"fingerprint": fingerprint("another")}, None, False),
    ],
)
def test_only_our_own_living_token_is_handed_out(changes: dict[str, object], rejected: str | None, may: bool) -> None:
    assert usable(replace(FRESH, **changes), rejected) is may  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cause", "changes", "force"),
    [
        (Cause.FORCED, {}, True),
        (Cause.STALE, {"probed_dead": NAME, "reissued_dead": NAME}, False),
        (Cause.DEAD, {"probed_dead": NAME}, False),
        (Cause.DEAD, {"probed_dead": NAME, "reissued_dead": NAME}, True),
        (Cause.DEAD, {"probed_dead": NAME, "reissued_dead": NAME, "forced_today": 4}, False),
        (Cause.DEAD, {"probed_dead": NAME, "reissued_dead": NAME, "forced_at": 965.001}, False),
    ],
)
def test_force_is_only_for_a_dead_token_that_wechat_hands_out_again(
    cause: Cause, changes: dict[str, object], force: bool
) -> None:
    assert must_force(replace(FRESH, **changes), cause, DURATIONS) is force  # type: ignore[arg-type]
