"""The watchdog: a thread in every worker that refreshes what beat, the queue and the other workers left undone."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from celery.signals import celeryd_after_setup, worker_ready, worker_shutting_down

from tokenworker.credential import CredentialId
from tokenworker.errors import TokenWorkerError
from tokenworker.messages import QUEUE
from tokenworker.worker.app import preflight
from tokenworker.worker.failovers import Failovers
from tokenworker.worker.runtime import Runtime, runtime
from tokenworker.worker.sweep import Sweep
from tokenworker.worker.tasks import refresh_due_tokens

logger = logging.getLogger(__name__)

#: A clock that goes back by more was set, in seconds: corrections are smaller, and so is the time that Redis takes.
_CLOCK_STEP = 2.0


class Watchdog(threading.Thread):
    """Feels Redis's pulse; beside it, looks now and then at what is neglected and refreshes that, without beat."""

    def __init__(self, held: Runtime) -> None:
        super().__init__(name="tokenworker-pulse", daemon=True)
        self._held = held
        self._stopped = threading.Event()
        self._looks = threading.Thread(target=self._watch, name="tokenworker-watchdog", daemon=True)
        self._ahead: float | None = None
        self._pulse = 0
        self._began = time.monotonic()
        self._silent = False
        #: What the workers of all hosts call this one.
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._failovers = Failovers(held.store, held.reconciler, held.limits)

    def run(self) -> None:
        """Feel the pulse until stopped, whatever a look is at."""
        self._looks.start()
        while not self._stopped.wait(self._held.durations.pulse):
            self.check_memory()
        with suppress(TokenWorkerError):
            self._held.store.notes.leave(self._name)

    def _watch(self) -> None:
        interval, looked = self._held.durations.watchdog_interval, time.monotonic()
        while not self._stopped.wait(max(0.0, looked + interval - time.monotonic())):
            looked = time.monotonic()
            self.look(takes_turns=True)

    def stop(self) -> None:
        """End soon, after the refreshes under way."""
        self._stopped.set()

    def look(self, *, takes_turns: bool = False) -> list[CredentialId]:
        """Refresh what is neglected and return its ids; logs what goes wrong and goes on.

        With `takes_turns` only one worker does so in each interval, and all others look at the accounts, Redis's clock
        and beat. Ends within an interval, but for the refreshes under way; what is left comes the next time.
        """
        sweep = Sweep(self._held, self._stopped)
        try:
            self._held.reconciler.reconcile()
            self._check_clock()
            self._check_beat()
            return sweep.run() if not takes_turns or self._has_turn() else []
        except TokenWorkerError as error:
            logger.warning("the watchdog can't look: %s", error)
        except Exception:
            # Whatever it is, go on: this thread is what is left when beat and the queue fail.
            logger.exception("the watchdog's look broke")
        return sweep.refreshed

    def _has_turn(self) -> bool:
        """Return whether no other worker looked in this interval; who dies while he looks is followed by another."""
        # A bit shorter, or one worker alone would find its own mark at every other look.
        return self._held.store.notes.mark("sweep", 0.9 * self._held.durations.watchdog_interval)

    def check_memory(self) -> None:
        """Doubt every credential when Redis went back in time: it may have lost others that came after them."""
        try:
            before, self._pulse = self._pulse, self._held.store.notes.pulse(self._name)
            if self._pulse <= before:
                logger.error("Redis went back in time, or was emptied: credentials are probed or fetched again")
                self._doubt_all()
            self._failovers.look()
        except TokenWorkerError:
            pass  # the next look tells of it
        except Exception:
            logger.exception("the watchdog's look broke")

    def _doubt_all(self) -> None:
        """Doubt what was there when Redis went back; what was fetched since the last pulse came after that."""
        pulse = self._held.durations.pulse
        if self._held.store.notes.mark("restored", 5 * pulse):
            self._held.store.bulk.doubt(self._held.reconciler.targets, replaced=True, but_last=2 * pulse)

    def _check_clock(self) -> None:
        """Have every credential fetched again when Redis's clock went back: its key would outlive it."""
        ahead = self._held.store.now() - time.monotonic()
        before, self._ahead = self._ahead, ahead
        if before is not None and before - ahead > _CLOCK_STEP:
            logger.error("Redis's clock went back by %.0f s: every credential is fetched again", before - ahead)
            if self._held.store.notes.mark("in_doubt", 6 * self._held.durations.watchdog_interval):
                self._held.store.bulk.doubt(self._held.reconciler.targets)

    def _check_beat(self) -> None:
        """Log once that beat is silent, and once that it is back."""
        limit, ago = self._held.durations.silence, self._held.store.notes.ticked_ago()
        # At our start beat may be starting, too.
        since_start = time.monotonic() - self._began
        before, self._silent = self._silent, min(since_start, since_start if ago is None else ago) >= limit
        if self._silent and not before:
            logger.error("no tick for %.0f s: does beat run, and a worker take from %r? Till then the watchdogs"
                         " refresh credentials, late", limit, QUEUE)  # fmt: skip
        if before and not self._silent:
            logger.info("beat ticks again")


_watchdogs: list[Watchdog] = []


@celeryd_after_setup.connect(weak=False)
def check(instance: Any, **_: Any) -> None:
    """Log what keeps a worker of any app from doing our work; only a warning, since another worker may do it."""
    for sentence in (*preflight.faults(instance.app), *preflight.notes(instance.app)):
        logger.warning("tokenworker: %s", sentence)


@worker_ready.connect(weak=False)
def start(sender: Any, **_: Any) -> None:
    """Send the first refreshes at once, and begin to watch, in workers that take from our queue."""
    if QUEUE in preflight.taken(sender.app):
        refresh_due_tokens.apply_async(ignore_result=True)
        _watchdogs.append(Watchdog(runtime()))
        _watchdogs[-1].start()


@worker_shutting_down.connect(weak=False)
def stop(**_: Any) -> None:
    """End the watch."""
    while _watchdogs:
        _watchdogs.pop().stop()
