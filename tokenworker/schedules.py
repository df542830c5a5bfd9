"""Two schedules that Celery lacks: cron expressions with seconds, and node-schedule's recurrence rules.

Both go where Celery's own schedules go, for the stock beat with or without a schedule file:

    beat_schedule = {
        "nightly": {"task": "report", "schedule": cron("30 1 0 * * *", tz="Asia/Shanghai")},
        "workdays": {"task": "report", "schedule": recurrence(hour=9, minute=0, dayOfWeek=range(1, 6))},
    }
"""

import re
import reprlib
from calendar import monthrange
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from celery.schedules import BaseSchedule, schedstate
from croniter import CroniterBadDateError, croniter
from dateutil.rrule import HOURLY, rrule
from dateutil.tz import datetime_ambiguous, datetime_exists, tzlocal

from tokenworker.redaction import masked

_TICK, _MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
_WITHOUT_SECONDS = 5  # fields
_LOOK_AGAIN = timedelta(days=1)  # what a rule that is over lets beat wait
_YEARS = range(1970, 2100)  # croniter knows no others
_FIELDS = {
    "second": range(60),
    "minute": range(60),
    "hour": range(24),
    "date": range(1, 32),
    "month": range(12),
    "dayOfWeek": range(7),
    "year": _YEARS,
}
_Numbers = int | Sequence[int | range] | None
_Tz = str | tzinfo | None
_Clock = Callable[[], datetime] | None


class _WallClock(BaseSchedule):
    """Runs when the clock of a timezone shows a matching reading; a subclass says which readings match.

    Moments missed while beat was down run once, not once each. A rule that names its hours runs at the end
    of an hour skipped in spring, and only in the first pass of one repeated in autumn; a rule for every hour
    runs in both passes.
    """

    def __init__(self, rule: dict[str, Any], every_hour: bool, tz: _Tz, nowfun: _Clock) -> None:
        super().__init__(nowfun=nowfun)
        self._rule, self._every_hour = rule, every_hour
        self._tz = None if tz is None else _zone(tz)
        options = {"tz": self._tz, "nowfun": nowfun}
        self._arguments = rule | {name: value for name, value in options.items() if value is not None}
        self._rewinds: dict[datetime, datetime] = {}
        if self._reading_after(_eve(_YEARS[0])) is None:
            raise ValueError(f"{self!r} would never run: no year has such a date.")

    def _reading_after(self, reading: datetime) -> datetime | None:
        """Return the first matching reading after a naive one, None if there is none."""
        raise NotImplementedError

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first moment to run after an aware one, in UTC, None if there is none."""
        passes = (0, 1) if self._every_hour else (0,)
        found = [self._on_pass(fold, moment, self._timezone()) for fold in passes]
        return min(filter(None, found), default=None)

    def _timezone(self) -> tzinfo:
        # Celery's zone for local time may not tell the passes of a repeated hour apart.
        local = not (self.app.conf.timezone or self.app.conf.enable_utc)
        return self._tz or (tzlocal() if local else _zone(self.app.timezone))

    def _on_pass(self, fold: int, moment: datetime, zone: tzinfo) -> datetime | None:
        """Return the next moment if readings shown twice counted on one pass only, 0 or 1."""
        start = _start(fold, moment.astimezone(zone), zone)
        while (reading := self._reading_after(start)) and not datetime_exists(reading, zone):
            reading = _walk(reading, _MINUTE, lambda skipped: not datetime_exists(skipped, zone))
            if not self._every_hour:
                break
            start = reading - _TICK
        return reading and reading.replace(tzinfo=zone, fold=fold).astimezone(UTC)

    def _since(self, last_run_at: datetime, now: datetime) -> datetime:
        """Return the moment to count from: the last run, unless the clock was set back behind it.

        Then it is when that was first seen, lest a day back means a day of silence; but still the last run
        if the one moment in between is the one that it ran for.
        """
        if last_run_at <= now:
            return last_run_at
        self._rewinds = {ran: seen for ran, seen in self._rewinds.items() if ran > now}
        seen = self._rewinds[last_run_at] = min(now, self._rewinds.get(last_run_at, now))
        first = self.next_after(seen)
        second = first and self.next_after(first)
        return seen if second and second <= last_run_at else last_run_at

    def _wait(self, since: datetime, now: datetime) -> timedelta:
        moment = self.next_after(self._since(self.maybe_make_aware(since).astimezone(UTC), now))
        return moment - now if moment else _LOOK_AGAIN

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """Return the time until the next run: negative if overdue, a day if there will be none."""
        return self._wait(last_run_at, self.maybe_make_aware(self.now()).astimezone(UTC))

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Return whether to run now, and after how many seconds to ask again."""
        now = self.maybe_make_aware(self.now()).astimezone(UTC)
        wait = self._wait(last_run_at, now)
        due = wait <= timedelta()
        return schedstate(due, (self._wait(now, now) if due else wait).total_seconds())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _WallClock) and (type(self), self._arguments) == (type(other), other._arguments)

    def __hash__(self) -> int:
        return hash((type(self), *self._rule.items()))

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        return partial(type(self), **self._arguments), ()

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self._arguments.items())
        return f"{type(self).__name__}({arguments})"


class cron(_WallClock):  # noqa: N801  named like Celery's crontab
    """A cron expression with seconds first, as in node-schedule: "second minute hour day month weekday".

    Five fields leave out the second, seven add the year. Months are 1-12, weekdays 0-7 with Sunday = 0 and
    7; names, `L`, `#`, `W` and `@hourly` work as in croniter. If day and weekday both restrict, either is
    enough. Raises ValueError for an expression that cannot be read or would never run.
    """

    def __init__(self, expression: str, *, tz: _Tz = None, nowfun: _Clock = None) -> None:
        text = " ".join(str(expression).lower().split())
        # croniter draws R by lot every time it is asked, and H from a name that a schedule does not have.
        if re.search(r"(^| )[hr]", text) or not croniter.is_valid(text, second_at_beginning=True):
            raise ValueError(
                f"cron({masked(repr(expression))}) cannot be read: write 'second minute hour day month weekday', for "
                "example '30 1 0 * * *', or five fields without the second; H and R are not supported."
            )
        text = _without_full_ranges(text)
        hours = croniter.expand(text, second_at_beginning=True)[0][1]
        super().__init__({"expression": text}, hours == ["*"], tz, nowfun)

    def _reading_after(self, reading: datetime) -> datetime | None:
        expression, years = self._rule["expression"], len(_YEARS)
        moments = croniter(expression, reading, second_at_beginning=True, max_years_between_matches=years)
        try:
            return moments.get_next(datetime)
        except CroniterBadDateError:
            return None


def _without_full_ranges(expression: str) -> str:
    """Write `*` for days that leave none out, as node-schedule reads them: croniter takes `*/1` for a restriction."""
    expanded, fields = croniter.expand(expression, second_at_beginning=True)[0], expression.split()
    seconds = len(fields) > _WITHOUT_SECONDS
    # 0-6 is not all weekdays there: 7 is one, too.
    for place, every, whole in ((2, range(1, 32), ""), (4, range(7), "[*7]")):
        if set(expanded[place]) == set(every) and re.search(whole, fields[place + seconds]):
            fields[place + seconds] = "*"
    return " ".join(fields)


class recurrence(_WallClock):  # noqa: N801  named like cron
    """A rule with the fields of node-schedule's RecurrenceRule, all of which have to match.

    They are second (0 if left out), minute, hour, date, month (0-11, January = 0), dayOfWeek (0-6, Sunday =
    0) and year; None matches anything. A value is a number, a range, or a list of both. Python's ranges leave
    out their end, node's Range(1, 5) holds it: write range(1, 6). Node's Range(1, 5, 2) leaves it out, as
    range(1, 5, 2) does. Raises one ValueError for all faults.
    """

    def __init__(self, *, tz: _Tz = None, nowfun: _Clock = None, **fields: _Numbers) -> None:
        fields = {"second": 0, **fields}
        numbers = {name: _numbers(fields.get(name), allowed) for name, allowed in _FIELDS.items()}
        if faults := list(_faults(fields, numbers)):
            raise ValueError(f"recurrence: {'; '.join(faults)}.")
        # Only what restricts is worth showing and comparing; but without its None the second would be 0 again.
        rule = {name: tuple(found) for name, found in numbers.items() if len(found) < len(_FIELDS[name])}
        self._years, self._by = numbers["year"], _by(numbers)
        super().__init__({"second": None, **rule}, "hour" not in rule, tz, nowfun)

    def _reading_after(self, reading: datetime) -> datetime | None:
        for year in self._years if self._by else ():
            if year >= reading.year:
                start = max(reading, _eve(year))
                found = rrule(HOURLY, dtstart=start, **self._by).after(start)
                if found is None or found.year in self._years:
                    return found
                reading = found
        return None


def _numbers(value: _Numbers, allowed: range) -> Sequence[int]:
    """Return the numbers that a value stands for, in order, none if it is faulty."""
    parts = value if isinstance(value, list | tuple) else [allowed if value is None else value]
    spans: list[Sequence[Any]] = [part if isinstance(part, range) else [part] for part in parts]
    if all(span and type(span[0]) is int and span[0] in allowed and span[-1] in allowed for span in spans):
        return sorted({number for span in spans for number in span})
    return []


def _faults(fields: dict[str, _Numbers], numbers: dict[str, Sequence[int]]) -> Iterator[str]:
    for name, value in fields.items():
        if name not in numbers:
            yield f"{name} is none of the fields {', '.join(numbers)}"
        elif not numbers[name]:
            lowest, highest = _FIELDS[name][0], _FIELDS[name][-1]
            shown = reprlib.repr(masked(value) if isinstance(value, str) else value)
            yield f"{name}={shown} should be a number from {lowest} to {highest}, a range, or a list"


def _by(numbers: dict[str, Sequence[int]]) -> dict[str, Any]:
    """Return rrule's arguments for the numbers of every field, none for a date that never comes."""
    # rrule would look for 30 February up to the year 9999.
    if min(numbers["date"]) > max(monthrange(2000, month + 1)[1] for month in numbers["month"]):
        return {}
    return {
        "bymonth": [month + 1 for month in numbers["month"]],
        "bymonthday": numbers["date"],
        "byweekday": [(day - 1) % 7 for day in numbers["dayOfWeek"]],
        "byhour": numbers["hour"],
        "byminute": numbers["minute"],
        "bysecond": numbers["second"],
    }


def _eve(year: int) -> datetime:
    """Return the last reading before a year."""
    return datetime(year, 1, 1) - _TICK  # noqa: DTZ001  a reading has no zone


def _zone(tz: str | tzinfo) -> tzinfo:
    """Return the zone that `tz` names; ValueError if nobody knows it."""
    # The zones of pytz go by name because they do not work with replace().
    if isinstance(tz, tzinfo) and not hasattr(tz, "localize"):
        return tz
    try:
        return ZoneInfo(str(tz))
    except (ValueError, KeyError, OSError):
        text = f"tz={masked(repr(tz))} is no known timezone: write an IANA name like 'Asia/Shanghai'."
        # The error itself names the zone, too.
        raise ValueError(text) from None


def _start(fold: int, local: datetime, zone: tzinfo) -> datetime:
    """Return the naive reading after which one pass of the clock, 0 or 1, still lies ahead."""
    reading, repeated = local.replace(tzinfo=None), partial(datetime_ambiguous, tz=zone)
    if local.fold == fold or not repeated(reading):
        return reading
    if fold:
        return _walk(reading, -_MINUTE, repeated) + _MINUTE - _TICK
    return _walk(reading, _MINUTE, repeated) - _TICK


def _walk(reading: datetime, step: timedelta, odd: Callable[[datetime], bool]) -> datetime:
    """Return the nearest whole minute that is not odd, in steps of a minute either way."""
    reading = reading.replace(second=0, microsecond=0)
    while odd(reading):
        reading += step
    return reading
