"""How clients connect to Redis, and what its refusals mean: the one place that knows redis-py's options and errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.connection import parse_url

from tokenworker.errors import ConfigError, StoreUnavailable
from tokenworker.urls import check_redis

#: Seconds after which a resting connection may be dead without a sign.
REST = 15

#: Refusals by the first word of what Redis says, or by what it contains; the first that fits. Each with what to do.
_REFUSALS = (
    ("NOAUTH", "it asks for a password: put it into REDIS_URL, as in redis://:password@host:6379/0"),
    ("WRONGPASS", "look at user and password in REDIS_URL"),
    ("invalid username-password", "look at user and password in REDIS_URL"),
    ("invalid password", "look at the password in REDIS_URL"),
    ("without any password configured", "it has no password: take the one in REDIS_URL out"),
    ("DB index is out of range", "it has no database of that number: look at the end of REDIS_URL"),
    (
        "NOPERM",
        "this user lacks a right: give it keys, scripts and channels (~tokenworker:* +@all &*)",
    ),
    (
        "can't access at least one of the keys",
        "this user lacks a key: give it ~tokenworker:* and the copies",
    ),
    (
        "can't run this command",
        "this user lacks a command of our scripts: give it +@all",
    ),
    ("READONLY", "it is a replica, which takes no writes: name its master in REDIS_URL"),
    (
        "NOREPLICAS",
        "it has fewer replicas than min-replicas-to-write, and takes no writes till they are back",
    ),
    ("OOM", "its memory is full: raise maxmemory, or find out what fills it"),
    ("command not allowed when used memory", "its memory is full: raise maxmemory, or find out what fills it"),
    ("MISCONF", "it can't write to its disk, and so takes no writes: look into its log"),
    ("LOADING", "it is reading its data from disk: wait a moment"),
    ("BUSY", "a script of somebody's runs there for too long"),
    ("CROSSSLOT", "it is a Redis Cluster, which is not supported yet: use a server that is none"),
    ("MOVED", "it is a Redis Cluster, which is not supported yet: use a server that is none"),
    ("CLUSTERDOWN", "it is a Redis Cluster, which is not supported yet: use a server that is none"),
    (
        "unknown command",
        "it, or a proxy in between, lacks a command: it is too old, or forbids it",
    ),
    ("max number of clients", "it has as many clients as it allows: raise maxclients"),
)


def options(url: str, *, timeout: float) -> dict[str, Any]:
    """Return redis-py's options for a URL, ours besides those that stand in it; raises `ConfigError`.

    RESP2 unless the URL says `protocol=3`: every server and proxy speaks it.
    """
    faults: list[str] = []
    sound = check_redis(url, faults)
    if faults:
        raise ConfigError(faults)
    ours = {
        "protocol": 2,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        "health_check_interval": REST,
        # CLIENT SETINFO: two round trips, and older servers and proxies refuse it.
        "driver_info": None,
    }
    given: dict[str, Any] = parse_url(sound)  # type: ignore[no-untyped-call]
    if "path" in given:
        # redis-py refuses it for a socket file, where there is nothing to keep alive.
        del ours["socket_keepalive"]
    return ours | given


def async_options(url: str, *, timeout: float) -> dict[str, Any]:
    """Return the same for redis-py's clients for asyncio."""
    given = options(url, timeout=timeout)
    return given | ({"connection_class": _ASYNC[given["connection_class"]]} if "connection_class" in given else {})


_ASYNC = {
    redis.SSLConnection: redis.asyncio.SSLConnection,
    redis.UnixDomainSocketConnection: redis.asyncio.UnixDomainSocketConnection,
}


@contextmanager
def translated() -> Iterator[None]:
    """Turn redis-py's errors into `StoreUnavailable`."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise StoreUnavailable(refusal(error)) from error


def refusal(error: Exception) -> str:
    """Say in a sentence what Redis or the way to it refuses, and what to do."""
    text = f"{type(error).__name__}: {error}"[:300]
    if isinstance(error, redis.exceptions.TimeoutError):
        return f"Redis does not answer in time ({text})"
    for words, advice in _REFUSALS:
        if words in text or words in f"{_CODES.get(type(error), '')} {text}":
            return f"Redis refuses: {advice} ({text})"
    if isinstance(error, redis.ConnectionError | OSError):
        return f"Redis does not answer ({text})"
    return f"Redis refuses ({text})"


#: redis-py takes the code off some errors, and makes classes of them.
_CODES = {
    redis.exceptions.NoPermissionError: "NOPERM",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.AuthenticationError: "WRONGPASS",
    redis.exceptions.MovedError: "MOVED",
    redis.exceptions.ClusterCrossSlotError: "CROSSSLOT",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
}
