"""A look at the server itself, to find out why a worker can't work with it."""

from __future__ import annotations

from tokenworker.credential import CredentialId
from tokenworker.store.connect import Client
from tokenworker.store.exchange import Patience
from tokenworker.store.keys import Keys
from tokenworker.store.scripts import Keyless, Scripts

_EXISTS = "return redis.call('EXISTS', KEYS[1])"


class Inspection:
    """Tries and asks, changing nothing; every method may raise `StoreUnavailable`."""

    def __init__(self, client: Client, prefix: str = "tokenworker", patience: Patience | None = None) -> None:
        self._scripts = Scripts(client, patience)
        self._keys = Keys(prefix)

    def facts(self) -> dict[str, str]:
        """Return what INFO says of the server; empty where we may not ask."""
        self.ping()
        facts = self._scripts.answers(Keyless(("INFO",)))[0]
        return {name: str(value) for name, value in facts.items()} if isinstance(facts, dict) else {}

    def keys_of(self, id_: CredentialId) -> list[str]:
        """Return every key that a worker uses for a credential."""
        return [*self._keys.of(id_), *self._keys.shared()]

    def trial(self, id_: CredentialId) -> None:
        """Do what a worker does for a credential, without a trace."""
        self._scripts.run("trial", [f"{self._keys.value(id_)}:trial", *self.keys_of(id_)])

    def touch(self, key: str) -> None:
        """Raise `StoreUnavailable` unless this key may be read and written by a script."""
        self._scripts.together(Keyless(("EVAL", _EXISTS, 1, key)))

    def ping(self) -> None:
        """Raise `StoreUnavailable` unless Redis answers."""
        self._scripts.together(Keyless(("PING",)))
