"""Whether a child still moves: one that is stopped or hangs does not die, so that nobody would miss it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass
class Pulse:
    """How long a process has not moved, by our own clock: that of the file may be set, or sleep."""

    #: Seconds without a move that are too many. A worker touches its file every 2 s, and beat every 5 s.
    patience: ClassVar[float] = 40.0

    #: What the process touches while it works; until it does, it shows no more than that it is not stopped.
    file: Path | None = None
    #: Seconds that it may go without a move by its settings.
    rest: float = 0.0
    #: Whether it was last seen waiting for another process, which is no fault of its own.
    waits: bool = False
    _before: int | None = None
    _touched: int | None = None
    _moved: float = 0.0
    _looked: float = 0.0

    def begin(self) -> None:
        """Begin to count: a process was started."""
        self._before = self._touched = self._last_touch()
        self.waits = False
        self.excuse()

    def excuse(self) -> None:
        """Count from now on."""
        self._moved = self._looked = time.monotonic()

    def look(self, pid: int) -> float:
        """Return for how many seconds the process has not moved."""
        now = time.monotonic()
        touched = self._last_touch()
        # A scheduler of the user's, for example, touches nothing.
        shows = touched not in (None, self._before)
        if touched != self._touched or not (shows or is_stopped(pid)):
            self._moved, self.waits = now, False
        if now - self._looked > self.patience / 2:
            self._moved = now  # we did not move either: the machine slept
        self._touched, self._looked = touched, now
        return now - self._moved

    def is_too_long(self, still: float) -> bool:
        """Return whether so many seconds without a move are too many."""
        return still > max(self.patience, self.rest)

    @property
    def is_young(self) -> bool:
        """Whether the last move that was seen is no longer ago than moves are apart."""
        return not self.waits and time.monotonic() - self._moved < self.patience / 4

    def _last_touch(self) -> int | None:
        try:
            return self.file.stat().st_mtime_ns if self.file else None
        except OSError:
            return None  # somebody removed it


def is_stopped(pid: int) -> bool:
    """Return whether a child of ours is stopped, as by `kill -STOP`."""
    if not hasattr(os, "waitid"):  # macOS, before Python 3.13
        return False
    with suppress(ChildProcessError):
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    return False
