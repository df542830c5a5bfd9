"""The records in a cluster, where published copies lie on other nodes than their credential: written right after it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha1
from typing import Any, Unpack

from tokenworker.credential import Credential, CredentialId
from tokenworker.publish.formats import Copy
from tokenworker.store.history import Note
from tokenworker.store.records import NO_NOTE, Committed, Records
from tokenworker.store.scripts import Command, hidden, text
from tokenworker.store.state import Facts, Lease


class ClusterRecords(Records):
    """What a cluster knows of each credential; every method may raise `StoreUnavailable`."""

    def commit(
        self, lease: Lease, credential: Credential, *, copies: Iterable[Copy] | None = (), **rest: Any
    ) -> Committed:
        """Commit, then write the published copies: a moment may lie between the two, and a node may be away."""
        done = super().commit(lease, credential, copies=None, **rest)
        if done.result == "refused":
            return done
        return done._replace(problem=self._write(lease.id, credential, list(copies or ())))

    def publish(self, id_: CredentialId, credential: Credential, copies: Iterable[Copy] | None, digest: str) -> str:
        """Write the published copies if this credential is still there, and remove others."""
        super().publish(id_, credential, None, digest)
        return self._write(id_, credential, list(copies or ()))

    def withhold(self, lease: Lease, credential: Credential, note: Note = NO_NOTE, **facts: Unpack[Facts]) -> None:
        """End a lease under which the credential was found dead, and remove it and its copies."""
        written = self._written(lease.id)
        super().withhold(lease, credential, note, **facts)
        self._remove(written)

    def clear(self, id_: CredentialId, seconds: float = 60.0) -> None:
        """Forget a credential and remove its copies."""
        written = self._written(id_)
        super().clear(id_, seconds)
        self._remove(written)

    def _write(self, id_: CredentialId, credential: Credential, copies: Sequence[Copy]) -> str:
        """Write copies of the credential while it is there; returns why one can't be written, or ""."""
        value, state, _, noted = self._keys.of(id_)[:4]
        there, left = self._scripts.together(Command(("GET", value)), Command(("PTTL", value)))
        if there is None or text(there) != credential.value or left <= 0:
            return ""  # a newer one came, with its own copies
        answers = self._scripts.answers(
            *(Command(("SET", copy.key, hidden(copy.value), "PX", left)) for copy in copies)
        )
        refused = [(copy, it) for copy, it in zip(copies, answers, strict=True) if isinstance(it, Exception)]
        problem = f"{refused[0][0].name}: {refused[0][1]}" if refused else ""
        digests = [word for copy in copies for word in (copy.key, _digest(copy.value.encode()))]
        others = {key: it for key, it in self._written(id_).items() if key not in {copy.key for copy in copies}}
        self._remove(others)
        notes = [Command(("HSET", state, "publish_error", problem))]
        notes += [Command(("HSET", noted, *digests))] if digests else []
        notes += [Command(("HDEL", noted, *others))] if others else []
        self._scripts.together(*notes)
        return problem

    def _written(self, id_: CredentialId) -> dict[str, str]:
        """Return the keys of the published copies, each with the SHA-1 of what was written there."""
        found = self._scripts.command("HGETALL", self._keys.copies(id_))
        return {text(key): text(digest) for key, digest in found.items()}

    def _remove(self, written: dict[str, str]) -> None:
        """Remove copies, but not where somebody else has written since."""
        found = self._scripts.answers(*(Command(("GET", key)) for key in written))
        ours = [
            key
            for (key, digest), value in zip(written.items(), found, strict=True)
            if isinstance(value, bytes) and _digest(value) == digest
        ]
        self._scripts.answers(*(Command(("DEL", key)) for key in ours))


def _digest(value: bytes) -> str:
    # As Redis's sha1hex; it protects nothing.
    return sha1(value, usedforsecurity=False).hexdigest()
