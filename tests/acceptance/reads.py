"""Two readers whose every read is judged: one account at a time, for tokens end between reading and judging."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from typing import Self

from acceptance.stage import Stage
from acceptance.watch import Read, Watch
from tokenworker.errors import TokenUnavailable
from tokenworker.reading.async_reader import AsyncTokenReader
from tokenworker.reading.reader import TokenReader

#: A reader may take so long, in seconds, and so much longer on a busy machine.
TIMEOUT, LATE = 0.4, 0.05
LIMIT = TIMEOUT + LATE

#: Between two reads, in seconds.
PAUSE = 0.01


class Reads:
    """Two readers, one of them on asyncio, whose every read is judged while the block runs."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._exits = ExitStack()
        self.slowest = 0.0
        self.watches: list[Watch] = []

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            for by in (_by_reader, _by_async_reader):
                read = exits.enter_context(by(self._stage, self._note))
                self.watches.append(exits.enter_context(Watch(read, self._stage.upstream, PAUSE)))
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @property
    def count(self) -> int:
        return sum(watch.reads for watch in self.watches)

    @property
    def bad(self) -> int:
        return sum(watch.bad(appid) for watch in self.watches for appid in self._stage.appids)

    @property
    def story(self) -> str:
        """What was read instead of a good token, for example; empty when nothing was."""
        stories = [watch.story(appid) for watch in self.watches for appid in self._stage.appids]
        worst = max(stories)
        return f"; e.g. {worst}" if worst else ""

    def _note(self, seconds: float) -> None:
        self.slowest = max(self.slowest, seconds)


@contextmanager
def _by_reader(stage: Stage, note: Callable[[float], None]) -> Iterator[Read]:
    with TokenReader(stage.url, durations=stage.durations, timeout=TIMEOUT) as reader:

        def read_one(appid: str) -> str | None:
            began = time.monotonic()
            try:
                return reader.get_token(appid).access_token
            except TokenUnavailable:
                return None
            finally:
                note(time.monotonic() - began)

        turns = cycle(stage.appids)
        yield lambda: {appid: read_one(appid) for appid in (next(turns),)}


@contextmanager
def _by_async_reader(stage: Stage, note: Callable[[float], None]) -> Iterator[Read]:
    reader = AsyncTokenReader(stage.url, durations=stage.durations, timeout=TIMEOUT)

    async def read_one(appid: str) -> str | None:
        began = time.monotonic()
        try:
            return (await reader.get_token(appid)).access_token
        except TokenUnavailable:
            return None
        finally:
            note(time.monotonic() - began)

    turns = cycle(stage.appids)
    with asyncio.Runner() as runner:
        yield lambda: {appid: runner.run(read_one(appid)) for appid in (next(turns),)}
        runner.run(reader.aclose())
