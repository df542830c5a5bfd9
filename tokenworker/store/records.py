"""The records of credentials: look at one, take its lease, end it with or without a new value.

Value, state and lease of a credential change together, in one script each, by Redis's clock: the one clock that all
processes share. What ends a lease also sets the time of the next look and ends the call, in the same round trip.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Unpack, cast

from tokenworker.credential import Credential, CredentialId
from tokenworker.durations import BEIJING, DAY
from tokenworker.publish.formats import Copy
from tokenworker.store.history import Note
from tokenworker.store.keys import Keys
from tokenworker.store.limiter import Limiter
from tokenworker.store.schedule import Schedule
from tokenworker.store.scripts import Call, Command, Keyless, Scripts, hidden, text
from tokenworker.store.state import Facts, Lease, Snapshot, flat

Begin = Literal["ok", "lost", "no fetches left", "no forced refreshes left"]
#: `reported`: committed, but it is the one that was reported. `suspected`: committed, but fetched before a failover.
#: `in_doubt`: committed, but another fetch overlapped.
Commit = Literal["committed", "reported", "suspected", "in_doubt", "refused"]

#: Nothing is noted in the history.
NO_NOTE = Note()


class Committed(NamedTuple):
    """What came of a commit."""

    result: Commit
    #: Why a published copy could not be written, or "".
    problem: str
    #: Whether as many replicas have it as were asked for.
    replicated: bool = True


@dataclass(frozen=True)
class Replication:
    """How many replicas must know of a lease before WeChat is called, and how many seconds to wait for them."""

    replicas: int = 0
    patience: float = 0.5


class Records:
    """What Redis knows of each credential; every method may raise `StoreUnavailable`."""

    def __init__(
        self, scripts: Scripts, keys: Keys, schedule: Schedule, limiter: Limiter, replication: Replication
    ) -> None:
        self._scripts = scripts
        self._replication = replication
        self._keys = keys
        self._schedule = schedule
        self._limiter = limiter

    def look(self, id_: CredentialId) -> Snapshot:
        """Return everything known of a credential at one moment."""
        return Snapshot.of(id_, self._scripts.run("look", self._keys.of(id_)[:3]))

    # A lease, from its beginning to one of its ends

    def lease(self, id_: CredentialId, seconds: float) -> tuple[Lease, Snapshot] | None:
        """Return the right to make one call to WeChat for `seconds`, with a snapshot; None when somebody has it."""
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"
        call = Call("take_lease", self._keys.of(id_)[:3], (owner, int(seconds * 1000)))
        taken, *acknowledged = self._scripts.together(call, *self._acknowledgement())
        if not taken:
            return None
        fencing, answer, after = taken
        snapshot = Snapshot.of(id_, answer)
        replicated = self._is_replicated(acknowledged)
        return Lease(id_, owner, fencing, snapshot.now, snapshot.now + seconds, replicated, text(after)), snapshot

    def _acknowledgement(self) -> list[Keyless]:
        """Return the command that waits for the replicas, right after what they are to acknowledge."""
        if not self._replication.replicas:
            return []
        milliseconds = max(1, int(self._replication.patience * 1000))
        return [Keyless(("WAIT", self._replication.replicas, milliseconds))]

    def _is_replicated(self, acknowledged: Sequence[int]) -> bool:
        return not acknowledged or acknowledged[0] >= self._replication.replicas

    def begin(
        self,
        lease: Lease,
        *,
        forced: bool,
        budget: int,
        forced_budget: int,
        period: float = DAY,
        stray: float = 0,
        quota: int = 0,
    ) -> Begin:
        """Count a fetch in the ledger, right before it is made: only one that is `ok` may be made.

        `budget` is what a `period` of so many seconds may have, and `quota` what WeChat allows in it, 0 for any number.
        For `stray` seconds WeChat may act on the fetch, should its end never be known. Somebody looks when the lease
        ends, should its holder die.
        """
        state, key = self._keys.of(lease.id)[1:3]
        arguments = (lease.owner, lease.fencing, int(forced), period, BEIJING, budget, forced_budget, stray, quota)
        steps = Call("begin", (state, key), arguments), self._schedule.setting(lease.id, lease.until)
        return cast("Begin", text(self._scripts.together(*steps)[0]))

    def commit(
        self,
        lease: Lease,
        credential: Credential,
        *,
        refresh_at: float,
        next_look: float | None = None,
        copies: Iterable[Copy] | None = (),
        note: Note = NO_NOTE,
        **facts: Unpack[Facts],
    ) -> Committed:
        """Make it the account's credential, unless somebody took a lease after us: then nothing but a mark is set.

        Its published copies are written in the same step. Somebody looks again at `next_look`, or else when it is
        stale. May be repeated when nobody knows whether it was done.
        """
        moments = {"fetched_at": lease.taken_at, "refresh_at": refresh_at}
        fields = {"fingerprint": credential.fingerprint, **moments, **facts}
        head = (lease.owner, lease.fencing, lease.after, hidden(credential.value), int(credential.expires_at * 1000))
        call = Call("commit", self._keys.of(lease.id), (*head, *note.words(), *_listed(copies), *flat(fields)))
        next_look = refresh_at if next_look is None else next_look
        (answer, problem), *rest = self._end(lease, call, next_look, self._acknowledgement())
        result = cast("Commit", text(answer))
        if result != "committed":
            self._schedule.set(lease.id, 0)
        acknowledged = rest[:1] if self._replication.replicas else []
        return Committed(result, text(problem), self._is_replicated(acknowledged))

    def fail(
        self, lease: Lease, *, retry_at: float, lost: bool = False, note: Note = NO_NOTE, **facts: Unpack[Facts]
    ) -> None:
        """Record a failed fetch; `lost` means that WeChat may have issued something that we never saw."""
        fields = {**facts, "retry_at": retry_at, "failed_at": lease.taken_at}
        arguments = (lease.owner, lease.fencing, *note.words(), int(lost), *flat(fields))
        self._end(lease, Call("fail", self._noting(lease), arguments), retry_at)

    def _noting(self, lease: Lease) -> list[str]:
        """Return the keys of what ends a lease: state, lease, history and counts."""
        _, state, key, _, history, counts = self._keys.of(lease.id)
        return [state, key, history, counts]

    def release(self, lease: Lease, note: Note = NO_NOTE, **facts: Unpack[Facts]) -> None:
        """End a lease under which nothing was fetched, noting facts in the state."""
        arguments = (lease.owner, lease.fencing, *note.words(), *flat(facts))
        self._end(lease, Call("release", self._noting(lease), arguments))

    def withhold(self, lease: Lease, credential: Credential, note: Note = NO_NOTE, **facts: Unpack[Facts]) -> None:
        """End a lease under which the credential was found dead: nobody finds it any more, nor its copies."""
        facts["probed_dead"] = credential.fingerprint
        arguments = (lease.owner, lease.fencing, *note.words(), hidden(credential.value), *flat(facts))
        self._end(lease, Call("withhold", self._keys.of(lease.id), arguments), 0)

    def _end(
        self, lease: Lease, call: Call, next_look: float | None = None, acknowledgement: Sequence[Keyless] = ()
    ) -> list[Any]:
        """End a lease, and return what that, the acknowledgement and the rest answer."""
        steps: list[Call | Command] = [call, *acknowledgement, self._limiter.releasing(lease.id)]
        if next_look is not None:
            steps.append(self._schedule.setting(lease.id, next_look))
        return self._scripts.together(*steps)

    # Reports, published copies, removal

    def reject(self, id_: CredentialId, rejected: str) -> bool:
        """Note that WeChat refused the one with this fingerprint; return whether it is the live one."""
        value, state, _, _, history, counts = self._keys.of(id_)
        noted = bool(self._scripts.run("reject", [value, state, history, counts], rejected))
        noted = noted or self._is_live(id_, rejected)
        if noted:
            self._schedule.set(id_, 0)
        return noted

    def _is_live(self, id_: CredentialId, fingerprint: str) -> bool:
        """Return whether it is one that somebody else wrote under our key, and which our state does not know."""
        live = self.look(id_).credential
        return live is not None and live.fingerprint == fingerprint

    def clear(self, id_: CredentialId, seconds: float = 60.0) -> None:
        """Forget a credential: its value, its published copies, all that is known of it.

        For `seconds` it is remembered that it went, so that a fetch under way does not bring it back.
        """
        self._scripts.run("clear", self._keys.of(id_), int(seconds * 1000))
        self._schedule.drop(id_)

    def publish(self, id_: CredentialId, credential: Credential, copies: Iterable[Copy] | None, digest: str) -> str:
        """Write the published copies if this credential is still there, and remove others.

        Returns why one of them can't be written, or "".
        """
        value, state, _, written = self._keys.of(id_)[:4]
        arguments = (hidden(credential.value), digest, *_listed(copies))
        return text(self._scripts.run("publish", [value, state, written], *arguments))


def _listed(copies: Iterable[Copy] | None) -> list[Any]:
    """Return published copies as copies.lua takes them: their number, then name, key and value of each.

    None leaves those that there are.
    """
    if copies is None:
        return [-1]
    words = [word for copy in copies for word in (copy.name, copy.key, hidden(copy.value))]
    return [len(words) // 3, *words]
