"""Redis as Celery's broker: by RESP2, and whether the server is new enough for kombu."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from typing import Any, ClassVar

from celery.worker import state
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES, redis
from redis import RedisError, ResponseError, TimeoutError  # noqa: A004  redis-py's name

from tokenworker.redaction import redact_logs, redacted
from tokenworker.store.refusals import refusal

#: The oldest server on which the queue was seen to work, and on which the store was.
SMALLEST_QUEUE = "6.2"
SMALLEST_STORE = "5.0"

#: A worker that stops waits so many seconds for an answer, and less after each in vain; one to BRPOP comes within 1 s.
_LAST_WAIT = 2.0
_SHORTEST_WAIT = 0.1

#: How servers and proxies that are too old refuse ZRANGE BYSCORE.
_TOO_OLD = ("not an integer", "syntax error", "wrong number of arguments", "unknown command")
#: The loggers that show why a broker can't be reached, in Redis's words.
_LOGGERS = ("celery.worker", "celery.worker.consumer.consumer", "celery.beat")


class _Hasty:
    """Waits less for a server once the worker was asked to stop, and less each time in vain: a stop has many steps."""

    patience: ClassVar[float] = _LAST_WAIT
    _sock: socket | None

    def connect(self) -> None:
        """Connect, with less patience once the worker was asked to stop."""
        if state.should_stop is not None:
            self.socket_timeout = self.socket_connect_timeout = _Hasty.patience
        with _losing_patience():
            super().connect()  # type: ignore[misc]

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Return an answer, as `connect`."""
        if state.should_stop is not None and self._sock:
            self._sock.settimeout(_Hasty.patience)
        with _losing_patience():
            return super().read_response(*args, **options)  # type: ignore[misc]


@contextmanager
def _losing_patience() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        if state.should_stop is not None:
            _Hasty.patience = max(_Hasty.patience / 2, _SHORTEST_WAIT)
        raise


class Channel(redis.Channel):
    """Connects by RESP2: redis-py says HELLO by itself, which many proxies don't know, and kombu has no setting."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        given: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        hasty = type("Connection", (_Hasty, given["connection_class"]), {})
        return {"protocol": 2} | given | {"connection_class": hasty}


class Transport(redis.Transport):
    """Celery's transport for Redis, which does not try on when the worker was asked to stop."""

    Channel = Channel

    def establish_connection(self) -> Any:
        """Connect, or end the worker: Celery's heartbeat tries for ever, and heeds no signal meanwhile."""
        if threading.current_thread() is threading.main_thread():
            state.maybe_shutdown()
        return super().establish_connection()


def use() -> None:
    """Have this process's Celery reach Redis so."""
    redact_logs(*_LOGGERS)
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"


def fault(connection: Connection) -> str | None:
    """Return why a queue can't be kept on this broker; None when it can, or the broker is away or not Redis."""
    if connection.transport.driver_type != "redis":
        return None
    try:
        client: Any = connection.default_channel.client  # type: ignore[attr-defined]
        # What kombu asks for when it looks for messages that nobody acknowledged.
        client.zrange("unacked_index", "+inf", "-inf", desc=True, byscore=True, offset=0, num=1)
    except ResponseError as error:
        return _sentence(error)
    except (OperationalError, OSError, RedisError):
        return None  # it is away: Celery waits for it
    return None


def _sentence(error: ResponseError) -> str:
    if not any(words in str(error) for words in _TOO_OLD):
        return f"the queue can't be kept on this broker: {refusal(error)}"
    return (
        f"the queue needs Redis {SMALLEST_QUEUE} or newer, or Valkey, and this broker refuses ZRANGE BYSCORE"
        f" ({redacted(str(error))}): set CELERY_BROKER_URL to a newer server; the tokens may stay where they are"
    )
