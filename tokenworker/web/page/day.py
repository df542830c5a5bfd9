"""The last day of a credential: its lives, when there was none, and what happened at which moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any, Literal

from tokenworker.store.history import Event

Mark = Literal["failed", "alive", "dead", "unknown", "reported"]


@dataclass(frozen=True)
class Span:
    """From one moment to another, in epoch seconds."""

    since: float
    until: float


@dataclass(frozen=True)
class Day:
    """What there was of a credential: its lives, the spans in which there was none, and marks with their moments."""

    now: float
    length: float
    lives: tuple[Span, ...]
    gaps: tuple[Span, ...]
    marks: tuple[tuple[Mark, float], ...]
    counts: Counter[str]

    @property
    def since(self) -> float:
        """When it begins."""
        return self.now - self.length

    @property
    def missed(self) -> float:
        """Seconds without a credential."""
        return sum(min(gap.until, self.now) - max(gap.since, self.since) for gap in self.gaps)


def day(events: Sequence[Event], now: float, length: float, live: Span | None = None) -> Day:
    """Return the day before `now`, `length` seconds, by its events; `live` is the life of what there is now, if any."""
    told = sorted((event for event in events if _is_moment(event.get("at"))), key=lambda event: event["at"])
    lives = list(_lives(told))
    if live and not any(life.until >= min(now, live.until) for life in lives):
        # Its history was lost.
        lives = [*lives, live]
    if not live:
        # Somebody deleted it, nobody knows when.
        lives = [Span(life.since, min(life.until, now)) for life in lives]
    window = Span(now - length, now)
    seen = tuple(life for life in lives if life.until > window.since and life.until > life.since)
    marks = tuple((mark, event["at"]) for event in told if (mark := _mark(event)) and event["at"] >= window.since)
    counts = Counter(str(event.get("event")) for event in told if event["at"] >= window.since)
    return Day(now, length, seen, tuple(_gaps(seen, window)), marks, counts)


def _is_moment(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)


def _lives(told: Sequence[Event]) -> Iterator[Span]:
    """Yield the lives: each lasts until its end, the next refresh that brings another one, or its death."""
    since, until, name = 0.0, 0.0, ""
    for event in told:
        at, fingerprint = event["at"], event.get("fingerprint", "")
        is_new = is_fetched(event)
        is_dead = (event.get("event"), event.get("outcome")) == ("probed", "dead")
        if is_new and until > at and fingerprint == name != "":
            until = max(until, _end(event))
            continue
        if until and (is_new or is_dead):
            yield Span(since, min(until, at))
        if is_new:
            since, until, name = at, _end(event), fingerprint
        elif is_dead:
            until = 0.0
    if until:
        yield Span(since, until)


def is_fetched(event: Event) -> bool:
    """Return whether a credential came of it that was written down."""
    return event.get("event") == "refreshed" and event.get("outcome") != "refused"


def _end(event: Event) -> float:
    end = event.get("expires_at")
    return end if end is not None and _is_moment(end) else event["at"]


def _gaps(lives: Sequence[Span], window: Span) -> Iterator[Span]:
    """Yield when there was none, since the first life that we know of."""
    least = (window.until - window.since) / 5000
    for life, after in pairwise([*lives, Span(window.until, window.until)]):
        if after.since - life.until >= least and after.since > window.since:
            yield Span(life.until, after.since)


def _mark(event: Event) -> Mark | None:
    kind, outcome = event.get("event"), event.get("outcome")
    if kind == "probed":
        return "alive" if outcome == "alive" else "dead" if outcome == "dead" else "unknown"
    return {"failed": "failed", "reported": "reported"}.get(str(kind))  # type: ignore[return-value]
