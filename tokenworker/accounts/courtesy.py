"""Courtesy of a thread that computes for seconds, toward threads that answer in milliseconds."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds after which a thread that computes hands over, at the latest. Python's own 5 ms are waited for at each send
#: and each receive; this is as good as nothing, beside what a kernel takes to wake a thread.
_TURN = 0.00001

_lock = threading.Lock()
#: What is put back when the last one is done: turns, and whether garbage was collected. One entry for each at work.
_before: list[tuple[float, bool]] = []


@contextmanager
def courtesy() -> Iterator[None]:
    """Let the other threads of this process take their turns within fractions of a millisecond.

    No garbage is collected meanwhile: to look through what is being made would stop them for tenths of a second.
    """
    with _lock:
        _before.append((sys.getswitchinterval(), gc.isenabled()))
        sys.setswitchinterval(_TURN)
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _put_back(*_before.pop())


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
