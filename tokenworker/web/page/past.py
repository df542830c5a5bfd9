"""What happened to a credential lately, to read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import groupby, pairwise

from tokenworker.store.history import Event
from tokenworker.web.page.board import Row
from tokenworker.web.page.day import is_fetched
from tokenworker.web.page.line import Line, line
from tokenworker.web.page.words import Words

#: So many lines of events stand with each of many credentials.
_LINES = 10


class Past:
    """Its events, newest first: all of them, or the first lines; of one that has none, nothing."""

    def __init__(self, row: Row, words: Words) -> None:
        self._row = row
        self._words = words

    def __bool__(self) -> bool:
        return bool(self._row.events)

    @property
    def count(self) -> str:
        """How many events there are to read."""
        return self._words("events", len(self._row.events))

    @property
    def whole(self) -> bool:
        """Whether all of them are to be read."""
        return self._row.whole

    @property
    def listed(self) -> bool:
        """Whether they are to be read here: of many credentials, only those of the ones with trouble."""
        return self.whole or self._row.condition != "live"

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
            yield line(same, self._words, self._row.status["now"], repeats=float(same[0]["at"]) in self._repeats)


def _alike(event: Event) -> object:
    """Return what is the same for events that need one line: a failure that goes on; each has a number of its own."""
    if event.get("event") != "failed":
        return event["at"]
    return event.get("errcode"), str(event.get("error")).partition(" rid:")[0]
