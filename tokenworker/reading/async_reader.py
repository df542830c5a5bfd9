"""AsyncTokenReader: the same for services on asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Self

from tokenworker.credential import Credential, fingerprint
from tokenworker.durations import Durations
from tokenworker.reading.connections import AsyncConnections
from tokenworker.reading.reader import Reading
from tokenworker.reading.steps import Exchange, Pause, SendTask, Step, Steps, T
from tokenworker.reading.tasks import Tasks
from tokenworker.store.connect import async_options
from tokenworker.store.keys import Keys


@dataclass(frozen=True)
class _Held:
    """The connections of one event loop, which no other loop can use, and what closes them."""

    connections: AsyncConnections
    ending: AsyncGenerator[None]


class AsyncTokenReader:
    """Reads tokens as `TokenReader` does, with the same arguments. Share one between tasks and event loops."""

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
        self._options = async_options(redis_url, timeout=timeout)
        self._tasks = Tasks(celery) if celery else None
        self._loops: dict[asyncio.AbstractEventLoop, _Held] = {}
        keys, times = Keys(prefix), durations or Durations()
        self._reading = Reading(keys, times, clock, timeout, has_task=self._tasks is not None)

    async def get_token(self, appid: str) -> Credential:
        """Return a token that works, as `TokenReader.get_token`."""
        token = self._reading.fresh(appid)
        return await self._run(self._reading.get(appid)) if token is None else token

    async def reject(self, appid: str, access_token: str) -> None:
        """Report that WeChat refused a token, as `TokenReader.reject`."""
        name = fingerprint(access_token)
        del access_token  # error trackers show the variables of frames
        await self._run(self._reading.reject(appid, name))

    async def aclose(self) -> None:
        """Close the connections of this event loop to Redis; a loop that ends orderly does so by itself."""
        held = self._loops.get(asyncio.get_running_loop())
        if held:
            await held.ending.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _run(self, steps: Steps[T]) -> T:
        reply = None
        with closing(steps):
            try:
                while True:
                    reply = await self._do(steps.send(reply))
            except StopIteration as end:
                result: T = end.value
                return result

    async def _do(self, step: Step) -> Any:
        match step:
            case Exchange():
                connections = await self._connections()
                return await connections.exchange(step)
            case Pause():
                return await asyncio.sleep(step.seconds)
            case SendTask():
                return self._tasks and await asyncio.to_thread(self._tasks.send, step)

    async def _connections(self) -> AsyncConnections:
        loop = asyncio.get_running_loop()
        held = self._loops.get(loop)
        if held is None:
            # Those that did not shut down can't close anything any more.
            for closed in [other for other in list(self._loops) if other.is_closed()]:
                self._loops.pop(closed, None)
            connections = AsyncConnections(self._options)
            self._loops[loop] = held = _Held(connections, self._until_the_end(loop, connections))
            await anext(held.ending)
        return held.connections

    async def _until_the_end(
        self, loop: asyncio.AbstractEventLoop, connections: AsyncConnections
    ) -> AsyncGenerator[None]:
        """Close the connections with their loop: when it shuts down, a loop ends what it began to iterate."""
        try:
            yield
        finally:
            self._loops.pop(loop, None)
            await connections.close()
