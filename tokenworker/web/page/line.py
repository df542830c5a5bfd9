"""What happened to a credential at one moment, or again and again, as a line of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tokenworker.store.history import Event
from tokenworker.web.page.advice import said
from tokenworker.web.page.words import TEXTS, Words, clock


@dataclass(frozen=True)
class Line:
    """An event, or several alike: when, as a machine, a clock and a person say it, and what."""

    moment: str
    clock: str
    ago: str
    text: str
    #: How often it happened, when that is more than once.
    times: str
    kind: str


def line(alike: Sequence[Event], words: Words, now: float, *, repeats: bool) -> Line:
    """Return the line of events that are alike, newest first; `repeats` when the refresh brought the same again."""
    newest, oldest = alike[0], alike[-1]
    at = float(newest["at"])
    return Line(
        moment=datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
        clock=clock(at),
        ago=words.ago(now - at),
        text=_told(newest, words, repeats=repeats),
        times="" if len(alike) == 1 else words("times", len(alike), since=clock(float(oldest["at"]))),
        kind=str(newest.get("event")),
    )


def _told(event: Event, words: Words, *, repeats: bool) -> str:
    """Return what happened, as a sentence."""
    facts = [_happened(event, words)]
    if event.get("event") == "refreshed" and event.get("fingerprint"):
        facts.append(str(event["fingerprint"]) + (f" ({words('again')})" if repeats else ""))
    if isinstance(took := event.get("took"), int | float) and took > 0:
        facts.append(words("took", time=words.duration(took)))
    return " · ".join(facts)


def _happened(event: Event, words: Words) -> str:
    kind, outcome = str(event.get("event")), event.get("outcome", "")
    error = said(str(event.get("error", "")), words.language)
    if kind == "failed":
        return words("fetch_failed", error=error)
    if kind == "probed":
        late = "_early" if outcome == "dead" and event.get("early") else ""
        text = f"probed_{outcome}{late}"
        return words(text if text in TEXTS else "probed_unknown", error=error)
    if kind == "refreshed":
        text = f"refreshed_{outcome}"
        return words(text) if text in TEXTS else words("refreshed", cause=_cause(event, words))
    return words("reported") if kind == "reported" else kind


def _cause(event: Event, words: Words) -> str:
    text = f"cause_{event.get('cause', '')}"
    return words(text) if text in TEXTS else str(event.get("cause", ""))
