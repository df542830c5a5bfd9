"""What happened to credentials: the events of the last day, and how often each thing happened.

Both are written by the scripts that change the credential, in the same round trip.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict, cast

from tokenworker.credential import CredentialId
from tokenworker.store.groups import grouped
from tokenworker.store.keys import Keys
from tokenworker.store.scripts import Command, Scripts, readable

#: The scripts put in its place what came of a commit.
OUTCOME = "OUTCOME"

#: A sentence in an event has so many characters at most.
_LONGEST = 300

#: No moment of ours is later, in epoch seconds.
_LATEST = 1e11

#: So many histories come in one round trip: each may hold two hundred events.
_AT_ONCE = 50


class Event(TypedDict, total=False):
    """What happened to a credential; no secrets. What does not apply is not there."""

    #: Epoch seconds by Redis's clock.
    at: float
    event: Literal["refreshed", "failed", "probed", "reported"]
    #: Why WeChat was called: the name of a cause, in lower case.
    cause: str
    #: Of a fetch: what came of its commit; of a probe: alive, dead or unknown.
    outcome: str
    fingerprint: str
    #: Epoch seconds.
    expires_at: float
    #: Seconds that WeChat took to answer; not there when it was not asked.
    took: float
    errcode: int
    #: A sentence, and another about what to do.
    error: str
    hint: str
    #: That it died before its time, without us.
    early: bool


@dataclass(frozen=True)
class Note:
    """What a script is to note: an event, if any, and how much to add to counts."""

    event: Event | None = None
    counts: Mapping[str, float] = field(default_factory=dict)

    def words(self) -> tuple[str, str]:
        """Return it as scripts take it."""
        known = {name: _short(value) for name, value in (self.event or {}).items() if value not in (None, "")}
        event = json.dumps(known, ensure_ascii=False, separators=(",", ":")) if known else ""
        return event, " ".join(f"{name}={number:g}" for name, number in self.counts.items())


def _short(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    return value[:_LONGEST] if isinstance(value, str) else value


class History:
    """What happened to credentials; every method may raise `StoreUnavailable`."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    def of(self, id_: CredentialId) -> list[Event]:
        """Return the events of the last day, newest first: two hundred at most."""
        return next(self.of_each([id_]))[1]

    def of_each(self, ids: Iterable[CredentialId], most: int = 0) -> Iterator[tuple[CredentialId, list[Event]]]:
        """Yield the events of each, newest first; only the `most` newest, unless that is 0."""
        for group in grouped(ids, _AT_ONCE):
            looks = [Command(("LRANGE", self._keys.history(id_), 0, most - 1)) for id_ in group]
            for id_, lines in zip(group, self._scripts.together(*looks), strict=True):
                yield id_, list(_events(lines))

    def counts(self, ids: Iterable[CredentialId]) -> Iterator[tuple[CredentialId, dict[str, float]]]:
        """Yield how often each thing happened to each.

        `fetches:CAUSE:OUTCOME`, `errors:ERRCODE`, `probes:OUTCOME`, `reports`, `early_deaths`, `rescues`, `took:LE`
        and `took_sum`, the seconds that fetches took.
        """
        for group in grouped(ids):
            looks = [Command(("HGETALL", self._keys.counts(id_))) for id_ in group]
            for id_, found in zip(group, self._scripts.together(*looks), strict=True):
                yield id_, dict(_numbers(found))


def _events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events; what is none was written by somebody else."""
    for line in lines:
        event = _parsed(line)
        if event:
            yield event


def _parsed(line: bytes) -> Event | None:
    """Return an event, without what can't stand in one."""
    try:
        found: Any = json.loads(readable(line))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    fields = {name: value for name, value in found.items() if name in _FITS and _FITS[name](value)}
    return cast("Event", fields) if {"at", "event"} <= fields.keys() else None


def _is_moment(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST


def _is_text(value: object) -> bool:
    """Return whether it is a text that can be written: JSON may hold halves of characters."""
    return isinstance(value, str) and value == value.encode("utf-8", "ignore").decode()


def _is_code(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LATEST < value < _LATEST


#: What fits in each field: somebody else may have written anything.
_FITS: dict[str, Callable[[object], bool]] = {
    "event": lambda value: value in ("refreshed", "failed", "probed", "reported"),
    "early": lambda value: isinstance(value, bool),
    "errcode": _is_code,
    **dict.fromkeys(("at", "expires_at", "took"), _is_moment),
    **dict.fromkeys(("cause", "outcome", "fingerprint", "error", "hint"), _is_text),
}
if Event.__annotations__.keys() != _FITS.keys():
    raise TypeError("nobody says what fits in each field of an event")


def _numbers(found: Mapping[bytes, bytes]) -> Iterator[tuple[str, float]]:
    for name, number in found.items():
        try:
            yield readable(name), float(number)
        except ValueError:
            continue  # somebody else wrote it
