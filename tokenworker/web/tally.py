"""The tally: what each client did, counted here, and written to Redis in batches."""

from __future__ import annotations

import logging
from collections import Counter

from tokenworker.errors import StoreUnavailable
from tokenworker.store.usage import Action, Usage

logger = logging.getLogger(__name__)


class Tally:
    """Counts in memory, which costs nothing; what could not be written is written later."""

    def __init__(self) -> None:
        self._failed = False
        #: No more than the clients of the file, and some, times the actions.
        self._counts: Counter[tuple[str, Action]] = Counter()

    def count(self, client: str, action: Action) -> None:
        """Count one."""
        self._counts[client, action] += 1

    def write(self, usage: Usage) -> None:
        """Write what came since the last time, or keep it while Redis is away."""
        taken, self._counts = self._counts, Counter()
        if not taken:
            return
        try:
            usage.add(taken)
        except StoreUnavailable as error:
            self._counts.update(taken)
            if not self._failed:
                logger.warning("what clients did can't be counted in Redis, and is counted here: %s", error)
            self._failed = True
        else:
            self._failed = False
