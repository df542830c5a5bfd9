"""Fingerprints: which credential of which account a value is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenworker.credential import CredentialId
from tokenworker.store.groups import grouped
from tokenworker.store.keys import Keys
from tokenworker.store.scripts import Command, Scripts, text


class Fingerprints:
    """Reads what the states say of the values; every method may raise `StoreUnavailable`."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    def of_each(self, ids: Iterable[CredentialId]) -> Iterator[tuple[CredentialId, str]]:
        """Yield the fingerprint of each that has one: of the value that was committed last."""
        for group in grouped(ids):
            steps = (Command(("HGET", self._keys.state(id_), "fingerprint")) for id_ in group)
            for id_, found in zip(group, self._scripts.answers(*steps), strict=True):
                if isinstance(found, bytes):
                    yield id_, text(found)
