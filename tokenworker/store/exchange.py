"""One round trip with Redis: commands out and answers back, within a time, at whatever server is the right one now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import redis
from redis.exceptions import ClusterDownError, MasterDownError, MovedError, ReadOnlyError, TryAgainError

from tokenworker.store.connection import deadline

Words = Sequence[Any]

#: Refusals of a server that is not, or not yet, the one to ask. redis-py makes an error of connection of LOADING.
_WRONG_SERVER = (ReadOnlyError, MasterDownError, MovedError, TryAgainError, ClusterDownError)
_WRONG_SERVER_CODES = ("NOREPLICAS", "UNBLOCKED", "WAIT cannot be used with replica")

#: The pause before the first repetition, in seconds; it doubles.
_PAUSE = 0.02


@dataclass(frozen=True)
class Patience:
    """How long one try may take, and all tries together, in seconds; and how many there may be."""

    one: float = 2.0
    all: float = 6.0
    tries: int = 3


class Prepared(tuple[Words, ...]):  # noqa: SLOT001  no tuple takes slots with a name
    """Commands that are sent again and again, packed once: that takes a fifth of the time of an exchange."""

    packed: Sequence[bytes]

    def __new__(cls, commands: Iterable[Words]) -> Self:
        """Pack them as every connection would."""
        prepared = super().__new__(cls, commands)
        prepared.packed = redis.Connection().pack_commands(prepared)  # type: ignore[no-untyped-call]
        return prepared


class Exchange:
    """Sends commands over the connections of a client; safe to share between threads, and across a fork.

    What fails is repeated, over new connections: so all that is sent must bear to be done twice.
    """

    def __init__(self, client: redis.Redis, patience: Patience) -> None:
        self._client = client
        self._patience = patience

    @property
    def parsers(self) -> Mapping[str, Callable[[Any], Any]]:
        """How redis-py makes Python's values of answers, by command."""
        return self._client.response_callbacks

    def ask(self, commands: Sequence[Words]) -> list[Any]:
        """Return the answer to each command, sent in one round trip; a `redis.ResponseError` for one that is refused.

        Raises redis-py's errors of connection, and `OSError`.
        """
        end, pause = time.monotonic() + self._patience.all, _PAUSE
        for _ in range(self._patience.tries - 1):
            answers = self._try(commands, end)
            if answers is not None:
                return answers
            self.forget()
            if time.monotonic() + pause >= end:
                break
            time.sleep(pause)
            pause *= 2
        return self._once(commands, end)

    def ask_everywhere(self, command: Words) -> list[Any]:
        """Return the answer of each server that takes writes, as `ask`."""
        return self.ask([command])

    def _try(self, commands: Sequence[Words], end: float) -> list[Any] | None:
        """Return the answers, or None when another try may bring better ones."""
        try:
            answers = self._once(commands, end)
        except (redis.RedisError, OSError):
            if time.monotonic() >= end:
                raise
            return None
        refused = [answer for answer in answers if isinstance(answer, redis.ResponseError)]
        return None if refused and any(map(_is_of_wrong_server, refused)) else answers

    def _once(self, commands: Sequence[Words], end: float) -> list[Any]:
        with deadline(min(end, time.monotonic() + self._patience.one)):
            return over(self._client.connection_pool, commands)

    def forget(self) -> None:
        """Give up the connections that nobody uses: the next ones lead to whatever server is the right one then."""
        self._client.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def over(pool: redis.ConnectionPool, commands: Sequence[Words]) -> list[Any]:
    """Send all commands over one connection, as a pipeline does, but in half the time that it adds."""
    connection: Any = pool.get_connection()
    try:
        packed = commands.packed if isinstance(commands, Prepared) else connection.pack_commands(commands)
        connection.send_packed_command(packed)
        return [_answer(connection) for _ in commands]
    except BaseException:
        # Answers that are still to come would be taken for those to the next question.
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response(disable_decoding=True)
    except redis.ResponseError as error:
        return error


def _is_of_wrong_server(refusal: redis.ResponseError) -> bool:
    return isinstance(refusal, _WRONG_SERVER) or str(refusal).startswith(_WRONG_SERVER_CODES)
