"""Courtesy of a thread that computes for seconds, toward threads that answer in milliseconds."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

#: Seconds after which a thread that computes hands over, at the latest. Python's own 5 ms are waited for at each send
#: and each receive; this is as good as nothing, beside what a kernel takes to wake a thread.
_TURN = 0.00001
#: How many items of a loop are worked at between two rests.
_STRETCH = 100

T = TypeVar("T")

_lock = threading.Lock()
#: What is put back when the last one is done: turns, and whether garbage was collected. One entry for each at work.
_before: list[tuple[float, bool]] = []
#: When this thread rested last, by the seconds that it computed; there is none where it shows no courtesy.
_rested = threading.local()


@contextmanager
def courtesy() -> Iterator[None]:
    """Let the other threads of this process take their turns within fractions of a millisecond, and rest now and then.

    No garbage is collected meanwhile: to look through what is being made would stop them for tenths of a second.
    """
    with _lock:
        _before.append((sys.getswitchinterval(), gc.isenabled()))
        sys.setswitchinterval(_TURN)
        gc.disable()
    _rested.at = time.thread_time()
    try:
        yield
    finally:
        _rested.__dict__.clear()
        with _lock:
            _put_back(*_before.pop())


def rest() -> None:
    """Leave the others alone for as long as this thread computed since its last rest, if it shows them courtesy."""
    if hasattr(_rested, "at"):
        time.sleep(time.thread_time() - _rested.at)
        _rested.at = time.thread_time()


def unhurried(items: Iterable[T]) -> Iterator[T]:
    """Yield the items, and rest in between."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % _STRETCH == 0:
            rest()


def _put_back(turn: float, collecting: bool) -> None:
    sys.setswitchinterval(turn)
    if collecting:
        gc.enable()


def _end_in_child() -> None:
    """A fork has none of the threads that would put back what they changed, but perhaps their lock."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    if _before:
        _put_back(*_before[0])
    _before.clear()


os.register_at_fork(after_in_child=_end_in_child)
