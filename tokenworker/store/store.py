"""The store: everything in Redis that belongs to one prefix, by its parts."""

from __future__ import annotations

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from tokenworker.store.connect import options, translated
from tokenworker.store.keys import Keys
from tokenworker.store.limiter import Limiter
from tokenworker.store.notes import Notes
from tokenworker.store.records import Records
from tokenworker.store.schedule import Schedule
from tokenworker.store.scripts import Scripts


def connect(url: str, *, timeout: float = 2.0, retries: int = 2) -> redis.Redis:
    """Return a client that gives up in time: redis-py's own defaults hold a call for up to a minute.

    Raises `ConfigError` for a URL that can't be used; opens no connection yet.
    """
    backoff = ExponentialBackoff(cap=0.1, base=0.02) if retries else NoBackoff()
    pool = redis.ConnectionPool(retry=Retry(backoff, retries), **options(url, timeout=timeout))
    return redis.Redis.from_pool(pool)


class Store:
    """What Redis knows, by its parts; every method of theirs may raise `StoreUnavailable`."""

    def __init__(self, client: redis.Redis, prefix: str = "tokenworker", scripts: Scripts | None = None) -> None:
        self._client = client
        self._scripts = scripts or Scripts(client)
        self.keys = Keys(prefix)
        self.schedule = Schedule(self._scripts, self.keys)
        self.limiter = Limiter(self._scripts, self.keys)
        self.records = Records(self._scripts, self.keys, self.schedule, self.limiter)
        self.notes = Notes(self._scripts, self.keys)

    def now(self) -> float:
        """Return the time by Redis's clock, in epoch seconds."""
        with translated():
            seconds, microseconds = self._client.time()
        return seconds + microseconds / 1e6

    def close(self) -> None:
        """Close the connections to Redis."""
        self._client.close()
