"""A look at the server itself, to find out why a worker can't work with it."""

from __future__ import annotations

import redis

from tokenworker.credential import CredentialId
from tokenworker.store.connect import translated
from tokenworker.store.keys import Keys
from tokenworker.store.scripts import Scripts


class Inspection:
    """Tries and asks, changing nothing; every method may raise `StoreUnavailable`."""

    def __init__(self, client: redis.Redis, prefix: str = "tokenworker") -> None:
        self._client = client
        self._keys = Keys(prefix)

    def facts(self) -> dict[str, str]:
        """Return what INFO says of the server; empty where we may not ask."""
        with translated():
            self._client.ping()
            try:
                facts = self._client.info()
            except redis.ResponseError:
                return {}
        return {name: str(value) for name, value in facts.items()}

    def keys_of(self, id_: CredentialId) -> list[str]:
        """Return every key that a worker uses for a credential."""
        return [*self._keys.of(id_), *self._keys.shared()]

    def trial(self, id_: CredentialId) -> None:
        """Do what a worker does for a credential, without a trace."""
        Scripts(self._client).run("trial", [f"{self._keys.value(id_)}:trial", *self.keys_of(id_)])

    def touch(self, key: str) -> None:
        """Raise `StoreUnavailable` unless this key may be read and written by a script."""
        with translated():
            self._client.eval("return redis.call('EXISTS', KEYS[1])", 1, key)

    def ping(self) -> None:
        """Raise `StoreUnavailable` unless Redis answers."""
        with translated():
            self._client.ping()
