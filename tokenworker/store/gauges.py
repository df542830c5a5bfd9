"""Gauges: what there is to measure of all credentials, cheaply, however many there are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tokenworker.credential import CredentialId
from tokenworker.store.groups import grouped
from tokenworker.store.keys import Keys
from tokenworker.store.scripts import Call, Scripts, readable


class Gauge(NamedTuple):
    """What is measured of a credential. Moments are epoch seconds by Redis's clock; 0 where there is nothing."""

    id: CredentialId
    now: float
    #: Seconds that it has left to live.
    left: float
    #: How often each thing happened, by the names of the history's counts.
    counts: dict[str, float]
    #: The last failure, if the last fetch failed.
    error: str
    #: The fields of the state of these names.
    fetched_at: float
    refresh_at: float
    failures: float
    errcode: float
    early_deaths: float
    early_deaths_since: float
    fetches_today: float
    day: float
    quota: float
    quota_period: float


#: So many are measured in one script, and so many scripts sent in a round trip: everybody else waits at Redis till all
#: of a round trip is done, for a millisecond. In a cluster each may lie on another node.
_ON_SERVER, _IN_CLUSTER = (30, 1), (1, 100)

#: No number of ours is larger; neither is what is no number, or infinite, smaller.
_MOST = 1e15

_FIELDS = Gauge._fields[Gauge._fields.index("error") :]


class Gauges:
    """Looks at many credentials; may raise `StoreUnavailable`."""

    def __init__(self, scripts: Scripts, keys: Keys, *, is_cluster: bool = False) -> None:
        self._scripts = scripts
        self._keys = keys
        self._at_once = _IN_CLUSTER if is_cluster else _ON_SERVER

    def of(self, ids: Iterable[CredentialId]) -> Iterator[Gauge]:
        """Measure each."""
        together, scripts = self._at_once
        for part in grouped(grouped(ids, together), scripts):
            answers = self._scripts.together(*(Call("gauges", self._names(group), _FIELDS) for group in part))
            for group, answer in zip(part, answers, strict=True):
                now, *rows = json.loads(readable(answer))
                yield from (_gauge(id_, now, row) for id_, row in zip(group, rows, strict=True))

    def _names(self, ids: Iterable[CredentialId]) -> list[str]:
        pairs = map(self._keys.pair, ids)
        return [name for value, state in pairs for name in (value, state, f"{value}:counts")]


def _gauge(id_: CredentialId, now: float, row: list[Any]) -> Gauge:
    left, (error, *fields), counts = row
    # Lua's empty table is an object.
    counted = dict(zip(counts[::2], _numbers(counts[1::2]), strict=True)) if counts else {}
    return Gauge(id_, now, left, counted, error or "", *_numbers(fields))


def _numbers(texts: list[str | bool]) -> list[float]:
    """Return the numbers that texts hold; those that are not there are 0."""
    try:
        found = [float(text or 0) for text in texts]
    except ValueError:
        return [_number(text) for text in texts]
    return found if -_MOST < sum(found) < _MOST else [_number(text) for text in texts]


def _number(text: str | bool) -> float:
    """Return the number that a text holds, 0 for nonsense: another program or version may have written anything."""
    try:
        found = float(text or 0)
    except ValueError:
        return 0.0
    return found if -_MOST < found < _MOST else 0.0
