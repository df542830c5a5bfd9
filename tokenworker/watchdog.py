"""The watchdog: a thread in every worker that refreshes what beat, the queue and the other workers left undone."""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery.signals import worker_ready, worker_shutting_down

from tokenworker.errors import TokenWorkerError
from tokenworker.policy import Demand, waits
from tokenworker.runtime import Runtime, runtime
from tokenworker.tasks import QUEUE, refresh_due_tokens

logger = logging.getLogger(__name__)


class Watchdog(threading.Thread):
    """Looks at the accounts now and then, and refreshes those that are neglected, without beat or broker."""

    def __init__(self, held: Runtime) -> None:
        super().__init__(name="tokenworker-watchdog", daemon=True)
        self._held = held
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look until stopped."""
        while not self._stopped.wait(self._held.durations.watchdog_interval):
            self.look()

    def stop(self) -> None:
        """End after the look under way."""
        self._stopped.set()

    def look(self) -> list[str]:
        """Refresh what is neglected and return its appids; logs what goes wrong and goes on."""
        try:
            self._held.reconcile()
            appids = [appid for appid in self._candidates() if self._is_neglected(appid)]
        except TokenWorkerError as error:
            logger.warning("the watchdog can't look: %s", error)
            return []
        for appid in appids:
            self._refresh(appid)
        return appids

    def _candidates(self) -> list[str]:
        store, grace = self._held.store, self._held.durations.grace
        # The tick has moved the accounts that it sent a refresh for by the grace; the message may have got lost.
        return sorted({*store.due_within(grace), *store.without_token(self._held.book.accounts)})

    def _is_neglected(self, appid: str) -> bool:
        account = self._held.book.accounts.get(appid)
        snapshot = self._held.store.look(appid)
        if account is None or snapshot.lease_left or waits(snapshot, account, Demand(), self._held.durations):
            return False
        if snapshot.token is None:
            logger.warning("%s: there is no token, and nobody is fetching one", appid)
        elif snapshot.now - snapshot.refresh_at > self._held.durations.watchdog_overdue:
            logger.warning("%s: overdue; is beat running, and does a worker take from %r?", appid, QUEUE)
        else:
            return False
        return True

    def _refresh(self, appid: str) -> None:
        try:
            self._held.refresher.refresh(self._held.book.account(appid))
        except TokenWorkerError as error:
            logger.warning("%s: the watchdog's refresh failed: %s", appid, error)
        except Exception:
            # Whatever it is, the next account and the next look must have their turn.
            logger.exception("%s: the watchdog's refresh broke", appid)


_watchdogs: list[Watchdog] = []


@worker_ready.connect(weak=False)
def start(sender: Any, **_: Any) -> None:
    """Send the first refreshes at once, and begin to watch, in workers that take from our queue."""
    if QUEUE in sender.app.amqp.queues.consume_from:
        refresh_due_tokens.apply_async(ignore_result=True)
        _watchdogs.append(Watchdog(runtime()))
        _watchdogs[-1].start()


@worker_shutting_down.connect(weak=False)
def stop(**_: Any) -> None:
    """End the watch."""
    while _watchdogs:
        _watchdogs.pop().stop()
