"""The last day of a credential as a picture: its lives as bars, and what happened as marks over them; inline SVG.

Lengths along the day are percentages, so that one picture fits every width and no mark is drawn out of shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any, Literal

from tornado.escape import xhtml_escape

from tokenworker.store.history import Event
from tokenworker.web.words import Words

#: The part of the picture that has been, with what is to come behind it.
PAST = 100 * 24 / 26

#: Marks that are nearer to each other than so many percent are one mark.
_NEAR = 0.7

Mark = Literal["failed", "alive", "dead", "unknown", "reported"]

#: Tests that are all right matter least, and lie below.
_MARKS: tuple[Mark, ...] = ("alive", "unknown", "reported", "dead", "failed")


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
    """Return the day before `now`, `length` seconds, by its events; `live` is the life of what there is now."""
    told = sorted((event for event in events if _is_moment(event.get("at"))), key=lambda event: event["at"])
    lives = list(_lives(told))
    if live and not any(life.until >= min(now, live.until) and life.since >= live.since - 1 for life in lives):
        lives = [*lives, live]
    window = Span(now - length, now)
    seen = tuple(life for life in lives if life.until > window.since and life.until > life.since)
    marks = tuple((mark, event["at"]) for event in told if (mark := _mark(event)) and event["at"] >= window.since)
    counts = Counter(str(event.get("event")) for event in told if event["at"] >= window.since)
    return Day(now, length, seen, tuple(_gaps(seen, window)), marks, counts)


def _is_moment(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)


def _lives(told: Sequence[Event]) -> Iterator[Span]:
    """Yield the lives: each lasts until its end, the next refresh or its death."""
    since, until = 0.0, 0.0
    for event in told:
        at, kind, outcome = event["at"], event.get("event"), event.get("outcome")
        is_new = kind == "refreshed" and outcome != "refused"
        is_end = (kind, outcome) == ("probed", "dead")
        if until and (is_new or is_end):
            yield Span(since, min(until, at))
        if is_new:
            end = event.get("expires_at")
            since, until = at, end if end is not None and _is_moment(end) else at
        elif is_end:
            until = 0.0
    if until:
        yield Span(since, until)


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


# As text


def summary(it: Day, words: Words) -> str:
    """Return what the picture shows, as a sentence."""
    names = {"refreshed": "refreshes", "failed": "errors", "probed": "tests", "reported": "reports"}
    facts = [words(text, it.counts[event]) for event, text in names.items() if it.counts[event]]
    if it.missed >= 1:
        facts.append(words("gaps", time=words.duration(it.missed)))
    listed = ("、" if words.language == "zh-CN" else ", ").join(facts) or words("timeline_none")
    return words("timeline", time=words.duration(it.length), facts=listed)


# As a picture


def svg(it: Day, words: Words) -> str:
    """Return the picture, with what it shows as its name."""
    parts = [*_grid(), *_bars(it), *_symbols(it), *_labels(it, words)]
    name = xhtml_escape(summary(it, words))
    return f'<svg class="timeline" role="img" aria-label="{name}" width="100%" height="46">{"".join(parts)}</svg>'


def _x(it: Day, moment: float) -> float:
    """Return where a moment lies, in percent."""
    return max(0.0, min(100.0, (moment - it.since) / it.length * PAST))


def _grid() -> Iterator[str]:
    yield f'<rect class="track" x="0" y="14" width="{PAST:.2f}%" height="14" rx="3"/>'
    for quarter in (1, 2, 3):
        x = quarter * PAST / 4
        yield f'<line class="hour" x1="{x:.2f}%" x2="{x:.2f}%" y1="11" y2="31"/>'


def _bars(it: Day) -> Iterator[str]:
    for gap in it.gaps:
        yield _bar("gap", _x(it, gap.since), _x(it, gap.until))
    for life in it.lives:
        yield _bar("life", _x(it, life.since), _x(it, min(life.until, it.now)))
        if life.until > it.now:
            yield _bar("ahead", PAST, _x(it, life.until))
    yield f'<line class="now" x1="{PAST:.2f}%" x2="{PAST:.2f}%" y1="8" y2="32"/>'


def _bar(kind: str, since: float, until: float) -> str:
    # A hair less, so that one life is told from the next.
    width = max(0.15, until - since - 0.12)
    return f'<rect class="{kind}" x="{since:.2f}%" y="14" width="{width:.2f}%" height="14" rx="2"/>'


def _symbols(it: Day) -> Iterator[str]:
    for mark in _MARKS:
        for x in _apart(_x(it, at) for kind, at in it.marks if kind == mark):
            yield f'<use class="{mark}" href="#mark-{mark}" x="{x:.2f}%"/>'


def _apart(places: Iterable[float]) -> Iterator[float]:
    """Yield the places, without those that would lie on the one before."""
    last = -_NEAR
    for place in places:
        if place - last >= _NEAR:
            yield place
            last = place


def _labels(it: Day, words: Words) -> Iterator[str]:
    for quarter in (0, 1, 2, 3):
        past = xhtml_escape(words("past", time=words.duration(it.length * (4 - quarter) / 4)))
        anchor = "" if quarter == 0 else ' text-anchor="middle"'
        kind = "axis" if quarter in (0, 2) else "axis wide"
        yield f'<text class="{kind}" x="{quarter * PAST / 4:.2f}%" y="43"{anchor}>{past}</text>'
    yield f'<text class="axis" x="{PAST:.2f}%" y="43" text-anchor="middle">{xhtml_escape(words("at_now"))}</text>'
