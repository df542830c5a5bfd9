"""Turns: how often all workers together may call WeChat, and who waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tokenworker.credential import CredentialId
from tokenworker.durations import Durations
from tokenworker.store.limiter import Limiter, Room


@dataclass(frozen=True)
class Limits:
    """How many calls to WeChat all workers together may begin a second, and have under way at once.

    One that must wait is made after up to `patience` seconds, or else left for later; no more than half the time of a
    fetch, since whoever waits for a credential does so for two.
    """

    rate: float = 20.0
    concurrency: int = 8
    patience: float = 4.0


class Turns:
    """Hands out turns to call WeChat, within the limits in force; safe to share between threads."""

    def __init__(self, limiter: Limiter, durations: Durations, limits: Callable[[], Limits]) -> None:
        self._limiter = limiter
        self._durations = durations
        self._limits = limits

    def take(self, id_: CredentialId) -> Room:
        """Wait for our turn, and for room, if they come soon; return that they have, or how many seconds they are away.

        To be called before a lease is taken, so that nobody holds one while he waits; raises `StoreUnavailable`.
        """
        deadline = time.monotonic() + min(self._limits().patience, self._durations.fetch_timeout / 2)
        room = self._acquire(id_, deadline)
        while room.wait and time.monotonic() + room.wait <= deadline:
            time.sleep(room.wait)
            room = self._acquire(id_, deadline, has_turn=room.has_turn)
        return room

    def _acquire(self, id_: CredentialId, deadline: float, *, has_turn: bool = False) -> Room:
        limits = self._limits()
        return self._limiter.acquire(
            id_,
            rate=limits.rate,
            concurrency=limits.concurrency,
            seconds=self._durations.lease,
            patience=max(0.0, deadline - time.monotonic()),
            has_turn=has_turn,
        )
