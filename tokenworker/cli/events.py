"""What happened to credentials, as it comes: from the history that Redis keeps for a day."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import NoReturn

from tokenworker.cli.happened import Happened
from tokenworker.cli.selection import NothingChosen
from tokenworker.credential import CredentialId
from tokenworker.errors import StoreUnavailable
from tokenworker.store.history import Event
from tokenworker.store.store import Store

#: So many of a credential are asked for once its history is known; more where all of them are new.
_FEW = 5

#: Seconds between two looks.
_PAUSE = 1.0


class Events:
    """The events of some credentials since a moment; each look returns those that no look before it did."""

    def __init__(self, store: Store, choose: Callable[[], Iterable[CredentialId]], since: float) -> None:
        self._store = store
        self._choose = choose
        self._since = since
        self._seen: dict[CredentialId, list[Event]] = {}

    def look(self, most: int | None = None) -> list[Happened]:
        """Return what is new, oldest first; with `most` only the newest. Raises `StoreUnavailable`, `NothingChosen`."""
        noted: dict[CredentialId, list[Event]] = {}
        new = self._new(noted)
        found = sorted(new if most is None else heapq.nlargest(most, new, key=_at), key=_at)
        names = self._store.notes.names_of(list({each.id.account for each in found}))
        # Only now: what a look found that failed in the middle comes with the next.
        self._seen |= noted
        return [Happened(each.id, each.event, names.get(each.id.account, "")) for each in found]

    def _new(self, noted: dict[CredentialId, list[Event]]) -> Iterator[Happened]:
        few = _FEW if self._seen else 0
        for id_, events in self._store.history.of_each(self._choose(), few):
            seen = self._seen.get(id_, [])
            new = _unseen(events, seen)
            if few and len(new) == few:
                new = _unseen(self._store.history.of(id_), seen)
            # A failover may take the last ones back: so not only the newest is remembered.
            noted[id_] = events[:_FEW]
            yield from (Happened(id_, event) for event in reversed(new) if event["at"] >= self._since)


def follow(
    events: Events, show: Callable[[list[Happened]], None], complain: Callable[[str], None], most: int | None = None
) -> NoReturn:
    """Show what is new, again and again, at first only the `most` newest; and once each what is in the way."""
    problem = ""
    while True:
        began = time.monotonic()
        try:
            show(events.look(most))
            most, now = None, ""
        except (StoreUnavailable, NothingChosen) as error:
            now = str(error)
        if now != problem:
            complain(now or "it goes on")
        problem = now
        # Of many credentials a look takes longer: so a tenth of the time is spent on it at most.
        time.sleep(max(_PAUSE, 10 * (time.monotonic() - began)))


def _unseen(events: Sequence[Event], seen: Sequence[Event]) -> list[Event]:
    return list(takewhile(lambda event: event not in seen, events))


def _at(happened: Happened) -> float:
    return happened.at
