"""When WeChat is called, on the boundary to the millisecond."""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

import pytest
from support.targets import token_of

from tokenworker.accounts.account import Account, Endpoint
from tokenworker.credential import Credential, CredentialId, Issued, fingerprint
from tokenworker.credentials import target
from tokenworker.credentials.kind import HOUR
from tokenworker.credentials.target import Target
from tokenworker.durations import DAY, Durations
from tokenworker.errors import DayLimit, FetchError, MinuteLimit, NetworkError, OperatorError
from tokenworker.refresh.causes import Cause, Demand
from tokenworker.refresh.decide import (
    Decision,
    Fetch,
    Nothing,
    Probe,
    Wait,
    budget,
    cooldown_after,
    decide,
    foreign,
    must_force,
    next_look,
    usable,
)
from tokenworker.refresh.lifetime import Lifetime, lifetime
from tokenworker.secret import Secret
from tokenworker.store.state import Lease, Snapshot

DURATIONS = Durations()
ACCOUNT = Account("wx1", Secret("s"))
NAME = fingerprint("token")
#: An appid whose hash is nearly 0, so that it is spread by nothing.
UNSPREAD = min((f"wx{n}" for n in range(10_000)), key=lambda appid: crc32(appid.encode()))
FRESH = Snapshot(
    id=CredentialId("wx1"),
    now=1000.0,
    credential=Credential("token", 8000.0),
    lease_left=None,
    fingerprint=NAME,
    fetched_at=500.0,
    refresh_at=7705.0,
    fencing=3,
    resolved=3,
    settings_tried=ACCOUNT.settings_digest,
)


CLASSIC = replace(ACCOUNT, endpoint="token")
CHANGED = {"settings_announced": ACCOUNT.settings_digest, "settings_accepted": "before"}

#: What counts from its first sight, of accounts that are spread by nothing.
WECOM = Account(UNSPREAD, Secret("s"), type="wecom", keep=("access_token", "jsapi_ticket", "agent_ticket"))
WECOM_TOKEN, WECOM_TICKET, AGENT_TICKET = (target(WECOM, name) for name in WECOM.keep)
WECHAT_TICKET = target(replace(ACCOUNT, id=UNSPREAD, keep=("jsapi_ticket",)), "jsapi_ticket")
#: Nothing was ever seen.
FIRST = Snapshot(id=CredentialId(UNSPREAD), now=0.0, credential=None, lease_left=None)


def decision(changes: dict[str, object], demand: Demand | None = None, account: Account = ACCOUNT) -> Decision:
    return decide(replace(FRESH, **changes), token_of(account), demand or Demand(), DURATIONS)  # type: ignore[arg-type]


def test_nothing_is_due_while_the_token_is_fresh() -> None:
    assert decision({}) == Nothing()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"now": 7704.999}, Nothing()),
        ({"now": 7705.0}, Fetch(Cause.STALE)),
        ({"credential": None}, Fetch(Cause.MISSING)),
        ({"credential": None, "probed_dead": NAME}, Fetch(Cause.DEAD)),
        ({"credential": None, "probed_dead": fingerprint("another")}, Fetch(Cause.MISSING)),
        ({"credential": Credential("another", 8000.0)}, Fetch(Cause.OVERWRITTEN)),
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
        ({"in_doubt_since": 999.0, "credential": Credential("token", 1020.0)}, Fetch(Cause.IN_DOUBT)),
        ({"in_doubt_since": 999.0, "credential": Credential("token", 1020.1)}, Probe(Cause.DOUBTFUL)),
        ({"in_doubt_since": 999.0, "credential": None}, Fetch(Cause.MISSING)),
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
        (
            {"in_doubt_since": 990.0, "probed": NAME, "probed_at": 990.0, "credential": Credential("token", 1030.0)},
            1010.0,
        ),
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

    assert next_look(snapshot, token_of(CLASSIC), DURATIONS) == pytest.approx(at)


def test_new_settings_of_a_classic_account_wait_for_the_overlap() -> None:
    revision = {"settings_announced": CLASSIC.settings_digest, "settings_accepted": "before"}

    assert decision(revision | {"fetched_at": 700.0}, account=CLASSIC) == Fetch(Cause.CHANGED)
    assert decision(revision | {"fetched_at": 700.1}, account=CLASSIC) == Nothing()
    changed = replace(FRESH, fetched_at=700.1, **revision)  # type: ignore[arg-type]
    assert next_look(changed, token_of(CLASSIC), DURATIONS) == pytest.approx(1000.1)


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
    held = Lease(CredentialId("wx1"), "me", 4, 1000.0, 1015.0)
    snapshot = replace(FRESH, fencing=4, resolved=resolved, lease_left=15.0)

    assert decide(snapshot, token_of(ACCOUNT), Demand(), DURATIONS, held) == expected


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
        ({"credential": None}, "stable_token", Cause.EARLY, False),
        ({"credential": Credential("theirs", 8000.0)}, "stable_token", Cause.EARLY, False),
    ],
)
def test_another_stable_token_before_its_time_is_the_work_of_somebody_else(
    changes: dict[str, object], endpoint: Endpoint, cause: Cause, foreign_: bool
) -> None:
    snapshot, token = replace(FRESH, **changes), token_of(replace(ACCOUNT, endpoint=endpoint))  # type: ignore[arg-type]

    assert foreign(snapshot, token, fingerprint("another"), cause, DURATIONS) is foreign_
    assert not foreign(snapshot, token, NAME, cause, DURATIONS)


@pytest.mark.parametrize(
    ("it", "fetches", "period"),
    [
        (token_of(ACCOUNT), 475_000, DAY),
        (token_of(CLASSIC), 1900, DAY),
        (token_of(replace(CLASSIC, quota=200)), 190, DAY),
        (WECHAT_TICKET, 9500, DAY),
        (WECOM_TICKET, 380, HOUR),
        (AGENT_TICKET, 95, HOUR),
        (replace(WECOM_TICKET, account=replace(WECOM, quota=200)), 190, DAY),
    ],
)
def test_a_part_of_the_quota_is_left_to_people(it: Target, fetches: int, period: float) -> None:
    assert budget(it) == (fetches, period)


def test_where_wechat_names_no_quota_nobody_meets_one() -> None:
    fetches, period = budget(WECOM_TOKEN)

    assert fetches / period > 1000
    assert budget(replace(WECOM_TOKEN, account=replace(WECOM, quota=200))) == (190, DAY)


def life(
    it: Target, seconds: float = 7200, before: Snapshot = FIRST, at: float = 0.0, leeway: float | None = None
) -> Lifetime:
    """Return the lifetime of a value that was fetched at `at`; `leeway` is the settings'."""
    return lifetime(it, Issued("token", seconds), before, at, DURATIONS, leeway)


def test_accounts_fetched_together_do_not_become_stale_together() -> None:
    moments = [life(token_of(replace(ACCOUNT, id=f"wx{n}"))).refresh_at for n in range(1000)]

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
    waits_ = [cooldown_after(error, failures, 0.0, DURATIONS) for _ in range(200)]

    assert min(waits_) >= 0.8 * wait
    assert max(waits_) <= 1.2 * wait
    assert max(waits_) > min(waits_)


def test_the_minute_limit_waits_for_the_next_minute() -> None:
    wait = cooldown_after(MinuteLimit("x"), 1, 6030.0, DURATIONS)

    assert 30 <= wait <= 36


@pytest.mark.parametrize(("now", "wait"), [(0.0, 3600), (16 * 3600 - 100.0, 115)])
def test_the_day_limit_waits_an_hour_or_until_midnight_in_beijing(now: float, wait: float) -> None:
    assert cooldown_after(DayLimit("x"), 1, now, DURATIONS) == wait


@pytest.mark.parametrize(
    ("endpoint", "own", "common", "life_", "at"),
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
    endpoint: Endpoint, own: float | None, common: float | None, life_: float, at: float
) -> None:
    token = token_of(replace(ACCOUNT, id=UNSPREAD, endpoint=endpoint, leeway=own))
    found = life(token, life_, leeway=common)

    assert found.refresh_at == pytest.approx(at, abs=0.2)
    assert found.expires_at == found.ends_at == life_


@pytest.mark.parametrize(
    ("changes", "rejected", "may"),
    [
        ({}, None, True),
        ({}, NAME, False),
        ({}, fingerprint("old"), True),
        ({"credential": None}, None, False),
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


def test_what_can_not_be_forced_is_asked_for_as_ever_when_a_dead_one_comes_again() -> None:
    """Or else the ledger would count forced refreshes that were none, and each would put the token in doubt."""
    again = replace(FRESH, credential=None, probed_dead=NAME, reissued_dead=NAME)

    assert decide(again, WECOM_TOKEN, Demand(), DURATIONS) == Fetch(Cause.DEAD)
    assert decide(again, token_of(ACCOUNT), Demand(), DURATIONS) == Fetch(Cause.DEAD, force=True)


# What counts from the first sight of a value; moments are seconds after a first fetch of which nothing was known.

START = 1_800_000_000.0


def fetched(it: Target, *values: tuple[float, str], seconds: float = 7200, **settings: float) -> Lifetime:
    """Return the lifetime of the last one of these values, each handed out at its moment with so long to live."""
    before, found = FIRST, Lifetime(0, 0, 0)
    for moment, value in values:
        durations = replace(DURATIONS, second=settings.get("second", 1.0))
        found = lifetime(it, Issued(value, seconds), before, START + moment, durations, settings.get("leeway"))
        before = replace(
            FIRST,
            fingerprint=fingerprint(value),
            fetched_at=START + moment,
            refresh_at=found.refresh_at,
            ends_at=found.ends_at,
            born_after=found.born_after,
        )
    moments = [found.ends_at, found.expires_at, found.refresh_at, found.born_after]
    # The leeway is up to 7 % less, by the account: for this one a fraction of a second.
    return Lifetime(*(round(moment - START, 1) for moment in moments))


def again(it: Target, *moments: float) -> Lifetime:
    """Return the lifetime of a value that WeChat handed out at these moments."""
    return fetched(it, *((moment, "one") for moment in moments))


COUNTED = [
    pytest.param(WECHAT_TICKET, 600, 300, id="WeChat's ticket"),
    pytest.param(WECOM_TICKET, 600, 300, id="WeCom's ticket"),
    pytest.param(WECOM_TOKEN, 60, 0, id="WeCom's token"),
]


@pytest.mark.parametrize(("it", "leeway"), [counted.values[:2] for counted in COUNTED])
def test_what_is_seen_for_the_first_time_ends_when_wechat_says_and_may_be_a_life_old(it: Target, leeway: float) -> None:
    # Whoever knows nothing of the one before can't tell whether WeChat takes it any longer.
    assert again(it, 0) == Lifetime(7200, 7200, 7200 - leeway, -7200)


@pytest.mark.parametrize("leeway", [None, 100.0])
def test_a_leeway_that_is_set_counts_there_too(leeway: float | None) -> None:
    own = replace(WECOM_TICKET, account=replace(WECOM, leeway=leeway))

    assert life(own, at=START, leeway=200.0).refresh_at - START == pytest.approx(7200 - (leeway or 200), abs=0.2)


@pytest.mark.parametrize(("it", "leeway"), [counted.values[:2] for counted in COUNTED])
def test_a_repeat_in_the_middle_of_a_life_changes_nothing(it: Target, leeway: float) -> None:
    assert again(it, 0, 3600) == again(it, 0)
    assert again(it, 0, 100, 3600, 7199 - leeway) == again(it, 0)


def test_a_repeat_that_has_less_left_to_live_ends_sooner() -> None:
    before = replace(FIRST, fingerprint=fingerprint("token"), ends_at=7200.0, refresh_at=6600.0)

    assert life(WECOM_TICKET, 1800, before, 3600.0).ends_at == 5400


@pytest.mark.parametrize(("it", "leeway", "grace"), COUNTED)
def test_a_value_that_comes_again_near_its_end_is_asked_for_again_at_that_end(
    it: Target, leeway: float, grace: float
) -> None:
    assert again(it, 0, 7201 - leeway) == Lifetime(7200, 7200 + grace, 7200, -7200)


@pytest.mark.parametrize(("it", "leeway", "grace"), COUNTED)
def test_a_value_that_comes_again_after_its_end_is_asked_for_each_minute_and_stays_readable(
    it: Target, leeway: float, grace: float
) -> None:
    for moment in (7202, 7260, 7320):
        assert again(it, 0, 7201 - leeway, moment) == Lifetime(7200, moment + 120 + grace, moment + 60, -7200)


def test_a_token_that_comes_again_right_after_its_end_is_asked_for_again_at_once() -> None:
    for moment in (7200, 7200.5, 7201.9):
        assert again(WECOM_TOKEN, 0, 7141, moment) == Lifetime(7200, moment + 4, moment + 2, -7200)


def test_a_token_that_comes_again_after_its_end_with_a_second_left_is_not_readable_for_longer() -> None:
    before = replace(FIRST, fingerprint=fingerprint("token"), ends_at=7200.0, refresh_at=7200.0, born_after=-600.0)
    found = life(WECOM_TOKEN, 1, before, 7205.0)

    assert (found.expires_at, found.refresh_at) == (7206, 7206)


@pytest.mark.parametrize("it", [WECHAT_TICKET, WECOM_TICKET])
def test_a_repeat_in_a_life_whose_beginning_is_known_leaves_it_readable_until_the_next_one_is_asked_for(
    it: Target,
) -> None:
    values = (0, "one"), (6601, "one"), (7200, "two")

    assert fetched(it, *values, (9000, "two")) == fetched(it, *values)
    assert fetched(it, *values, (9000, "two"), (12_000, "two")).expires_at == 14_700


def test_what_is_told_how_long_it_has_left_stays_readable_past_its_end_too() -> None:
    before = replace(FIRST, fingerprint=fingerprint("token"), ends_at=7200.0, refresh_at=7202.0, born_after=-600.0)

    assert life(WECOM_TICKET, 3600, before, 3600.0).expires_at == 7500
    assert life(WECOM_TICKET, 1, before, 7199.0).expires_at == 7500


@pytest.mark.parametrize(("it", "leeway", "grace"), COUNTED)
@pytest.mark.parametrize("moment", [7145.0, 7190.0, 7199.9])
def test_a_value_that_comes_again_within_its_last_minute_is_asked_for_after_a_minute_or_when_it_goes(
    it: Target, leeway: float, grace: float, moment: float
) -> None:
    found = again(it, 0, 7199 - leeway, moment)

    assert (found.ends_at, found.refresh_at) == (7200, min(moment + 60, 7200 + grace))


@pytest.mark.parametrize(("it", "leeway", "grace"), COUNTED)
def test_who_knows_when_a_value_began_asks_for_the_next_one_at_its_end_and_not_before(
    it: Target, leeway: float, grace: float
) -> None:
    # A little after it, so that WeChat's end is over, too; but not after it goes.
    near, late = 7201 - leeway, min(2, grace)

    found = fetched(it, (0, "one"), (near, "one"), (7200, "two"))
    assert found == Lifetime(14_400, 14_400 + grace, 14_400 + late, near)
    # And so on, for as long as the next ones come in time.
    found = fetched(it, (0, "one"), (near, "one"), (7200, "two"), (14_401, "three"))
    assert found == Lifetime(21_601, 21_601 + grace, 21_601 + late, near + 7200)


def test_who_comes_late_knows_no_more_when_a_value_began() -> None:
    found = fetched(WECOM_TICKET, (0, "one"), (6601, "one"), (7200, "two"), (18_000, "three"))

    assert found == Lifetime(25_200, 25_200 + 300, 25_200 - 600, 13_801)


def test_a_value_that_wechat_may_have_handed_out_for_long_is_not_readable_past_its_end() -> None:
    """WeChat takes it while it hands it out, and for a life after that: so from 13,900 on it may not."""
    assert fetched(WECHAT_TICKET, (-500, "one"), (6700, "two")).expires_at == 13_900


def test_the_minutes_are_wechats_and_shrink_with_its_seconds() -> None:
    found = fetched(WECOM_TICKET, (0, "one"), (6700, "one"), (7200.5, "one"), second=1 / 60)

    assert found == Lifetime(7200, 7202.5 + 5, 7201.5, -7200)


# Reports of what can't be probed

#: Fetched 500 s ago.
TICKET = replace(FRESH, id=WECOM_TICKET.id, settings_tried=WECOM.settings_digest)


@pytest.mark.parametrize("it", [WECHAT_TICKET, WECOM_TICKET, AGENT_TICKET])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Nothing()),
        ({"rejected": NAME}, Fetch(Cause.REJECTED)),
        ({"rejected": fingerprint("another")}, Nothing()),
        ({"rejected": NAME, "fetched_at": 940.0}, Fetch(Cause.REJECTED)),
        ({"rejected": NAME, "fetched_at": 940.5}, Wait(Cause.REJECTED, 0.5)),
        ({"rejected": NAME, "fetched_at": 999.0}, Wait(Cause.REJECTED, 59.0)),
        ({"rejected": NAME, "fetched_at": 1000.5}, Fetch(Cause.REJECTED)),
        ({"rejected": NAME, "fetched_at": 999.0, "refresh_at": 1000.0}, Fetch(Cause.STALE)),
        ({"rejected": NAME, "retry_at": 1010.0}, Wait(Cause.REJECTED, 10.0)),
        ({"rejected": NAME, "credential": None}, Fetch(Cause.MISSING)),
    ],
)
def test_a_report_of_what_can_not_be_probed_has_it_fetched_once_a_minute_at_most(
    it: Target, changes: dict[str, object], expected: Decision
) -> None:
    snapshot = replace(TICKET, **({"settings_tried": it.settings_digest} | changes))  # type: ignore[arg-type]

    assert decide(snapshot, it, Demand(), DURATIONS) == expected
    if "rejected" in changes:
        demand = Demand(rejected=snapshot.rejected)
        assert decide(replace(snapshot, rejected=""), it, demand, DURATIONS) == expected


def test_a_report_that_rests_is_looked_at_when_its_rest_is_over() -> None:
    assert next_look(replace(TICKET, rejected=NAME, fetched_at=990.0), WECOM_TICKET, DURATIONS) == 1050
    assert next_look(replace(TICKET, rejected=NAME), WECOM_TICKET, DURATIONS) == 0


def test_what_is_in_doubt_and_can_not_be_probed_is_simply_asked_for_again() -> None:
    assert decide(replace(TICKET, in_doubt=3), WECOM_TICKET, Demand(), DURATIONS) == Fetch(Cause.IN_DOUBT)
    assert decide(replace(TICKET, resolved=2), WECOM_TICKET, Demand(), DURATIONS) == Fetch(Cause.UNRESOLVED)
