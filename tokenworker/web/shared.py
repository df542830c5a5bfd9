"""Shared answers: a question that takes long is asked once at a time, whoever wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Asks in a thread; who asks meanwhile gets the same answer. To be used in one event loop."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._asking: asyncio.Future[T] | None = None

    async def answer(self) -> T:
        """Return the answer, or raise what the question raises; who stops waiting takes it from nobody else."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(asyncio.to_thread(self._ask))
            self._asking.add_done_callback(_heard)
        return await asyncio.shield(self._asking)


def _heard(asked: asyncio.Future[T]) -> None:
    """Take note of an error: all who asked may have stopped waiting, and asyncio would complain."""
    if not asked.cancelled():
        asked.exception()
