"""What happened to credentials, as it comes: from the history that Redis keeps for a day."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NoReturn

from tokenworker.cli.moments import clock
from tokenworker.cli.selection import NothingChosen
from tokenworker.credential import CredentialId
from tokenworker.errors import StoreUnavailable
from tokenworker.refresh.causes import Cause
from tokenworker.store.history import Event
from tokenworker.store.store import Store

#: So many of a credential are asked for once its history is known; more where all of them are new.
_FEW = 5

#: Seconds between two looks.
_PAUSE = 1.0


@dataclass(frozen=True)
class Happened:
    """An event and the credential that it is about; `name` is what people call the account."""

    id: CredentialId
    event: Event
    name: str = ""

    @property
    def at(self) -> float:
        """When, in epoch seconds by Redis's clock."""
        return self.event["at"]

    @property
    def label(self) -> str:
        """Whom it is about, as in logs."""
        return f"{self.id.account} {self.id.name}" + (f" ({self.name})" if self.name else "")

    def json(self) -> str:
        """Return it as an object on one line."""
        whom = {"account": self.id.account, "credential": self.id.name, "name": self.name}
        return json.dumps(whom | dict(self.event), ensure_ascii=False)

    def sentence(self) -> str:
        """Return what happened, for people."""
        say = _SENTENCES.get(self.event["event"], _unknown)
        return say(self.event)

    @property
    def style(self) -> str:
        """How a terminal shows it."""
        if self.event.get("early") or self.event["event"] == "failed":
            return "bold red"
        quiet = self.event.get("outcome") in ("committed", "alive")
        return "" if quiet else "yellow"


class Events:
    """The events of some credentials since a moment; each look returns those that no look before it did."""

    def __init__(self, store: Store, choose: Callable[[], Sequence[CredentialId]], since: float) -> None:
        self._store = store
        self._choose = choose
        self._since = since
        self._seen: dict[CredentialId, list[Event]] = {}

    def look(self, most: int | None = None) -> list[Happened]:
        """Return what is new, oldest first; with `most` only the newest. Raises `StoreUnavailable`, `NothingChosen`."""
        new = self._new()
        found = sorted(new if most is None else heapq.nlargest(most, new, key=_at), key=_at)
        names = self._store.notes.names_of(list({each.id.account for each in found}))
        return [Happened(each.id, each.event, names.get(each.id.account, "")) for each in found]

    def _new(self) -> Iterator[Happened]:
        few = _FEW if self._seen else 0
        for id_, events in self._store.history.of_each(self._choose(), few):
            seen = self._seen.get(id_, [])
            new = _unseen(events, seen)
            if few and len(new) == few:
                new = _unseen(self._store.history.of(id_), seen)
            # A failover may take the last ones back: so not only the newest is remembered.
            self._seen[id_] = events[:_FEW]
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


# Sentences

_ENDS = {
    "reported": "; it is the one that a service reported",
    "suspected": "; fetched before another Redis server took over, so it is looked into",
    "in_doubt": "; another fetch overlapped, so it is looked into",
}


def _refreshed(event: Event) -> str:
    if event.get("outcome") == "refused":
        return f"fetched{_because(event)} and not kept: somebody else was at it meanwhile, or the account is gone"
    until = f" until {clock(event['expires_at'], event['at'])}," if "expires_at" in event else ""
    died = "; the one before died early, and not by us" if event.get("early") else ""
    return f"refreshed{_because(event)},{until} {_which(event)}{_ENDS.get(event.get('outcome', ''), '')}{died}"


def _failed(event: Event) -> str:
    hint = f": {event['hint']}" if event.get("hint") else ""
    return f"not refreshed{_because(event)}: {event.get('error', 'nobody knows why')}{hint}"


def _probed(event: Event) -> str:
    early = ", before its time: another program fetches, or somebody reset the secret" if event.get("early") else ""
    verdicts = {
        "alive": "works and stays",
        "dead": f"is dead and withheld{early}",
        "unknown": f"can't be tested: {event.get('error', 'nobody knows why')}",
    }
    said = verdicts.get(event.get("outcome", ""), event.get("outcome", ""))
    return f"tested{_because(event)}: {_which(event)} {said}"


def _reported(event: Event) -> str:
    return f"a service reports that WeChat refused {_which(event)}"


def _unknown(event: Event) -> str:
    # A newer version may note what this one does not know.
    known: dict[str, Any] = {name: value for name, value in event.items() if name not in ("at", "event")}
    return f"{event['event']} " + " ".join(f"{name}={value}" for name, value in known.items())


_SENTENCES: dict[str, Callable[[Event], str]] = {
    "refreshed": _refreshed,
    "failed": _failed,
    "probed": _probed,
    "reported": _reported,
}


def _because(event: Event) -> str:
    """Return the cause in brackets, as logs have it."""
    cause = event.get("cause", "")
    known = Cause.__members__.get(cause.upper())
    return f" ({known or cause})" if cause else ""


def _which(event: Event) -> str:
    return event.get("fingerprint") or "it"
