"""The last day of a credential as a picture: its lives as bars, and what happened as marks over them; inline SVG.

Lengths along the day are percentages, so that one picture fits every width and no mark is drawn out of shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tornado.escape import xhtml_escape

from tokenworker.web.page.day import Day, Mark
from tokenworker.web.page.words import Words

#: The part of the picture that has been, with what is to come behind it.
PAST = 100 * 24 / 26

#: Marks that are nearer to each other than so many percent are one mark.
_NEAR = 1.6

#: Tests that are all right matter least, and lie below.
_MARKS: tuple[Mark, ...] = ("alive", "unknown", "reported", "dead", "failed")


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
