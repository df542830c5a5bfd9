"""When what the sandbox knows is saved."""

import asyncio
import logging
import time
from collections.abc import Callable

from tokenworker.sandbox.errors import StateFileUnusable
from tokenworker.sandbox.platform import Platform
from tokenworker.sandbox.state import PlatformState

#: Least seconds between two times, and least times as long as the last one took: with many accounts that is long.
_INTERVAL = 1.0
_SHARE = 10

logger = logging.getLogger(__name__)


class Saver:
    """Saves a platform's state before a caller hears of a change, or soon after where changes come thick and fast."""

    def __init__(self, platform: Platform, write: Callable[[PlatformState], None]) -> None:
        self._platform = platform
        self._write = write
        self._is_due = False
        self._next = 0.0
        self._complaint = ""

    def note(self) -> None:
        """Hear of a change."""
        self._is_due = True
        self._save_if_due()

    def save(self) -> None:
        """Save now; raises StateFileUnusable."""
        self._write(self._platform.state())
        self._is_due, self._complaint = False, ""

    def try_to_save(self) -> None:
        """Save now; what hinders that is said once, and tried again."""
        try:
            self.save()
        except StateFileUnusable as error:
            if str(error) != self._complaint:
                logger.warning("%s", error)
            self._complaint = str(error)

    async def run(self) -> None:
        """Save what changed, whenever there was no time for it."""
        while True:
            await asyncio.sleep(_INTERVAL / 4)
            self._save_if_due()

    def _save_if_due(self) -> None:
        began = time.monotonic()
        if self._is_due and began >= self._next:
            self.try_to_save()
            self._next = time.monotonic() + max(_INTERVAL, _SHARE * (time.monotonic() - began))
