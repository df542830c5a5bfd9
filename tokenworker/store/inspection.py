"""A look at the servers themselves, to find out why a worker can't work with them."""

from __future__ import annotations

from collections.abc import Iterable

from tokenworker.credential import CredentialId
from tokenworker.store.connect import Client
from tokenworker.store.exchange import Patience
from tokenworker.store.groups import grouped
from tokenworker.store.keys import Keys
from tokenworker.store.refusals import refusal
from tokenworker.store.scripts import Keyless, Scripts

_EXISTS = "return redis.call('EXISTS', KEYS[1])"

#: What a server says of itself, by name.
ServerFacts = dict[str, str]


class Inspection:
    """Tries and asks, changing nothing; every method may raise `StoreUnavailable`."""

    def __init__(self, client: Client, prefix: str = "tokenworker", patience: Patience | None = None) -> None:
        self._scripts = Scripts(client, patience)
        self._keys = Keys(prefix)

    def facts(self) -> list[ServerFacts]:
        """Return what INFO says of each server that takes writes; without those where we may not ask."""
        self.ping()
        found = self._scripts.everywhere(Keyless(("INFO",)))
        return [{name: str(value) for name, value in facts.items()} for facts in found if isinstance(facts, dict)]

    def cluster(self) -> ServerFacts:
        """Return what CLUSTER INFO says; empty where we may not ask."""
        answer = self._scripts.answers(Keyless(("CLUSTER INFO",)))[0]
        return {name: str(value) for name, value in answer.items()} if isinstance(answer, dict) else {}

    def keeps(self) -> bool | None:
        """Return whether snapshots are on; None where we may not ask."""
        answer = self._scripts.answers(Keyless(("CONFIG GET", "save")))[0]
        return bool(answer["save"]) if isinstance(answer, dict) and "save" in answer else None

    def shared_keys(self) -> list[str]:
        """Return the keys that all accounts share."""
        return self._keys.shared()

    def keys_of(self, id_: CredentialId) -> list[str]:
        """Return the keys that a worker uses for a credential alone."""
        return self._keys.of(id_)

    def trial(self, id_: CredentialId) -> None:
        """Do what a worker does for a credential, without a trace."""
        self._scripts.run("trial", [f"{self._keys.value(id_)}:trial", *self.keys_of(id_)])

    def refused(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the keys that may not be read and written by a script, each with the reason."""
        found: dict[str, str] = {}
        for group in grouped(keys):
            answers = self._scripts.answers(*(Keyless(("EVAL", _EXISTS, 1, key)) for key in group))
            pairs = zip(group, answers, strict=True)
            found |= {key: refusal(answer) for key, answer in pairs if isinstance(answer, Exception)}
        return found

    def ping(self) -> None:
        """Raise `StoreUnavailable` unless Redis answers."""
        self._scripts.together(Keyless(("PING",)))
