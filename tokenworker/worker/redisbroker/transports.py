"""Redis as Celery's broker: by RESP2, and only as long as the server is the master."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, ClassVar

from celery.worker import state
from kombu.transport import redis
from redis import ConnectionError, RedisError, ResponseError  # noqa: A004  redis-py's name

from tokenworker.worker.redisbroker.masters import Asking, Leaving, hop
from tokenworker.worker.redisbroker.patience import Hasty

#: A key that is never there, among those that a user of the queue has.
_NOBODYS = "_kombu.binding.tokenworker.nobody"


class _Plain:
    """A channel by RESP2: redis-py says HELLO by itself, which many proxies don't know, and kombu has no setting."""

    connection: Any

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection.client is None:
            # kombu closes a lost connection before its channels, which then want one to give back their messages; what
            # it raises itself would end the worker. The messages are given back when they were invisible for long.
            raise ConnectionError("the connection to the broker is closed")
        given: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        hasty = type("Connection", (Hasty, *self._ways, given["connection_class"]), {})
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
