"""The one way to ask Redis: in one round trip, within a short time, and not while it does not answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis

from tokenworker.errors import StoreUnavailable
from tokenworker.store.connect import connect, exchange
from tokenworker.store.exchange import Patience, Words
from tokenworker.store.refusals import refusal


class Link:
    """A client with a circuit breaker; safe to share between threads, and across a fork.

    When Redis does not answer within `timeout` seconds, it is not asked again for `pause` seconds.
    """

    def __init__(self, url: str, timeout: float, pause: float, clock: Callable[[], float]) -> None:
        self._exchange = exchange(connect(url, timeout=timeout), Patience(timeout, timeout, 2))
        self._pause = pause
        self._clock = clock
        #: Why Redis did not answer the last time, and until when not to ask again, by `clock`.
        self._broken: tuple[str, float] | None = None

    @property
    def is_broken(self) -> bool:
        """Whether Redis did not answer when it was asked last."""
        return self._broken is not None

    def ask(self, commands: Sequence[Words]) -> list[Any]:
        """Return the answer to each command, a `redis.ResponseError` for one that Redis refuses.

        Raises `StoreUnavailable`.
        """
        broken = self._broken
        if broken and self._clock() < broken[1]:
            raise StoreUnavailable(broken[0])
        try:
            answers = self._exchange.ask(commands)
        except (redis.RedisError, OSError) as error:
            reason = refusal(error)
        else:
            self._broken = None
            return answers
        # Not inside `except`: the error would be attached, whose text may hold a password, and whose frames do.
        self._broken = reason, self._clock() + self._pause
        raise StoreUnavailable(reason)

    def close(self) -> None:
        """Close all connections."""
        self._exchange.close()
