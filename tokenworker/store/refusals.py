"""What Redis's refusals mean, and those of the way to it, in redis-py's errors; each with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from tokenworker.errors import StoreUnavailable
from tokenworker.redaction import redacted

_CLUSTER = "it is a Redis Cluster: write cluster://host:port in REDIS_URL"
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
    ("No master found", "the Sentinels name no master of that service: do they answer, and is REDIS_URL right?"),
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
    ("CLUSTERDOWN", "the cluster does not serve this key: bring its nodes back"),
    ("Cluster mode is not enabled", "it is no Redis Cluster: write redis:// in REDIS_URL"),
    ("unknown command", _LACKING),
    ("Unknown Redis command", _LACKING),
    ("max number of clients", "it has as many clients as it allows: raise maxclients"),
)


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
