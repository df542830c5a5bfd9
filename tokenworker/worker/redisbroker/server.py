"""Which servers can keep the queue: new enough for kombu, and neither a Sentinel nor a node of a cluster."""

from __future__ import annotations

from typing import Any

from kombu import Connection
from kombu.exceptions import OperationalError
from redis import RedisError, ResponseError

from tokenworker.redaction import redacted
from tokenworker.settings.urls import ELSEWHERE, NO_CELERY
from tokenworker.store.refusals import refusal

#: The oldest server on which the queue was seen to work, and on which the store was.
SMALLEST_QUEUE = "6.2"
SMALLEST_STORE = "5.0"

#: How servers and proxies that are too old refuse ZRANGE BYSCORE.
_TOO_OLD = ("not an integer", "syntax error", "wrong number of arguments", "unknown command")

_SENTINEL = "sentinel://host:26379/SERVICE in REDIS_URL or CELERY_BROKER_URL, with what the Sentinels call the master"
_CLUSTER = "cluster://… in REDIS_URL for the credentials, and set CELERY_BROKER_URL and CELERY_RESULT_BACKEND"


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
