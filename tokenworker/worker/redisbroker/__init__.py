"""Redis as Celery's broker and result backend.

`transports` and `backends` are what Celery connects with, `masters` and `patience` what their connections do besides,
and `server` is which servers a queue can be kept on.
"""

from __future__ import annotations

from celery.app.backends import BACKEND_ALIASES
from kombu.transport import TRANSPORT_ALIASES

from tokenworker.redaction import redact_logs
from tokenworker.worker.redisbroker.server import fault

__all__ = ["fault", "use"]

#: The loggers that show why a broker can't be reached, in Redis's words.
_LOGGERS = ("celery.worker", "celery.worker.consumer.consumer", "celery.beat")


def use() -> None:
    """Have this process's Celery reach Redis so."""
    redact_logs(*_LOGGERS)
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}.transports:Transport"
        BACKEND_ALIASES[scheme] = f"{__name__}.backends:RedisBackend"
    TRANSPORT_ALIASES["sentinel"] = f"{__name__}.transports:SentinelTransport"
    BACKEND_ALIASES["sentinel"] = f"{__name__}.backends:SentinelBackend"
