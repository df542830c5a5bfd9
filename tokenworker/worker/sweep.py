"""One look of a watchdog at all that is kept: it refreshes what is missing or overdue, and writes lost copies again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tokenworker.credential import CredentialId
from tokenworker.credentials.target import Target
from tokenworker.errors import FetchError, TokenWorkerError
from tokenworker.messages import QUEUE
from tokenworker.refresh.causes import Cause, Demand
from tokenworker.refresh.decide import Nothing, Wait, decide
from tokenworker.store.groups import AT_ONCE, grouped
from tokenworker.store.state import Snapshot
from tokenworker.worker.runtime import Runtime

logger = logging.getLogger(__name__)

#: The part of an interval over which a look is spread, and after which it begins nothing more.
_SPREAD = 0.8


class Sweep:
    """Goes through all credentials once, in small parts, over most of an interval; `stopped` ends it early."""

    def __init__(self, held: Runtime, stopped: threading.Event) -> None:
        self._held = held
        self._stopped = stopped
        self._spread = _SPREAD * held.durations.watchdog_interval
        self._end = time.monotonic() + self._spread
        limits = held.limits()
        #: No more than may be fetched in the time.
        self._left = max(limits.concurrency, int(limits.rate * held.durations.watchdog_interval))
        self._pool = ThreadPoolExecutor(limits.concurrency, thread_name_prefix="tokenworker-watchdog")
        self._seen: set[CredentialId] = set()
        #: What was refreshed, in its order.
        self.refreshed: list[CredentialId] = []

    def run(self) -> list[CredentialId]:
        """Refresh what is neglected and return its ids; raises `StoreUnavailable`."""
        with self._pool:
            self._look_at_due()
            self._look_at_values()
        return self.refreshed

    @property
    def _is_over(self) -> bool:
        return self._left <= 0 or self._stopped.is_set() or time.monotonic() > self._end

    def _look_at_due(self) -> None:
        """Refresh what is overdue: messages got lost, or nobody sends or takes them."""
        store, targets = self._held.store, self._held.reconciler.targets
        # What the tick claimed is not due for the grace, but the message may have got lost.
        due = store.schedule.due(store.now() + self._held.durations.grace, AT_ONCE + self._left)
        self._tend(store.bulk.look(id_ for id_ in due if id_ in targets))

    def _look_at_values(self) -> None:
        """Refresh what is missing, and write again what else is."""
        targets = self._held.reconciler.targets
        parts = list(grouped(targets))
        for number, part in enumerate(parts, 1):
            self._held.reconciler.mend_entries(part)
            self._tend(self._held.reconciler.mend_copies(part))
            if self._is_over:
                return
            if number < len(parts):
                self._stopped.wait(max(0.0, self._end - time.monotonic()) / (len(parts) - number + 1))

    def _tend(self, snapshots: Iterable[Snapshot]) -> None:
        """Refresh those of them that are neglected."""
        targets = self._held.reconciler.targets
        for snapshot in snapshots:
            if self._is_over:
                return
            if snapshot.id not in self._seen and self._is_neglected(snapshot, targets[snapshot.id]):
                self._left -= 1
                self._seen.add(snapshot.id)
                self.refreshed.append(snapshot.id)
                self._pool.submit(self._refresh, targets[snapshot.id])

    def _is_neglected(self, snapshot: Snapshot, target: Target) -> bool:
        durations = self._held.durations
        if snapshot.lease_left:
            return False
        decision = decide(snapshot, target, Demand(), durations)
        if isinstance(decision, Nothing | Wait):
            return False
        if decision.cause is not Cause.STALE:
            # Nobody was sent a refresh for this; the lease sees to it that only one watchdog makes it.
            extra = target.id.fields | {"cause": decision.cause.name.lower()}
            logger.warning("%s: due, and nobody is at it: %s", target.label, decision.cause, extra=extra)
            return True
        left = snapshot.credential.expires_at - snapshot.refresh_at if snapshot.credential else 0.0
        # With a short leeway, act before nothing is left of it.
        overdue = snapshot.now - snapshot.refresh_at > min(durations.watchdog_overdue, left / 4)
        if overdue:
            words = "%s: overdue; is beat running, and does a worker take from %r?"
            logger.warning(words, target.label, QUEUE, extra=target.id.fields)
        return overdue

    def _refresh(self, target: Target) -> None:
        try:
            if time.monotonic() < self._end and not self._stopped.is_set():
                with suppress(FetchError):  # the fetcher logged it
                    self._held.keeper.refresh(target, Demand(neglected=True))
        except TokenWorkerError as error:
            logger.warning("%s: the watchdog's refresh failed: %s", target.label, error, extra=target.id.fields)
        except Exception:
            # Whatever it is, go on with the next one.
            logger.exception("%s: the watchdog's refresh broke", target.label, extra=target.id.fields)
