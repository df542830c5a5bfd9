"""How Celery's connections find the master: one to a server that is none, or none yet, counts as lost.

Behind a name or an address that moves, and at the Sentinels, the next connection leads to another server. Celery takes
the refusals of the old one for errors of a single command: it ends, or asks the same server for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004  redis-py's name
    MasterDownError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError

from tokenworker.redaction import redacted
from tokenworker.store.refusals import refusal

#: redis-py has classes for some refusals, and for others the first word of what Redis says.
_CLASSES = (BusyLoadingError, MasterDownError, ReadOnlyError)
_WORDS = ("UNBLOCKED", "NOREPLICAS", "READONLY", "MASTERDOWN", "LOADING")


class Leaving:
    """A connection that ends when its server takes no writes; for classes of redis-py's connections."""

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Return an answer; raises redis-py's ConnectionError for one of a server that is no master."""
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except (ResponseError, BusyLoadingError) as error:
            if not _no_master(error):
                raise
            reason = refusal(error)
        self.disconnect()  # type: ignore[attr-defined]
        raise ConnectionError(reason)


class Asking(Leaving):
    """A connection that asks the Sentinels for the master each time when it connects; for those of redis-py's Sentinel.

    redis-py asks in `connect` alone: a command that finds its connection closed goes to the old address.
    """

    _sock: Any
    connection_pool: Any

    def connect(self) -> None:
        """Connect to the master; raises redis-py's ConnectionError with our sentence when no Sentinel names it."""
        try:
            super().connect()  # type: ignore[misc]
        except (MasterNotFoundError, ResponseError) as error:
            if isinstance(error, ResponseError) and "sentinel" not in str(error).lower():
                raise  # the master's own
            # Not its text: that has the Sentinels' passwords, in redis-py 7 and before.
            reason = self._unnamed(error)
        else:
            return
        raise ConnectionError(f"the Sentinels name no master {self.connection_pool.service_name}: {reason}")

    def send_packed_command(self, *args: Any, **options: Any) -> None:
        """Send a command to the master."""
        if not self._sock:
            self.connect()
        super().send_packed_command(*args, **options)  # type: ignore[misc]

    def _unnamed(self, error: Exception) -> str:
        """Return why, by asking the first Sentinel once more: redis-py keeps it to itself."""
        if "TimeoutError" in str(error):
            return "they do not answer in time"
        try:
            self.connection_pool.sentinel_manager.sentinels[0].sentinel_masters()
        except AuthenticationError as reason:
            return f"they want a login, sentinel_username and sentinel_password in the URL ({reason})"
        except ResponseError as reason:
            return f"at least one of them is no Sentinel, or lets us ask nothing ({redacted(str(reason))})"
        except (RedisError, OSError) as reason:
            return str(reason)
        return "they watch none of that name, or it is down"


def hop(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return redis-py's options for the way to the Sentinels: where one is silent, the next has its turn at once."""
    return {"protocol": 2, "retry": Retry(NoBackoff(), 0), **(given or {})}


def _no_master(error: Exception) -> bool:
    return isinstance(error, _CLASSES) or str(error).startswith(_WORDS)
