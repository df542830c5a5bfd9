"""TokenReader: how a Python service reads tokens. It never fetches, and needs no AppSecret and no Celery."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Self

from tokenworker.credential import Credential, fingerprint
from tokenworker.durations import Durations
from tokenworker.reading.connections import Connections
from tokenworker.reading.reader import Reading
from tokenworker.reading.steps import Exchange, Pause, SendTask, Step, Steps, T
from tokenworker.reading.tasks import Tasks
from tokenworker.store.keys import Keys


class TokenReader:
    """Reads tokens from Redis and keeps the last good one of each account.

    Asked again within a second it answers from its copy; while Redis is away it goes on with the copy until
    30 s before the token expires. Share one between threads, and across forks. `timeout` bounds each exchange
    with Redis, in seconds. With `celery`, an app or a broker's URL, it sends a task for a token that is missing,
    or was refused, and waits some seconds for it.
    """

    def __init__(
        self,
        redis_url: str,
        prefix: str = "tokenworker",
        durations: Durations | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        timeout: float = 0.4,
        celery: Any = None,
    ) -> None:
        self._connections = Connections(redis_url, timeout)
        self._tasks = Tasks(celery) if celery else None
        keys, times = Keys(prefix), durations or Durations()
        self._reading = Reading(keys, times, clock, timeout, has_task=self._tasks is not None)

    def get_token(self, appid: str) -> Credential:
        """Return a token that works; raises `TokenUnavailable` with the reason when there is none.

        After `reject` it waits some seconds for another token, or for the worker's word that the old one works.
        """
        return self._reading.fresh(appid) or self._run(self._reading.get(appid))

    def reject(self, appid: str, access_token: str) -> None:
        """Report that WeChat refused a token (40001, 40014, 42001): a new one is on its way, if it was ours.

        Raises `StoreUnavailable`.
        """
        name = fingerprint(access_token)
        del access_token  # error trackers show the variables of frames
        self._run(self._reading.reject(appid, name))

    def close(self) -> None:
        """Close the connections to Redis."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        reply = None
        with closing(steps):
            try:
                while True:
                    reply = self._do(steps.send(reply))
            except StopIteration as end:
                result: T = end.value
                return result

    def _do(self, step: Step) -> Any:
        match step:
            case Exchange():
                return self._connections.exchange(step)
            case Pause():
                return time.sleep(step.seconds)
            case SendTask():
                return self._tasks and self._tasks.send(step)
