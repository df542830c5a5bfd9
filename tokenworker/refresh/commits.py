"""Commits that outlast Redis's absence: what WeChat gave us is the only one, and nobody else knows of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tokenworker.credential import Credential
from tokenworker.durations import Durations
from tokenworker.errors import StoreUnavailable
from tokenworker.publish.formats import Copy
from tokenworker.store.history import Note
from tokenworker.store.records import NO_NOTE, Committed, Records
from tokenworker.store.state import Facts, Lease

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pending:
    """A credential that was fetched under a lease, with all that its commit notes."""

    lease: Lease
    credential: Credential
    refresh_at: float
    next_look: float
    copies: Sequence[Copy]
    facts: Facts
    note: Note = NO_NOTE
    #: By `time.monotonic`.
    began: float = field(default_factory=time.monotonic)


class Commits:
    """Commits, and goes on in a thread of its own until Redis took it, and as many replicas as were asked for.

    So a master that is lost with the commit costs nothing, as long as this process lives. Safe to share between
    threads.
    """

    def __init__(self, records: Records, durations: Durations) -> None:
        self._records = records
        self._durations = durations
        self._lock = threading.Lock()
        self._pending: list[Pending] = []
        self._thread: threading.Thread | None = None

    def commit(self, pending: Pending) -> Committed:
        """Commit; raises `StoreUnavailable` when Redis does not take it within a second, and goes on then."""
        deadline = time.monotonic() + self._durations.transient_wait
        while True:
            try:
                done = self._try(pending)
                break
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    self._keep(pending)
                    raise
            time.sleep(self._durations.transient_wait / 10)
        if not _is_done(done):
            self._keep(pending)
        return done

    def _try(self, it: Pending) -> Committed:
        return self._records.commit(
            it.lease,
            it.credential,
            refresh_at=it.refresh_at,
            next_look=it.next_look,
            copies=it.copies,
            note=it.note,
            **it.facts,
        )

    def _keep(self, pending: Pending) -> None:
        with self._lock:
            self._pending.append(pending)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tokenworker-commits", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(self._durations.transient_wait)
            with self._lock:
                waiting = list(self._pending)
            done = [pending for pending in waiting if self._is_settled(pending)]
            with self._lock:
                self._pending = [pending for pending in self._pending if pending not in done]
                if not self._pending:
                    self._thread = None
                    return

    def _is_settled(self, pending: Pending) -> bool:
        """Try once more; return whether that, or the time that passed, leaves nothing to try."""
        if time.monotonic() - pending.began > self._durations.overlap:
            return True
        try:
            done = self._try(pending)
        except StoreUnavailable:
            return False
        except Exception:
            logger.exception("%s: its commit can't be repeated", pending.lease.id, extra=pending.lease.id.fields)
            return True
        if _is_done(done):
            name, result = pending.credential.fingerprint, done.result
            extra = pending.lease.id.fields | {"fingerprint": name, "outcome": result}
            logger.info("%s: %s at last: %s", pending.lease.id, name, result, extra=extra)
        return _is_done(done)


def _is_done(done: Committed) -> bool:
    return done.replicated or done.result == "refused"
