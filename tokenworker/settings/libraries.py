"""What Celery has to load in order to reach its queue and its results: a name that it knows, a library that is here."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from tokenworker.redaction import redacted

#: Celery's own names for places of results, in a URL or alone.
_BACKENDS = frozenset(
    (
        *("arangodb", "azureblockblob", "cache", "cassandra", "consul", "cosmosdbsql", "couchbase", "couchdb"),
        *("database", "db", "disabled", "dynamodb", "elasticsearch", "file", "gs", "mongodb", "redis", "rediss"),
        *("riak", "rpc", "s3", "sentinel"),
    )
)
#: What REDIS_URL takes and Celery does not, of which `urls` has better things to say.
_OURS = ("unix", "cluster", "clusters", "sentinels")
#: Those of Redis: without a URL they would lead to this machine, whatever was meant.
_REDIS = ("redis", "rediss", "sentinel")

_EXAMPLES = "write for example redis://127.0.0.1:6379/1, or rpc:// beside RabbitMQ"


def backend_fault(url: str) -> str | None:
    """Return what is wrong with the name of a place for results, as the rest of a sentence; None if nothing."""
    name, separator, _ = url.partition("://")
    name = name.partition("+")[0] if separator else name
    if not separator and name in _REDIS:
        return f"names no server: {_EXAMPLES}"
    if name in (*_BACKENDS, *_OURS) or _is_anothers(name):
        return None
    return f"names no place that Celery knows: {_EXAMPLES}"


def _is_anothers(name: str) -> bool:
    """Return whether a package brings it, or it is the path of a class."""
    return "." in name or ":" in name or name in entry_points(group="celery.result_backends").names


def queue_gap(app: Any) -> str | None:
    """Return a sentence about what an app of Celery's lacks in order to reach its queue; None if nothing."""
    try:
        with app.connection_for_write() as connection:
            _ = connection.transport
    except Exception as error:  # noqa: BLE001  each transport has errors of its own
        return f"the queue can't be used: {_gap(error)}"
    return None


def results_gap(app: Any) -> str | None:
    """Return the same about its results."""
    try:
        _ = app.backend
    except Exception as error:  # noqa: BLE001  each result backend has errors of its own
        return f"results can't be kept: {_gap(error)}"
    return None


def gaps(app: Any) -> list[str]:
    """Return a sentence for each that it can't reach, queue and results."""
    return [*filter(None, (queue_gap(app), results_gap(app)))]


def _gap(error: Exception) -> str:
    """Return what is missing, on one line, and what to do."""
    text = " ".join(redacted(str(error)).split())[:300]
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{text}: pip install {error.name.partition('.')[0]}, or choose another place"
    return f"{type(error).__name__}: {text}"
