"""Cron expressions with seconds and recurrence rules: when they run, what they refuse, how beat takes them."""

import pickle
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from pathlib import Path
from traceback import format_exception
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from celery.beat import PersistentScheduler, Scheduler
from celery.schedules import BaseSchedule
from celery.signals import before_task_publish

from tokenworker.schedules import cron, recurrence

BERLIN = ZoneInfo("Europe/Berlin")
SUNDAY = datetime(2026, 2, 1, 12, 0, 0, 500000, tzinfo=UTC)  # half a second past noon


@pytest.fixture(autouse=True)
def app() -> Iterator[Celery]:
    celery_app = Celery("schedules", broker="memory://", backend="cache+memory://")
    yield celery_app
    celery_app.close()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def first_runs(rule: cron | recurrence, start: datetime, count: int) -> list[str]:
    """The next moments as the wall clock of the zone of `start` shows them, with their offset."""
    shown, moment = [], start
    for _ in range(count):
        found = rule.next_after(moment)
        assert found is not None
        shown.append(found.astimezone(start.tzinfo).strftime("%d %H:%M:%S %z"))
        moment = found
    return shown


class Clock:
    """A clock that stands until it is set; beat() asks the schedule as beat does and notes the runs."""

    def __init__(self, now: str) -> None:
        self.now = self.last_run_at = utc(now)

    def __call__(self) -> datetime:
        return self.now

    def beat(self, rule: BaseSchedule, *times: str) -> list[str]:
        ran = []
        for text in times:
            self.now = utc(text)
            if rule.is_due(self.last_run_at).is_due:
                ran.append(text)
                self.last_run_at = self.now + timedelta(milliseconds=1)
        return ran


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 1 0 * * *", "2026-02-02 00:01:30"),
        ("*/5 * * * * *", "2026-02-01 12:00:05"),
        ("1,2,31 * * * * *", "2026-02-01 12:00:01"),
        ("0 0 12 * * *", "2026-02-02 12:00:00"),
        ("  59\t59 23 31 12 * ", "2026-12-31 23:59:59"),
        ("0 0 0 * * 0", "2026-02-08 00:00:00"),
        ("0 0 0 * * 7", "2026-02-08 00:00:00"),
        ("0 0 0 * * mon-FRI", "2026-02-02 00:00:00"),
        ("0 0 0 L * *", "2026-02-28 00:00:00"),
        ("0 0 0 ? JAN *", "2027-01-01 00:00:00"),
        ("0 0 0 * * 5#2", "2026-02-13 00:00:00"),
        ("0 0 0 13 * 2", "2026-02-03 00:00:00"),
        ("30 1 0 * * * 2031", "2031-01-01 00:01:30"),
        ("0 0 0 1 1 * 2099", "2099-01-01 00:00:00"),
        ("1 0 * * *", "2026-02-02 00:01:00"),
        ("* * * * *", "2026-02-01 12:01:00"),
        ("@hourly", "2026-02-01 13:00:00"),
        (" @Daily ", "2026-02-02 00:00:00"),
    ],
)
def test_six_cron_fields_begin_with_the_second_and_five_with_the_minute(expression: str, expected: str) -> None:
    assert utc(expected) == cron(expression, tz="UTC").next_after(SUNDAY)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "*",
        "* * * *",
        "* * * * * * * *",
        "60 * * * * *",
        "0 60 * * * *",
        "* * 24 * * *",
        "0 0 0 0 * *",
        "0 0 0 * 13 *",
        "0 0 0 * * 8",
        "0 0 0 * * * 1969",
        "-1 * * * * *",
        "*/0 * * * * *",
        "a * * * * *",
        "1.5 * * * * *",
        "@reboot",
        None,
        5,
        b"* * * * *",
    ],
)
def test_a_bad_expression_is_refused_at_once_with_a_hint(expression: Any) -> None:
    with pytest.raises(ValueError) as refused:
        cron(expression)
    assert repr(expression) in str(refused.value)
    assert "'second minute hour day month weekday'" in str(refused.value)


@pytest.mark.parametrize("expression", ["R * * * * *", "0 H * * *", "0 r(1-5) * * * *", "0 0 h/2 * * *", "R R * * *"])
def test_times_drawn_by_lot_are_refused(expression: str) -> None:
    with pytest.raises(ValueError) as refused:
        cron(expression)
    assert "H and R are not supported" in str(refused.value)


@pytest.mark.parametrize(
    "make",
    [cron, lambda text: cron("* * * * * *", tz=text), lambda text: recurrence(minute=text)],
    ids=["expression", "zone", "field"],
)
@pytest.mark.parametrize("secret", ["c0ffee11c0ffee22c0ffee33c0ffee44", "81_" + "a-_9Z" * 27])
def test_a_secret_in_a_wrong_place_is_not_repeated(make: Callable[[str], object], secret: str) -> None:
    with pytest.raises(ValueError, match=r"'\*\*\*'") as refused:
        make(secret)

    assert secret[:8] not in "".join(format_exception(refused.value))


@pytest.mark.parametrize("tz", ["", "Nowhere/Else", "Europe", "../etc/passwd", "asia shanghai", 8, b"UTC"])
@pytest.mark.parametrize("make", [lambda tz: cron("* * * * * *", tz=tz), lambda tz: recurrence(tz=tz)])
def test_an_unknown_timezone_is_refused_at_once_with_a_hint(make: Callable[[Any], object], tz: Any) -> None:
    with pytest.raises(ValueError) as refused:
        make(tz)
    assert f"tz={tz!r}" in str(refused.value)
    assert "Asia/Shanghai" in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "2026-02-01 12:01:00"),
        ({"second": None}, "2026-02-01 12:00:01"),
        ({"second": 30}, "2026-02-01 12:00:30"),
        ({"minute": 0}, "2026-02-01 13:00:00"),
        ({"hour": 12}, "2026-02-01 12:01:00"),
        ({"hour": 3, "minute": 15}, "2026-02-02 03:15:00"),
        ({"hour": 23, "minute": 59, "second": 59}, "2026-02-01 23:59:59"),
        ({"date": 31}, "2026-03-31 00:00:00"),
        ({"month": 0}, "2027-01-01 00:00:00"),
        ({"month": 11, "date": 25}, "2026-12-25 00:00:00"),
        ({"month": 1, "date": 29}, "2028-02-29 00:00:00"),
        ({"dayOfWeek": 0, "hour": 0}, "2026-02-08 00:00:00"),
        ({"dayOfWeek": 6}, "2026-02-07 00:00:00"),
        ({"dayOfWeek": [1, 2], "hour": 9, "minute": 0}, "2026-02-02 09:00:00"),
        ({"dayOfWeek": 5, "date": 13}, "2026-02-13 00:00:00"),
        ({"minute": [45, 30, 45]}, "2026-02-01 12:30:00"),
        ({"minute": range(10, 60, 20)}, "2026-02-01 12:10:00"),
        ({"minute": range(50, 40, -5)}, "2026-02-01 12:45:00"),
        ({"hour": [range(3), 7, range(20, 22)]}, "2026-02-01 20:00:00"),
        ({"hour": (1, range(5, 7))}, "2026-02-02 01:00:00"),
        ({"year": 2031}, "2031-01-01 00:00:00"),
        ({"year": [2027, 2028], "month": 1, "date": 29}, "2028-02-29 00:00:00"),
        ({"year": range(2026, 2100), "second": 1}, "2026-02-01 12:00:01"),
    ],
)
def test_recurrence_fields_mean_what_they_mean_in_node_schedule(fields: dict[str, Any], expected: str) -> None:
    assert utc(expected) == recurrence(tz="UTC", **fields).next_after(SUNDAY)


def test_a_range_leaves_out_its_end_as_everywhere_in_python() -> None:
    minutes = recurrence(minute=range(1, 3), tz="UTC")
    assert first_runs(minutes, SUNDAY, 3) == ["01 12:01:00 +0000", "01 12:02:00 +0000", "01 13:01:00 +0000"]


@pytest.mark.parametrize(
    ("field", "lowest", "highest"),
    [
        ("second", 0, 59),
        ("minute", 0, 59),
        ("hour", 0, 23),
        ("date", 1, 31),
        ("month", 0, 11),
        ("dayOfWeek", 0, 6),
        ("year", 1970, 2099),
    ],
)
def test_a_field_takes_its_extremes_and_nothing_beyond_or_of_another_type(
    field: str, lowest: int, highest: int
) -> None:
    extremes: Any = {field: [lowest, highest]}
    assert recurrence(**extremes)
    wrongs: list[Any] = [
        lowest - 1,
        highest + 1,
        range(lowest, highest + 2),
        range(5, 5),
        range(10**30),
        True,
        "1",
        float(highest),
        [],
        [lowest, None],
        [[lowest]],
        {lowest},
        SUNDAY,
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=f"^recurrence: {field}=.* from {lowest} to {highest}, a range") as refused:
            recurrence(**{field: wrong})
        assert len(str(refused.value)) < 200


def test_one_message_names_all_faults_and_the_fields_there_are() -> None:
    wrong: dict[str, Any] = {"hour": 24, "minute": "5", "day": 3, "dayofweek": 1}
    with pytest.raises(ValueError) as refused:
        recurrence(**wrong)
    for expected in ["hour=24 ", "0 to 23", "minute='5' ", "0 to 59", "day is none", "dayofweek is none", "dayOfWeek,"]:
        assert expected in str(refused.value)


def test_fields_go_by_name_only() -> None:
    positional: Any = recurrence
    with pytest.raises(TypeError):
        positional(0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: recurrence(month=1, date=30),
        lambda: recurrence(month=[1, 3, 5], date=31),
        lambda: recurrence(year=[2025, 2026, 2027], month=1, date=29),
        lambda: cron("0 0 0 31 2 *"),
        lambda: cron("0 0 31 4,6 *"),
        lambda: cron("0 0 0 29 2 * 2027"),
    ],
)
def test_a_date_that_never_comes_is_refused_at_once(make: Callable[[], object]) -> None:
    started = time.process_time()
    with pytest.raises(ValueError) as refused:
        make()
    assert "would never run" in str(refused.value)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "rule", [recurrence(year=2025), recurrence(year=range(1970, 2026), month=1, date=29), cron("0 0 0 * * * 2025")]
)
def test_a_rule_that_is_over_never_runs_and_costs_next_to_nothing(rule: cron | recurrence) -> None:
    started = time.process_time()
    for _ in range(20):
        assert rule.is_due(SUNDAY) == (False, 86400)
    assert rule.remaining_estimate(SUNDAY) == timedelta(days=1)
    assert rule.next_after(SUNDAY) is None
    assert time.process_time() - started < 1


BOTH = pytest.mark.parametrize(
    ("rule_type", "arguments"), [(cron, {"expression": "0 * * * * *"}), (recurrence, {})], ids=["cron", "recurrence"]
)


@BOTH
def test_is_due_tells_the_seconds_left_and_after_a_run_those_to_the_next(rule_type: Any, arguments: Any) -> None:
    clock = Clock("2026-02-01 12:00:00.25")
    rule = rule_type(**arguments, tz="UTC", nowfun=clock)
    assert rule.is_due(clock.last_run_at) == (False, 59.75)
    assert rule.remaining_estimate(clock.last_run_at) == timedelta(seconds=59.75)
    clock.now = utc("2026-02-01 12:00:59.999999")
    assert rule.is_due(clock.last_run_at) == (False, 1e-6)
    clock.now = utc("2026-02-01 12:01:00")
    assert rule.is_due(clock.last_run_at) == (True, 60)
    clock.now = utc("2026-02-01 12:01:00.5")
    assert rule.is_due(clock.last_run_at) == (True, 59.5)
    assert rule.remaining_estimate(clock.last_run_at) == timedelta(seconds=-0.5)


@BOTH
def test_moments_missed_run_once(rule_type: Any, arguments: Any) -> None:
    clock = Clock("2026-02-01 12:00:00.5")
    rule = rule_type(**arguments, tz="UTC", nowfun=clock)
    assert clock.beat(
        rule, "2026-02-03 07:00:30", "2026-02-03 07:00:31", "2026-02-03 07:01:00", "2026-02-03 07:01:59"
    ) == ["2026-02-03 07:00:30", "2026-02-03 07:01:00"]


@BOTH
def test_a_clock_set_back_a_little_does_not_run_the_same_moment_twice(rule_type: Any, arguments: Any) -> None:
    clock = Clock("2026-02-01 12:00:59")
    rule = rule_type(**arguments, tz="UTC", nowfun=clock)
    assert clock.beat(rule, "2026-02-01 12:01:00") == ["2026-02-01 12:01:00"]
    assert clock.beat(
        rule, "2026-02-01 12:00:59.9", "2026-02-01 12:01:00", "2026-02-01 12:01:00.1", "2026-02-01 12:02:00"
    ) == ["2026-02-01 12:02:00"]


@BOTH
def test_a_clock_set_back_a_day_runs_at_its_next_moment_and_goes_on(rule_type: Any, arguments: Any) -> None:
    clock = Clock("2026-02-02 12:01:00")
    rule = rule_type(**arguments, tz="UTC", nowfun=clock)
    asked = [f"2026-02-01 12:{minute:02}:{second:02}" for minute in range(30, 33) for second in range(1, 60)]
    assert clock.beat(rule, *asked) == ["2026-02-01 12:31:01", "2026-02-01 12:32:01"]


@BOTH
def test_a_clock_set_back_over_two_moments_runs_the_one_that_did_not_run_last(rule_type: Any, arguments: Any) -> None:
    clock = Clock("2026-02-01 12:01:00")
    rule = rule_type(**arguments, tz="UTC", nowfun=clock)
    assert clock.beat(rule, "2026-02-01 11:59:30", "2026-02-01 12:00:00") == ["2026-02-01 12:00:00"]


@BOTH
def test_a_clock_set_back_twice_counts_from_the_second_time(rule_type: Any, arguments: Any) -> None:
    clock = Clock("2026-02-03 12:00:30")
    rule = rule_type(**arguments, tz="UTC", nowfun=clock)
    assert clock.beat(
        rule, "2026-02-02 12:00:30", "2026-02-01 12:00:20", "2026-02-01 12:00:40", "2026-02-01 12:01:00"
    ) == ["2026-02-01 12:01:00"]


def test_a_clock_set_back_behind_the_last_moment_of_a_rule_is_no_error() -> None:
    clock = Clock("2026-12-31 23:59:30")
    rule = recurrence(year=2026, month=11, date=31, hour=23, minute=59, second=59, tz="UTC", nowfun=clock)
    assert rule.is_due(utc("2027-01-01 00:00")) == (False, 86400)


def test_entries_that_share_a_schedule_are_set_back_apart() -> None:
    clock = Clock("2026-02-01 12:00:30")
    rule = cron("0 * * * * *", tz="UTC", nowfun=clock)
    ahead = [clock.now + timedelta(days=1), clock.now + timedelta(days=2)]
    assert [rule.is_due(last_run_at).is_due for last_run_at in ahead] == [False, False]
    clock.now += timedelta(seconds=30)
    assert [rule.is_due(last_run_at).is_due for last_run_at in ahead] == [True, True]


NIGHTLY = [cron("0 30 2 * * *", tz=BERLIN), recurrence(hour=2, minute=30, tz=BERLIN)]
EVERY_HOUR = [cron("0 30 * * * *", tz=BERLIN), recurrence(minute=30, tz=BERLIN)]
EVERY_SECOND = [cron("* * * * * *", tz=BERLIN), recurrence(second=None, tz=BERLIN)]


@pytest.mark.parametrize("rule", NIGHTLY)
def test_a_nightly_rule_runs_once_at_the_end_of_the_hour_that_spring_skips(rule: cron | recurrence) -> None:
    assert first_runs(rule, datetime(2026, 3, 28, 1, tzinfo=BERLIN), 3) == [
        "28 02:30:00 +0100",
        "29 03:00:00 +0200",
        "30 02:30:00 +0200",
    ]


@pytest.mark.parametrize("rule", NIGHTLY)
def test_a_nightly_rule_runs_once_in_the_hour_that_autumn_repeats(rule: cron | recurrence) -> None:
    assert first_runs(rule, datetime(2026, 10, 24, 1, tzinfo=BERLIN), 3) == [
        "24 02:30:00 +0200",
        "25 02:30:00 +0200",
        "26 02:30:00 +0100",
    ]
    late = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=BERLIN)
    assert first_runs(rule, late, 1) == ["26 02:30:00 +0100"]


def test_the_first_moment_after_a_repeated_hour_is_not_missed() -> None:
    second_pass = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=BERLIN)
    assert first_runs(cron("0 0 2,3 * * *", tz=BERLIN), second_pass, 1) == ["25 03:00:00 +0100"]


@pytest.mark.parametrize("rule", EVERY_HOUR)
def test_an_hourly_rule_runs_every_sixty_minutes_whatever_the_clock_does(rule: cron | recurrence) -> None:
    assert first_runs(rule, datetime(2026, 3, 29, 1, tzinfo=BERLIN), 2) == ["29 01:30:00 +0100", "29 03:30:00 +0200"]
    assert first_runs(rule, datetime(2026, 10, 25, 1, tzinfo=BERLIN), 4) == [
        "25 01:30:00 +0200",
        "25 02:30:00 +0200",
        "25 02:30:00 +0100",
        "25 03:30:00 +0100",
    ]


@pytest.mark.parametrize("rule", EVERY_SECOND)
@pytest.mark.parametrize("change", ["2026-03-29 01:00", "2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 02:00"])
def test_a_rule_for_every_second_misses_none_at_a_change_of_the_clock(rule: cron | recurrence, change: str) -> None:
    for second in range(-2, 3):
        moment = utc(change) + timedelta(seconds=second)
        assert moment + timedelta(seconds=1) == rule.next_after(moment)


@pytest.mark.parametrize(
    ("zone", "moment", "expected"),
    [
        # Lord Howe's clock skips and repeats half an hour; Apia skipped a day when it changed sides.
        ("Australia/Lord_Howe", "2026-10-03 15:20", ["04 02:30:00 +1100", "04 02:45:00 +1100"]),
        ("Australia/Lord_Howe", "2026-04-04 14:40", ["05 01:45:00 +1100", "05 02:15:00 +1030"]),
        ("Pacific/Apia", "2011-12-30 09:00", ["31 00:00:00 +1400", "31 01:15:00 +1400"]),
    ],
)
def test_odd_changes_of_the_clock_follow_the_same_rules(zone: str, moment: str, expected: list[str]) -> None:
    rule = recurrence(hour=[1, 2, 3], minute=[15, 45], tz=zone)
    assert first_runs(rule, utc(moment).astimezone(ZoneInfo(zone)), 2) == expected


def test_without_tz_the_timezone_of_the_app_counts(app: Celery) -> None:
    app.conf.update(timezone="Asia/Shanghai")
    for rule in (cron("0 0 9 * * *"), recurrence(hour=9, minute=0)):
        rule.app = app
        assert utc("2026-02-02 01:00") == rule.next_after(SUNDAY)


def test_tz_takes_a_name_or_any_tzinfo_and_wins_over_the_app(app: Celery) -> None:
    app.conf.update(timezone="Asia/Shanghai")
    for tz in ("America/New_York", ZoneInfo("America/New_York"), timezone(timedelta(hours=-5))):
        rule = cron("0 0 9 * * *", tz=tz)
        rule.app = app
        assert utc("2026-02-01 14:00") == rule.next_after(SUNDAY)


class PytzZone(tzinfo):
    """Pytz's zones need localize(); without it they show the local time of the nineteenth century."""

    def utcoffset(self, dt: datetime | None) -> timedelta:
        return timedelta(minutes=53)

    def dst(self, dt: datetime | None) -> None:
        return None

    def tzname(self, dt: datetime | None) -> str:
        return "LMT"

    def localize(self, dt: datetime) -> datetime:
        raise NotImplementedError

    def __str__(self) -> str:
        return "Europe/Berlin"


def test_zones_of_pytz_are_taken_by_their_name(app: Celery) -> None:
    assert cron("0 0 9 * * *", tz=PytzZone()) == cron("0 0 9 * * *", tz=BERLIN)
    app.conf.update(timezone=PytzZone())
    rule = cron("0 0 9 * * *")
    rule.app = app
    assert rule.next_after(SUNDAY) == utc("2026-02-02 08:00")


def test_local_time_without_utc_survives_the_repeated_hour(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    app.conf.update(enable_utc=False, timezone=None)
    rule = cron("0 */20 * * * *")
    rule.app = app
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        start = utc("2026-10-24 23:50").astimezone(BERLIN)
        expected = [utc("2026-10-25 00:00") + n * timedelta(minutes=20) for n in range(8)]
        shown = first_runs(rule, start, 8)
    time.tzset()
    assert [moment.astimezone(BERLIN).strftime("%d %H:%M:%S %z") for moment in expected] == shown


def test_a_naive_last_run_is_taken_for_utc() -> None:
    clock = Clock("2026-02-01 12:00:30")
    rule = cron("0 0 * * * *", tz=BERLIN, nowfun=clock)
    assert rule.is_due(datetime(2026, 2, 1, 11, 59)).is_due  # noqa: DTZ001  naive is the point
    assert not rule.is_due(datetime(2026, 2, 1, 12, 0)).is_due  # noqa: DTZ001  as above


def test_equal_rules_are_equal_and_hash_alike() -> None:
    assert cron("0 0 * * * MON", tz="Europe/Berlin") == cron(" 0  0 * * * mon", tz=BERLIN)
    assert recurrence(minute=[3, 1, 2]) == recurrence(second=[0], minute=range(1, 4), hour=None, month=range(12))
    same: set[object] = {
        recurrence(minute=[1, 2]),
        recurrence(minute=range(1, 3)),
        cron("1 * * * *"),
        cron("1 * * * *"),
    }
    assert len(same) == 2


def test_rules_that_differ_are_not_equal() -> None:
    rules: list[object] = [
        cron("0 * * * * *"),
        cron("* * * * *"),
        cron("0 * * * * *", tz="UTC"),
        cron("0 * * * * *", nowfun=local_noon),
        recurrence(),
        recurrence(second=None),
        recurrence(tz=BERLIN),
        recurrence(dayOfWeek=0),
        "cron('0 * * * * *')",
    ]
    assert [[one == other for other in rules] for one in rules] == [[one is other for other in rules] for one in rules]


def local_noon() -> datetime:
    return SUNDAY


RULES = [
    cron("30 1 0 * * *"),
    cron("@daily", tz="Asia/Shanghai"),
    cron("1 * * * *", tz=UTC, nowfun=local_noon),
    recurrence(second=None),
    recurrence(dayOfWeek=[range(1, 6), 0], hour=9, tz=BERLIN, nowfun=local_noon),
]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_survives_pickling_without_its_app(app: Celery, rule: cron | recurrence) -> None:
    rule.app = app
    copy = pickle.loads(pickle.dumps(rule))  # noqa: S301  our own bytes
    assert copy == rule
    assert (repr(copy), hash(copy)) == (repr(rule), hash(rule))
    assert copy.is_due(SUNDAY).is_due == rule.is_due(SUNDAY).is_due


def test_repr_shows_what_was_asked_for() -> None:
    assert repr(cron("30 1 0 * * *")) == "cron(expression='30 1 0 * * *')"
    assert repr(recurrence(minute=0, dayOfWeek=[1, 2])) == "recurrence(second=(0,), minute=(0,), dayOfWeek=(1, 2))"
    assert repr(recurrence(second=None, tz="UTC")) == "recurrence(second=None, tz=zoneinfo.ZoneInfo(key='UTC'))"


def test_stock_beat_sends_on_every_second(app: Celery) -> None:
    sent: dict[str, list[float]] = {}

    def note(sender: str, **_: object) -> None:
        sent.setdefault(sender, []).append(time.time())

    rules = {"cron": cron("* * * * * *"), "recurrence": recurrence(second=None)}
    app.conf.beat_schedule = {name: {"task": name, "schedule": rule} for name, rule in rules.items()}
    before_task_publish.connect(note)
    scheduler = Scheduler(app)
    app.send_task("warm-up", producer=scheduler.producer)  # connecting takes its time
    finish = time.monotonic() + 2.1
    while time.monotonic() < finish:
        time.sleep(max(0, min(scheduler.tick(), finish - time.monotonic())))
    scheduler.close()
    for name in rules:
        moments = sent[name]
        assert len(moments) in {2, 3}
        # A busy machine wakes late, now and then; a schedule that drifts is late each time.
        late = [moment % 1 for moment in moments]
        assert min(late) < 0.05
        assert max(late) < 0.5
        assert {int(later) - int(earlier) for earlier, later in pairwise(moments)} == {1}


@pytest.mark.parametrize("rule", [cron("30 1 0 * * *", tz=BERLIN), recurrence(minute=0, dayOfWeek=[1, 2])])
def test_a_schedule_file_keeps_rule_and_last_run_over_a_restart(
    app: Celery, tmp_path: Path, rule: BaseSchedule
) -> None:
    app.conf.beat_schedule = {"ticker": {"task": "tick", "schedule": rule}}
    options = {"schedule_filename": str(tmp_path / "beat")}
    first = PersistentScheduler(app, **options)
    first.schedule["ticker"].last_run_at = SUNDAY
    first.close()
    second = PersistentScheduler(app, **options)
    entry = second.schedule["ticker"]
    assert (entry.schedule, entry.last_run_at) == (rule, SUNDAY)
    second.close()


def test_a_schedule_file_from_a_clock_ahead_does_not_silence_the_rule(app: Celery, tmp_path: Path) -> None:
    app.conf.beat_schedule = {"ticker": {"task": "tick", "schedule": cron("* * * * * *")}}
    options = {"schedule_filename": str(tmp_path / "beat")}
    ahead = PersistentScheduler(app, **options)
    ahead.schedule["ticker"].last_run_at = datetime.now(UTC) + timedelta(days=1)
    ahead.close()
    restarted = PersistentScheduler(app, **options)
    is_due, wait = restarted.schedule["ticker"].is_due()
    restarted.close()
    assert not is_due
    assert wait <= 1


@pytest.mark.parametrize(
    ("expression", "plain"),
    [
        ("0 0 0 */1 * 1", "0 0 0 * * 1"),
        ("0 0 0 1-31 * 1", "0 0 0 * * 1"),
        ("0 0 1-31 * mon", "0 0 * * mon"),
        ("0 0 0 5 * */1", "0 0 0 5 * *"),
        ("0 0 0 5 * 0-7", "0 0 0 5 * *"),
        ("0 0 0 5 * 1-7", "0 0 0 5 * *"),
        ("0 0 0 5 * 0-7 2027", "0 0 0 5 * * 2027"),
        ("0 0 0 1-15,16-31 * 7,0-6", "0 0 0 * * *"),
    ],
)
def test_days_that_leave_none_out_restrict_nothing_as_in_node_schedule(expression: str, plain: str) -> None:
    assert cron(expression) == cron(plain)


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 0 1-30 * 1",
        "0 0 0 5 * 1-6",
        "0 0 0 5 * 0-6",
        "0 0 0 5 * sun-sat",
        "0 0 0 */2 * 1",
        "@hourly",
        "0 0 0 l * 1",
    ],
)
def test_days_that_leave_some_out_stay(expression: str) -> None:
    assert expression in repr(cron(expression))
