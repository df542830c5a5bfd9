"""One credential as the page tells of it: texts in the reader's language, made of its status and its events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby, pairwise

from tokenworker.credential import CredentialId
from tokenworker.credentials.kind import HOUR
from tokenworker.store.history import Event
from tokenworker.web.page.advice import Advice, advice, said
from tokenworker.web.page.board import Row
from tokenworker.web.page.day import Span, day, is_fetched
from tokenworker.web.page.timeline import svg
from tokenworker.web.page.words import TEXTS, Words, clock

#: So many lines of events stand with each of many credentials.
_LINES = 10


@dataclass(frozen=True)
class Line:
    """An event as a line: when, as a machine, a clock and a person say it, and what."""

    moment: str
    clock: str
    ago: str
    text: str
    #: How often it happened, when that is more than once.
    times: str
    kind: str


class Card:
    """One credential, as it is told of in one language; a day is `length` seconds long."""

    def __init__(self, row: Row, words: Words, length: float) -> None:
        self._row = row
        self._words = words
        self._length = length
        self.status = row.status
        self.condition = row.condition

    @property
    def id(self) -> str:
        """Its id, for anchors and commands."""
        return str(CredentialId(self.status["account"], self.status["credential"]))

    @property
    def heading(self) -> str:
        """What people call the account."""
        return self.status["name"] or self.status["account"]

    @property
    def state(self) -> str:
        """How it is, in a word."""
        return self._words(self.condition)

    @property
    def left(self) -> str:
        """How long it works yet."""
        left = self.status["expires_in"]
        return self._words("none_left") if left is None else self._words.duration(left)

    @property
    def next(self) -> str:
        """When WeChat is asked next."""
        it, words = self.status, self._words
        if it["lease_left"]:
            return words("under_way")
        # One that is missing is fetched as soon as WeChat may be asked.
        due_at = it["refresh_at"] if it["expires_at"] else 0.0
        left = max(due_at, it["retry_at"]) - it["now"]
        if left < 1:
            return words("refresh_now")
        return words("attempt_in" if it["retry_at"] > due_at else "refresh_in", time=words.duration(left))

    @property
    def fetched(self) -> str:
        """When it was fetched."""
        at = self.status["fetched_at"]
        return self._ago(at, "fetched") if at else self._words("never_fetched")

    @property
    def used(self) -> str:
        """How many fetches there were."""
        words, it = self._words, self._row.quota
        if not it.allowed:
            return words("used", int(it.used))
        text = "quota_hour" if it.period == HOUR else "quota"
        return words(text, used=words.number(it.used), allowed=words.number(it.allowed))

    @property
    def share(self) -> float | None:
        """Which part of what is allowed is used, in percent."""
        it = self._row.quota
        return min(100.0, 100 * it.used / it.allowed) if it.allowed else None

    # What is wrong

    @property
    def error(self) -> str:
        """The last failure of a fetch, if it failed."""
        return said(self.status["error"], self._words.language)

    @property
    def failures(self) -> str:
        """How often fetches failed, and since when."""
        failures, at = self.status["failures"], self.status["failed_at"]
        if not failures or not at:
            return self._words("failed")
        return self._words("failed_times", failures, ago=self._words.ago(self.status["now"] - at))

    @property
    def advice(self) -> Advice:
        """What to do about the last failure."""
        it = self.status
        return advice(it["error"], it["errcode"], it["hint"], it["account"], self._words)

    @property
    def command(self) -> str:
        """What has it tried at once."""
        name = self.status["credential"]
        return f"tokenworker refresh {self.status['account']}" + ("" if name == "access_token" else f" --name {name}")

    @property
    def remarks(self) -> list[str]:
        """What is to be said besides."""
        it, words = self.status, self._words
        found = [
            words("missing_means") if self.condition == "missing" else "",
            words("contested_means", n=it["early_deaths"]) if self.condition == "contested" else "",
            words("doubt") if it["in_doubt_since"] else "",
            words("rejected") if it["rejected"] and not it["probe_error"] else "",
            words("probe_error", error=said(it["probe_error"], words.language)) if it["probe_error"] else "",
            words("publish_error", error=it["publish_error"]) if it["publish_error"] else "",
        ]
        return list(filter(None, found))

    # What happened

    @property
    def picture(self) -> str:
        """The last day, as SVG."""
        it = self.status
        live = Span(it["fetched_at"], it["expires_at"]) if it["expires_at"] and it["fetched_at"] else None
        return svg(day(self._row.events, it["now"], self._length, live), self._words)

    @property
    def has_events(self) -> bool:
        """Whether anything is known to have happened."""
        return bool(self._row.events)

    @property
    def events(self) -> str:
        """How many events there are to read."""
        return self._words("events", len(self._row.events))

    @property
    def whole(self) -> bool:
        """Whether all of them are to be read."""
        return self._row.whole

    @property
    def listed(self) -> bool:
        """Whether they are to be read here: of many credentials, only those of the ones with trouble."""
        return self.whole or self.condition != "live"

    @cached_property
    def _told(self) -> list[list[Event]]:
        """The events; those that repeat themselves stand together."""
        return [list(same) for _, same in groupby(self._row.events, _alike)]

    @cached_property
    def _repeats(self) -> set[float]:
        """The moments of the refreshes that brought the one before again."""
        fetched = [event for event in self._row.events if is_fetched(event)]
        return {new["at"] for new, old in pairwise(fetched) if new.get("fingerprint") == old.get("fingerprint")}

    @property
    def is_cut(self) -> bool:
        """Whether there are more than stand in the lines."""
        return not self.whole and len(self._told) > _LINES

    @property
    def lines(self) -> Iterator[Line]:
        """The newest events."""
        for same in self._told if self.whole else self._told[:_LINES]:
            at = float(same[0]["at"])
            moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
            ago = self._words.ago(self.status["now"] - at)
            since = "" if len(same) == 1 else self._words("times", len(same), since=clock(float(same[-1]["at"])))
            text = _told(same[0], self._words, repeats=at in self._repeats)
            yield Line(moment, clock(at), ago, text, since, str(same[0].get("event")))

    def _ago(self, at: float, text: str) -> str:
        return self._words(text, ago=self._words.ago(self.status["now"] - at))


def _alike(event: Event) -> object:
    """Return what is the same for events that need one line: a failure that goes on; each has a number of its own."""
    if event.get("event") != "failed":
        return event["at"]
    return event.get("errcode"), str(event.get("error")).partition(" rid:")[0]


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
