"""Moments as people write and read them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

import click

#: Where to begin: epoch seconds, from those of now.
Since = Callable[[float], float]

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(s|m|min|h|d)?", re.ASCII)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?", re.ASCII)


class SinceType(click.ParamType):  # type: ignore[type-arg]  # no generic class in older clicks
    """A span before now, a time of the last day, or a date and a time."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a `Since`."""
        try:
            return since(value.strip()) if isinstance(value, str) else value
        except (ValueError, OverflowError):
            self.fail("write a span such as 30m, 2h or 1d, a time such as 14:05, or 2026-11-26T14:05.", param, ctx)


def since(text: str) -> Since:
    """Return the moment that a text means; raises `ValueError`."""
    if span := _SPAN.fullmatch(text):
        seconds = float(span[1]) * _SECONDS[span[2] or ""]
        return lambda now: now - seconds
    if _CLOCK.fullmatch(text):
        given = time.fromisoformat(text.rjust(8 if text.count(":") > 1 else 5, "0"))
        return lambda now: _last(now, given)
    moment = datetime.fromisoformat(text).timestamp()
    return lambda _: moment


def _last(now: float, given: time) -> float:
    """Return when the clock here said so last."""
    here = datetime.fromtimestamp(now).astimezone()
    moment = here.replace(hour=given.hour, minute=given.minute, second=given.second, microsecond=0)
    return (moment if moment <= here else moment - timedelta(days=1)).timestamp()


def clock(at: float, now: float) -> str:
    """Return a time of today or another day, for people: 14:05:12, Thu 14:05:12."""
    there, here = (datetime.fromtimestamp(moment).astimezone() for moment in (at, now))
    return f"{there:%H:%M:%S}" if there.date() == here.date() else f"{there:%a %H:%M:%S}"


def whole(at: float) -> str:
    """Return a moment that sorts as text, as far as the zone stays: 2026-11-26T14:05:12+08:00."""
    return datetime.fromtimestamp(at).astimezone().isoformat(timespec="seconds")
