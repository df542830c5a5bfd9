"""The one way to ask Redis: in one round trip, within a short time, and not while it does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import redis
from redis.connection import AbstractConnection

from tokenworker.errors import StoreUnavailable
from tokenworker.store.connect import refusal
from tokenworker.store.store import connect

Command = tuple[str | int, ...]


class Link:
    """A client with a circuit breaker; safe to share between threads, and across a fork.

    When Redis does not answer within `timeout` seconds, it is not asked again for `pause` seconds.
    """

    def __init__(self, url: str, timeout: float, pause: float, clock: Callable[[], float]) -> None:
        self._client = _client(url, timeout)
        self._pause = pause
        self._clock = clock
        #: Why Redis did not answer the last time, and until when not to ask again, by `clock`.
        self._broken: tuple[str, float] | None = None

    @property
    def is_broken(self) -> bool:
        """Whether Redis did not answer when it was asked last."""
        return self._broken is not None

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Return the answer to each command, a `redis.ResponseError` for one that Redis refuses.

        Raises `StoreUnavailable`.
        """
        broken = self._broken
        if broken and self._clock() < broken[1]:
            raise StoreUnavailable(broken[0])
        try:
            answers = self._ask(commands)
        except (redis.RedisError, OSError) as error:
            reason = refusal(error)
        else:
            self._broken = None
            return answers
        # Not inside `except`: the error would be attached, whose text may hold a password, and whose frames do.
        self._broken = reason, self._clock() + self._pause
        raise StoreUnavailable(reason)

    def _ask(self, commands: Sequence[Command]) -> list[Any]:
        try:
            return self._exchange(commands)
        except (redis.ConnectionError, ConnectionError) as error:
            if isinstance(error, redis.TimeoutError):
                raise  # a silence would only take as long once more
        # The network may have dropped all earlier connections, though Redis is well.
        self._client.connection_pool.disconnect(inuse_connections=False)
        return self._exchange(commands)

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send all commands at once, as a pipeline does, but in half the time that it adds."""
        pool = self._client.connection_pool
        connection: Any = pool.get_connection()
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            return [_answer(connection) for _ in commands]
        except BaseException:
            # Answers that are still to come would be taken for those to the next question.
            connection.disconnect()
            raise
        finally:
            pool.release(connection)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response(disable_decoding=True)
    except redis.ResponseError as error:
        return error


class _NeverIdle(AbstractConnection):
    """One that was idle for long may be dead without a sign: it is replaced, which costs less than to find out."""

    def check_health(self) -> None:
        """Replace the connection if it was idle for long; redis-py calls this before each question."""
        if 0 < self.next_health_check < time.monotonic():
            self.disconnect()  # type: ignore[no-untyped-call]
            self.next_health_check = 0
            self.connect()  # type: ignore[no-untyped-call]


def _client(url: str, timeout: float) -> redis.Redis:
    client = connect(url, timeout=timeout, retries=0)
    pool = client.connection_pool
    pool.connection_class = type("NeverIdle", (_NeverIdle, pool.connection_class), {})
    return client
