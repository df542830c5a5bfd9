"""Limits: how much one client may report, and how much all may ask at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tokenworker.credential import CredentialId
from tokenworker.web.problems import Problem

#: Reports that a client may send at once, and a second in the long run: a fleet that sees one token die sends one from
#: each process.
_BURST = 200.0
_RATE = 2.0
#: Requests under way at once.
_MOST = 1000
#: Credentials that are missing, or were refused, and that requests wait for: each holds a thread for seconds.
_MOST_WAITING = 48


class Reports:
    """A bucket for each client: it fills with time, and each report takes out of it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: What each had in it, and when; those of clients alone, which are few.
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, client: str) -> None:
        """Take one out; raises the problem of a client that has sent too many."""
        now = self._clock()
        had, at = self._buckets.get(client, (_BURST, now))
        left = min(_BURST, had + _RATE * (now - at)) - 1
        if left < 0:
            wait = -left / _RATE
            raise Problem(
                429, "this client reports too much: report a value once, when WeChat refuses it", retry_after=wait
            )
        self._buckets[client] = left, now


@dataclass
class Load:
    """How many requests are under way, and what those wait for that may be missing."""

    underway: int = 0
    #: How many wait for each credential.
    waiting: Counter[CredentialId] = field(default_factory=Counter)

    def check(self) -> None:
        """Raise the problem of one request too many."""
        if self.underway > _MOST:
            raise Problem(503, "too many requests are under way here: try again in a second", retry_after=1)

    @contextmanager
    def wait_for(self, id_: CredentialId) -> Iterator[None]:
        """Count one in that waits, while the block lasts; raises the problem of one credential too many."""
        if len(self.waiting) >= _MOST_WAITING and id_ not in self.waiting:
            raise Problem(503, "too many credentials are missing and waited for: look at /v1/status", retry_after=2)
        self.waiting[id_] += 1
        try:
            yield
        finally:
            self.waiting[id_] -= 1
            if not self.waiting[id_]:
                del self.waiting[id_]


class Rarely:
    """Says what is worth a line in the log, but not each time."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._said: dict[str, float] = {}

    def may(self, what: str) -> bool:
        """Return whether it was not said for so many seconds."""
        now = self._clock()
        if now < self._said.get(what, 0.0):
            return False
        self._said[what] = now + self._seconds
        return True
