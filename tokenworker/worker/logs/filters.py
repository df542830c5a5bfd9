"""What Celery logs of our tasks and of its broker: one line an event, and none of what we log ourselves."""

from __future__ import annotations

import logging
import re
from typing import Any

from kombu.exceptions import OperationalError
from redis import ConnectionError, OutOfMemoryError, ReadOnlyError  # noqa: A004  redis-py's names

from tokenworker import errors
from tokenworker.messages import REFRESH_DUE_TOKENS

#: Celery hands on the text alone of what was raised.
_RAISED = re.compile(r"(?:Retry in \S+: )?(\w+)\(")
_FETCH_ERRORS = {
    kind.__name__ for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.FetchError)
}
#: What says that a server is away, or that the way to it is; or that it is full, or takes no writes.
_GONE = (OSError, ConnectionError, OperationalError, OutOfMemoryError, ReadOnlyError)
_CONSUMER = ("connection", "consumer", "mingle")
#: Those of Celery's and kombu's loggers that tell of connections.
_OF_CONNECTIONS = (
    *("celery.bootsteps", "celery.beat", "celery.worker.components", "celery.worker.control", "celery.worker.loops"),
    *("celery.worker.pidbox", "celery.worker.request", *(f"celery.worker.consumer.{part}" for part in _CONSUMER)),
    *("celery.backends.asynchronous", "celery.backends.base", "celery.backends.redis"),
    *("kombu.asynchronous.hub", "kombu.asynchronous.timer"),
)


class _Elsewhere(logging.Filter):
    """Keeps out the tick, a line each five seconds that would hide the refreshes; and failed fetches.

    Of those the fetcher logs what WeChat said and when the next attempt is.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno > logging.INFO:
            return True
        data = getattr(record, "data", None)
        told: dict[str, Any] = data if isinstance(data, dict) else {}
        listed = record.args if isinstance(record.args, tuple) else ()
        return REFRESH_DUE_TOKENS not in (told.get("name"), *listed) and not _is_failed_fetch(told)


def _is_failed_fetch(told: dict[str, Any]) -> bool:
    raised = _RAISED.match(str(told.get("exc", "")))
    return raised is not None and raised[1] in _FETCH_ERRORS and str(told.get("name")).startswith("tokenworker.")


class _Joined(logging.Filter):
    """Makes one line of those that Celery writes of a broker or a result backend that it can't reach."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and any(isinstance(error, _GONE) for error in errors.causes(record.exc_info[1])):
            record.exc_info = record.exc_text = None
            # The consumer has told of it; what its parts say of that looks like a fault of ours.
            if record.name == "celery.bootsteps":
                return False
        message = record.getMessage()
        if "\n" in message:
            # Beat writes its own stack behind what went wrong.
            kept = message.partition("\n")[0] if record.name == "celery.beat" else message
            record.msg, record.args = " ".join(kept.split()), ()
        return True


_elsewhere, _joined = _Elsewhere(), _Joined()


def hush() -> None:
    """Leave out of the log of this process what says nothing, or what we say."""
    for name in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
        logging.getLogger(name).addFilter(_elsewhere)


def join_lines() -> None:
    """Have one line for each attempt to reach a server, in a process that is our own."""
    for name in _OF_CONNECTIONS:
        logging.getLogger(name).addFilter(_joined)
