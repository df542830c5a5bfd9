"""Log records as lines of JSON, for machines: one event, one line, with a sentence and fields."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from celery import current_task

from tokenworker.redaction import discreet, redacted

#: What every record has; whatever else it has came by `extra`.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

#: What Celery says of a task in `extra`, and the names of ours for it; not its arguments and not its result.
_OF_TASK = {"name": "task", "id": "task_id", "runtime": "runtime"}


class JsonLines(logging.Formatter):
    """Writes a record as a line: time, level, logger, pid, message, then the fields of the event.

    Inside a task also its name and id; of an error that nobody expected the traceback, as one field.
    """

    def __init__(self, *_: object, **__: object) -> None:
        # Celery hands on the format of lines for people.
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = _head(record) | _task_here() | dict(_fields(record))
        if record.exc_info and record.exc_info[0]:
            line["traceback"] = redacted(self.formatException(record.exc_info))
        text = json.dumps(line, ensure_ascii=False, default=str)
        # Half of a letter would raise where the log is a file; written so it is JSON.
        return text.encode("utf-8", "backslashreplace").decode()


def _head(record: logging.LogRecord) -> dict[str, Any]:
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return {
        "time": moment.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "pid": record.process,
        "message": redacted(record.getMessage()),
    }


def _task_here() -> dict[str, Any]:
    """Return the task that this thread is at, if any."""
    return {"task": current_task.name, "task_id": current_task.request.id} if current_task else {}


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """Yield what came by `extra`, as far as it is simple: it may be any library's, with objects of its own."""
    given = {name: value for name, value in vars(record).items() if name not in _USUAL}
    told = given.pop("data", None)
    if isinstance(told, Mapping):
        yield from ((ours, told[name]) for name, ours in _OF_TASK.items() if name in told)
    for name, value in given.items():
        if isinstance(value, str | int | float) and value != "":
            yield name, discreet(value) if isinstance(value, str) else value
