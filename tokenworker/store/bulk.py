"""Many credentials at once: what is asked about all of them, and what is marked on each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tokenworker.credential import CredentialId
from tokenworker.errors import StoreUnavailable
from tokenworker.store.groups import grouped
from tokenworker.store.keys import Keys
from tokenworker.store.schedule import Schedule
from tokenworker.store.scripts import Call, Command, Scripts, text
from tokenworker.store.state import MANY_DEATHS, Snapshot

#: So many credentials are glanced at in one script, which does more for each; and so many scripts in a round trip. In
#: a cluster each credential may lie on another node.
_ON_SERVER, _IN_CLUSTER = (100, 10), (1, 200)

#: So many keys are looked at in one script: it keeps others waiting at Redis for less than a millisecond.
_KEYS_AT_ONCE = 500


class Bulk:
    """Many credentials at once, in few round trips; every method may raise `StoreUnavailable`."""

    def __init__(self, scripts: Scripts, keys: Keys, schedule: Schedule, *, is_cluster: bool = False) -> None:
        self._scripts = scripts
        self._keys = keys
        self._schedule = schedule
        self._is_cluster = is_cluster

    def look(self, ids: Iterable[CredentialId]) -> Iterator[Snapshot]:
        """Return everything known of each, many in a round trip."""
        for group in grouped(ids):
            answers = self._scripts.together(*(Call("look", self._keys.of(id_)[:3]) for id_ in group))
            yield from map(Snapshot.of, group, answers)

    def glances(self, ids: Iterable[CredentialId], window: float, slack: float) -> Iterator[tuple[CredentialId, str]]:
        """Yield how each is, in a letter: `c` for contested, `l` live, `t` live with trouble, `m` missing.

        More than a few early deaths within `window` seconds make one contested; `slack` is by how much clocks differ.
        """
        together, scripts = _IN_CLUSTER if self._is_cluster else _ON_SERVER
        for part in grouped(grouped(ids, together), scripts):
            calls = [Call("glance", self._pairs(group), (window, MANY_DEATHS, slack)) for group in part]
            for group, letters in zip(part, self._scripts.together(*calls), strict=True):
                yield from zip(group, text(letters), strict=True)

    def _pairs(self, ids: Iterable[CredentialId]) -> list[str]:
        return [key for id_ in ids for key in self._keys.pair(id_)]

    # What is marked

    def doubt(self, ids: Iterable[CredentialId], *, replaced: bool = False, but_last: float = 0.0) -> None:
        """Have each credential fetched once more.

        `replaced` means that a newer one may have replaced ours, unless it was fetched in the last `but_last` seconds.
        """
        for group in grouped(ids):
            steps: list[Call | Command] = []
            for id_ in group:
                steps.append(Call("doubt", self._keys.pair(id_), (int(replaced), but_last)))
                steps.append(self._schedule.setting(id_, 0))
            self._scripts.together(*steps)

    def suspect(self, ids: Iterable[CredentialId]) -> list[CredentialId]:
        """Note of each credential that there may be one that came later; returns those that there are, newest first.

        Nothing is set in the schedule: so many probes are to be spread.
        """
        fetched_at: dict[CredentialId, float] = {}
        for group in grouped(ids):
            found = self._scripts.together(*(Call("suspect", self._keys.pair(id_)) for id_ in group))
            fetched_at |= {id_: float(at) for id_, at in zip(group, found, strict=True) if at}
        return sorted(fetched_at, key=fetched_at.__getitem__, reverse=True)

    def announce(self, digests: Mapping[CredentialId, str]) -> None:
        """Note that the settings behind each credential changed, to those of these digests; who was gone is back."""
        for group in grouped(digests):
            steps: list[Call | Command] = []
            for id_ in group:
                steps.append(Call("announce", [self._keys.state(id_)], (digests[id_],)))
                steps.append(self._schedule.setting(id_, 0))
            self._scripts.together(*steps)

    def accepted(self, ids: Iterable[CredentialId]) -> dict[CredentialId, str]:
        """Return the digests of the settings with which WeChat gave what there is; "" for who was taken out."""
        digests: dict[CredentialId, str] = {}
        for group in grouped(ids):
            looks = [Command(("HMGET", self._keys.state(id_), "settings_accepted", "removed")) for id_ in group]
            rows = zip(group, self._scripts.together(*looks), strict=True)
            digests |= {id_: text(it or b"") for id_, (it, removed) in rows if it or removed}
        return digests

    # What is missing

    def missing(self, ids: Iterable[CredentialId]) -> list[CredentialId]:
        """Return those that have no value; when all have one, that costs a cheap command for hundreds."""
        return self.incomplete(dict.fromkeys(ids, ()))

    def incomplete(self, copies: Mapping[CredentialId, Sequence[str]]) -> list[CredentialId]:
        """Return those whose value, or one of whose published copies, holds no text; `copies` has the keys of those.

        A key that we may not read counts as one without text.
        """
        keys = [(id_, key) for id_, more in copies.items() for key in (self._keys.value(id_), *more)]
        lacking: dict[CredentialId, None] = {}
        for group in grouped(keys, _KEYS_AT_ONCE):
            found = self._without_text([key for _, key in group])
            lacking |= dict.fromkeys(group[place][0] for place in found)
        return list(lacking)

    def _without_text(self, keys: Sequence[str]) -> list[int]:
        """Return the places of those keys that hold no text, from 0 on."""
        if self._is_cluster:
            return self._without_text_each(keys)
        try:
            return [place - 1 for place in self._scripts.run("strings", keys)]
        except StoreUnavailable:
            # One of them is out of our sight, perhaps: then Redis refuses the whole script.
            return self._without_text_each(keys)

    def _without_text_each(self, keys: Sequence[str]) -> list[int]:
        lengths = self._scripts.answers(*(Command(("STRLEN", key)) for key in keys))
        return [place for place, length in enumerate(lengths) if not isinstance(length, int) or length == 0]
