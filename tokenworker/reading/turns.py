"""Who may ask: one thread for each thing to be asked, while the others make do or wait."""

from __future__ import annotations

import os
from collections.abc import Callable


class Turns:
    """Gives turns to threads. It has no lock, so that no child can inherit a held one.

    A turn that was taken in another process, or more than `longest` seconds ago, is nobody's.
    """

    def __init__(self, clock: Callable[[], float], longest: float) -> None:
        self._clock = clock
        self._longest = longest
        self._taken: dict[str, Turn] = {}

    def take(self, what: str) -> Turn:
        """Try to take the turn for `what`; it is ours, or not, for as long as the block lasts."""
        return Turn(self._taken, what, self._clock(), self._longest)


class Turn:
    """One try to take a turn: ``with turns.take(what) as ours``."""

    __slots__ = ("_longest", "_taken", "began", "process", "what")

    def __init__(self, taken: dict[str, Turn], what: str, now: float, longest: float) -> None:
        self._taken = taken
        self._longest = longest
        self.what = what
        self.began = now
        self.process = os.getpid()

    def __enter__(self) -> bool:
        # The one step that must not be divided, and is not: of many threads one sets it.
        other = self._taken.setdefault(self.what, self)
        if other is self:
            return True
        if self.process == other.process and self.began - other.began <= self._longest:
            return False
        self._taken[self.what] = self
        return True

    def __exit__(self, *_: object) -> None:
        if self._taken.get(self.what) is self:
            del self._taken[self.what]
