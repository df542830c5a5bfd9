"""The hosts of a platform: which one is asked, and which next."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tokenworker.errors import NetworkError
from tokenworker.wechat.transport import Answer, Transport

#: Seconds for which a host that failed is not the first to be called.
_COOLDOWN = 60.0


class Hosts:
    """One platform at one of several hosts."""

    def __init__(
        self,
        transport: Transport,
        urls: tuple[str, ...],
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._urls = urls
        self._timeout = timeout
        self._clock = clock
        #: The number of the host to begin with, and until when, by `clock`.
        self._preferred = (0, 0.0)

    def call(self, method: str, path: str, *, repeatable: bool, **content: Any) -> Answer:
        """Call the hosts in order; the next one only when nothing can have happened at the one before.

        A call that is `repeatable` may go to the next host even though the first may have acted on it.
        Raises `NetworkError`.
        """
        deadline = self._clock() + self._timeout
        order = self._order()
        ambiguous, reasons = False, []
        for position, number in enumerate(order):
            url = self._urls[number]
            left = max(0.001, deadline - self._clock())
            share = left / (len(order) - position)
            timeout = share if repeatable else left
            try:
                return self._transport.call(method, url + path, timeout=timeout, connect_timeout=share, **content)
            except NetworkError as error:
                reasons.append(f"{url}: {error.reason}")
                ambiguous = ambiguous or error.ambiguous
            self._begin_with((number + 1) % len(order))
            if ambiguous and not repeatable:
                break
        raise NetworkError("; ".join(reasons), ambiguous=ambiguous)

    def _order(self) -> list[int]:
        first, until = self._preferred
        if self._clock() >= until:
            first = 0
        return [*range(first, len(self._urls)), *range(first)]

    def _begin_with(self, number: int) -> None:
        self._preferred = (number, self._clock() + _COOLDOWN)
