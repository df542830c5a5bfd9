"""The commits of a process that are repeated: when the model says so, and not in a thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from model.record import DURATIONS
from tokenworker.refresh.commits import Commits, Pending
from tokenworker.store.records import Records


class SteppedCommits(Commits):
    """Commits once, and again at each `repeat`, by `again`: a thread that goes on while the process is stopped."""

    def __init__(self, records: Records, again: Records, clock: Callable[[], float]) -> None:
        super().__init__(records, replace(DURATIONS, transient_wait=0.0))
        self._once, self._again = records, again
        self._now = clock
        self._waiting: list[tuple[float, Pending]] = []

    def forget(self) -> None:
        """Die with the process."""
        self._waiting.clear()

    def repeat(self) -> None:
        """Try once more what is not done yet, for as long as the product does."""
        self._records = self._again
        self._waiting = [(at, it) for at, it in self._waiting if self._is_young(at) and not self._is_settled(it)]
        self._records = self._once

    def _is_young(self, at: float) -> bool:
        return self._now() - at <= DURATIONS.overlap

    def _keep(self, pending: Pending) -> None:
        self._waiting.append((self._now(), pending))
