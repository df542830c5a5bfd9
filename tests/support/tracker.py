"""What an error tracker in a process gets to see, written to the file tracked.txt of the working folder.

That is each record that is logged, with what it was made of; the variables of every frame of an error and of those that
caused it, and of the stack where somebody warns; each HTTP request; each command for Redis, but for Celery's own.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from types import FrameType
from typing import Any

import urllib3
from celery.signals import after_setup_logger, task_failure, task_retry

from tokenworker.store.connection import Punctual

_LONGEST = 20_000
_lock = threading.RLock()


def _tell(what: object) -> None:
    with _lock, Path("tracked.txt").open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{what}\n")


def _shown(value: object) -> str:
    try:
        return repr(value)[:_LONGEST]
    except Exception as error:  # noqa: BLE001  whatever a value's repr does
        return f"no repr: {error!r}"


def _variables(frame: FrameType) -> Iterator[str]:
    for name, value in list(frame.f_locals.items()):
        yield f"{frame.f_code.co_qualname} {name} = {_shown(value)}"


def _tell_of(error: BaseException | None) -> None:
    """Tell of an error and of what led to it, frame by frame."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        _tell(f"{_shown(error)} {error}")
        trace = error.__traceback__
        while trace:
            _tell("\n".join(_variables(trace.tb_frame)))
            trace = trace.tb_next
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class Tracker(logging.Handler):
    """Takes every record, as trackers do."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of it."""
        _tell(f"{record.name} {record.getMessage()} {_shown(record.__dict__)}")
        if record.exc_info:
            _tell_of(record.exc_info[1])
        elif record.levelno >= logging.WARNING:
            self._tell_of_stack()

    def _tell_of_stack(self) -> None:
        frame: FrameType | None = sys._getframe(2)
        while frame:
            _tell("\n".join(_variables(frame)))
            frame = frame.f_back


def _watch(owner: Any, name: str) -> None:
    original = getattr(owner, name)

    def watching(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Trackers leave bodies alone.
        _tell(f"{name} {_shown((args, {**kwargs, 'body': ''}))}")
        return original(self, *args, **kwargs)

    setattr(owner, name, watching)


_tracker = Tracker()


@after_setup_logger.connect(weak=False)
def install(**_: Any) -> None:
    """Take all that is logged from now on."""
    if _tracker not in logging.getLogger().handlers:
        logging.getLogger().addHandler(_tracker)


@task_failure.connect(weak=False)
@task_retry.connect(weak=False)
def tell_of_task(exception: Any = None, reason: Any = None, **_: Any) -> None:
    """Tell of a task that failed, or will be tried again."""
    _tell_of(exception or getattr(reason, "exc", None))


_watch(HTTPConnection, "putrequest")
_watch(urllib3.HTTPConnectionPool, "urlopen")
_watch(Punctual, "pack_commands")
install()
