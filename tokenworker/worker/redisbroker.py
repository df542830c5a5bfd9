"""Redis as Celery's broker: by RESP2, and whether the server is new enough for kombu."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from socket import socket
from typing import Any, ClassVar

from celery.app.backends import BACKEND_ALIASES
from celery.worker import state
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES, redis
from redis import ConnectionError, RedisError, ResponseError, TimeoutError  # noqa: A004  redis-py's names

from tokenworker.redaction import redact_logs, redacted
from tokenworker.settings.urls import ELSEWHERE, NO_CELERY
from tokenworker.store.refusals import refusal
from tokenworker.worker.masters import Asking, Leaving, hop

#: The oldest server on which the queue was seen to work, and on which the store was.
SMALLEST_QUEUE = "6.2"
SMALLEST_STORE = "5.0"

#: A worker that stops waits so many seconds for an answer, and less after each in vain; one to BRPOP comes within 1 s.
_LAST_WAIT = 2.0
_SHORTEST_WAIT = 0.1

#: How servers and proxies that are too old refuse ZRANGE BYSCORE.
_TOO_OLD = ("not an integer", "syntax error", "wrong number of arguments", "unknown command")
#: A key that is never there, among those that a user of the queue has.
_NOBODYS = "_kombu.binding.tokenworker.nobody"

_SENTINEL = "sentinel://host:26379/SERVICE in REDIS_URL or CELERY_BROKER_URL, with what the Sentinels call the master"
_CLUSTER = "cluster://… in REDIS_URL for the credentials, and set CELERY_BROKER_URL and CELERY_RESULT_BACKEND"

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


class _Plain:
    """A channel by RESP2: redis-py says HELLO by itself, which many proxies don't know, and kombu has no setting."""

    connection: Any

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection.client is None:
            # kombu closes a lost connection before its channels, which then want one to give back their messages; what
            # it raises itself would end the worker. The messages are given back when they were invisible for long.
            raise ConnectionError("the connection to the broker is closed")
        given: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        hasty = type("Connection", (_Hasty, *self._ways, given["connection_class"]), {})
        return {"protocol": 2} | given | {"connection_class": hasty}

    _ways: ClassVar[tuple[type, ...]] = (Leaving,)


class Channel(_Plain, redis.Channel):
    """A channel to one server, or to a name that leads to one."""


class SentinelChannel(_Plain, redis.SentinelChannel):
    """A channel to the master that the Sentinels name."""

    _ways = (Asking,)
    sentinel_kwargs: Mapping[str, Any] | None = None

    def _sentinel_managed_pool(self, asynchronous: bool = False) -> Any:
        self.sentinel_kwargs = hop(self.sentinel_kwargs)
        return super()._sentinel_managed_pool(asynchronous)  # type: ignore[misc]


class _Stopping:
    """A transport that does not try on when the worker was asked to stop, and takes no server that takes no writes."""

    def establish_connection(self) -> Any:
        """Connect, or end the worker: Celery's heartbeat tries for ever, and heeds no signal meanwhile."""
        if threading.current_thread() is threading.main_thread():
            state.maybe_shutdown()
        connection: Any = super().establish_connection()  # type: ignore[misc]
        channel = connection._avail_channels[-1]  # noqa: SLF001  kombu keeps the one that it connected with here
        try:
            # A write that changes nothing: without it, a replica would do until the first message.
            channel.client.srem(_NOBODYS, "")
        except ResponseError:
            pass  # one without the right to it will hear so where it matters
        except (RedisError, OSError):
            connection._avail_channels.remove(channel)  # noqa: SLF001
            channel.close()
            raise
        return connection


class Transport(_Stopping, redis.Transport):
    """Celery's transport for a Redis."""

    Channel = Channel


class SentinelTransport(_Stopping, redis.SentinelTransport):
    """Celery's transport for a Redis behind Sentinels."""

    Channel = SentinelChannel


def use() -> None:
    """Have this process's Celery reach Redis so."""
    redact_logs(*_LOGGERS)
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
        BACKEND_ALIASES[scheme] = "tokenworker.worker.redisresults:RedisBackend"
    TRANSPORT_ALIASES["sentinel"] = f"{__name__}:SentinelTransport"
    BACKEND_ALIASES["sentinel"] = "tokenworker.worker.redisresults:SentinelBackend"


def fault(connection: Connection) -> str | None:
    """Return why a queue can't be kept on this broker; None when it can, or the broker is away or not Redis."""
    if connection.transport.driver_type != "redis":
        return None
    try:
        client: Any = connection.default_channel.client  # type: ignore[attr-defined]
        return _mistaken(client) or _too_old(client)
    except (OperationalError, OSError, RedisError):
        return None  # it is away: Celery waits for it


def _mistaken(client: Any) -> str | None:
    """Return what a server is if it is none that keeps queues; None where it is, or we may not ask."""
    try:
        facts = client.info()
    except ResponseError:
        return None
    if "sentinel" in (facts.get("redis_mode"), facts.get("server_mode")):  # Redis's word, Valkey's
        return f"this broker is a Sentinel, which keeps nothing: write {_SENTINEL}"
    if facts.get("cluster_enabled") == 1:
        return f"this broker is a node of a Redis Cluster, {NO_CELERY}: write {_CLUSTER} {ELSEWHERE}"
    return None


def _too_old(client: Any) -> str | None:
    try:
        # What kombu asks for when it looks for messages that nobody acknowledged.
        client.zrange("unacked_index", "+inf", "-inf", desc=True, byscore=True, offset=0, num=1)
    except ResponseError as error:
        return _sentence(error)
    return None


def _sentence(error: ResponseError) -> str:
    if not any(words in str(error) for words in _TOO_OLD):
        return f"the queue can't be kept on this broker: {refusal(error)}"
    return (
        f"the queue needs Redis {SMALLEST_QUEUE} or newer, or Valkey, and this broker refuses ZRANGE BYSCORE"
        f" ({redacted(str(error))}): set CELERY_BROKER_URL to a newer server; the tokens may stay where they are"
    )
