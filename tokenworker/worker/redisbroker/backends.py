"""Redis as Celery's result backend: results go to the master, whichever server that is now."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery.backends import redis
from redis import Connection
from redis.sentinel import SentinelManagedConnection

from tokenworker.worker.redisbroker.masters import Asking, Leaving, hop


class RedisBackend(redis.RedisBackend):
    """Celery's backend for one server, or for a name that leads to one."""

    def _get_pool(self, **params: Any) -> Any:
        found = params.get("connection_class", Connection)
        return super()._get_pool(**params | {"connection_class": type("Connection", (Leaving, found), {})})  # type: ignore[misc]


class SentinelBackend(redis.SentinelBackend):
    """Celery's backend for Sentinels, by RESP2 as the broker."""

    @cached_property
    def _transport_options(self) -> dict[str, Any]:
        options: dict[str, Any] = self.app.conf.result_backend_transport_options  # type: ignore[attr-defined]
        return options | {"sentinel_kwargs": hop(options.get("sentinel_kwargs"))}

    def _get_pool(self, **params: Any) -> Any:
        found = params.get("connection_class", SentinelManagedConnection)
        asking = {"connection_class": type("Connection", (Asking, found), {})}
        return super()._get_pool(**{"protocol": 2} | params | asking)  # type: ignore[misc]
