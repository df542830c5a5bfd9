"""How clients connect to Redis, and what its refusals mean, in redis-py's options and errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import redis
from redis.connection import AbstractConnection, parse_url

from tokenworker.errors import ConfigError, StoreUnavailable
from tokenworker.redaction import redacted
from tokenworker.settings.servers import Servers
from tokenworker.settings.urls import check_redis

#: An idle connection may be dead without a sign after so many seconds.
MAX_IDLE = 15

#: No CLIENT SETINFO: two round trips, and older servers and proxies refuse it. redis-py has two ways to say so.
_NEWER = "driver_info" in signature(AbstractConnection).parameters
_NAMELESS = {"driver_info": None} if _NEWER else {"lib_name": None, "lib_version": None}

_CLUSTER = "it is a Redis Cluster, which is not supported yet: use a server that is none"
_ASKS_FOR_ONE = "it asks for a password: put it into REDIS_URL, as in redis://:password@host:6379/0"
_HAS_NONE = "it has no password: take the one in REDIS_URL out"
_FULL = "its memory is full: raise maxmemory, or find out what fills it"
_LACKING = "it, or a proxy in between, lacks a command: it is too old, or forbids it"

#: Refusals by the first word of what Redis says, or by what it contains; the first that fits. Each with what to do.
_REFUSALS = (
    # redis-py has one class for all that concern passwords, and takes their first word off: so these come first.
    ("Authentication required", _ASKS_FOR_ONE),
    ("already authenticated", _ASKS_FOR_ONE),
    ("without any password configured", _HAS_NONE),
    ("no password is set", _HAS_NONE),
    ("WRONGPASS", "look at user and password in REDIS_URL"),
    ("DB index is out of range", "it has no database of that number: look at the end of REDIS_URL"),
    (
        "NOPERM",
        "this user lacks a right: give it keys, scripts and channels (~tokenworker:* +@all &*)",
    ),
    (
        "can't access at least one of the keys",
        "this user lacks a key: give it ~tokenworker:* and the published copies",
    ),
    (
        "can't run this command",
        "this user lacks a command of our scripts: give it +@all",
    ),
    ("ACL failure in script", "this user lacks a right of our scripts: give it ~tokenworker:* and +@all"),
    ("READONLY", "it is a replica, which takes no writes: name its master in REDIS_URL"),
    ("MASTERDOWN", "it is a replica that lost its master: name the master in REDIS_URL"),
    (
        "NOREPLICAS",
        "it has fewer replicas than min-replicas-to-write, and takes no writes till they are back",
    ),
    ("OOM", _FULL),
    ("command not allowed when used memory", _FULL),
    ("MISCONF", "it can't write to its disk, and so takes no writes: look into its log"),
    ("LOADING", "it is reading its data from disk: wait a moment"),
    ("BUSY", "a script of somebody's runs there for too long"),
    ("CROSSSLOT", _CLUSTER),
    ("MOVED", _CLUSTER),
    ("CLUSTERDOWN", _CLUSTER),
    ("unknown command", _LACKING),
    ("Unknown Redis command", _LACKING),
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
    ours: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        "health_check_interval": MAX_IDLE,
        **_NAMELESS,
    }
    given: dict[str, Any] = parse_url(Servers.of(sound).urls[0])  # type: ignore[no-untyped-call]
    if "path" in given:
        # redis-py refuses it for a socket file, where there is nothing to keep alive.
        del ours["socket_keepalive"]
    # redis-py before 8 leaves it a text.
    return ours | given | {"protocol": int(given.get("protocol", ours["protocol"]))}


@contextmanager
def translated() -> Iterator[None]:
    """Turn redis-py's errors into `StoreUnavailable`."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        # Not `from error`: the text of redis-py's own may hold a password, and its frames do.
        raise StoreUnavailable(refusal(error)) from None


def refusal(error: Exception) -> str:
    """Return a sentence: what Redis, or the way to it, refuses, and what to do."""
    text = redacted(f"{type(error).__name__}: {error}")[:300]
    if isinstance(error, redis.exceptions.TimeoutError):
        return f"Redis does not answer in time ({text})"
    coded = f"{_CODES.get(type(error), '')} {text}"
    for words, advice in _REFUSALS:
        if words in coded:
            return f"Redis refuses: {advice} ({text})"
    if isinstance(error, redis.ConnectionError | OSError):
        return f"Redis does not answer ({text})"
    return f"Redis refuses ({text})"


#: redis-py takes the code off some errors, and makes classes of them.
_CODES = {
    redis.exceptions.NoPermissionError: "NOPERM",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.MasterDownError: "MASTERDOWN",
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.AuthenticationError: "WRONGPASS",
    redis.exceptions.MovedError: "MOVED",
    redis.exceptions.ClusterCrossSlotError: "CROSSSLOT",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
}
