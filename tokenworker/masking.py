"""What Celery shows of our tasks, in its log, its events and Flower: never a token."""

from __future__ import annotations

import logging
import re
from collections import UserDict
from typing import Any

from celery.worker.request import Request

from tokenworker.messages import REFRESH_DUE_TOKENS

#: Longer than an appid or a fingerprint, shorter than any token that WeChat ever issued.
_TOKEN = re.compile(r"[\w-]{40,}")


class Result(UserDict[str, Any]):
    """The result of a task: whole as JSON, short as text, for Flower's lists and the log.

    Not a dict: Celery prints the content of those, whatever their repr says.
    """

    def __repr__(self) -> str:
        left = self["expires_in"]
        said = "no token" if left is None else f"{left} s left"
        return f"{self['outcome']}, {said}" if "outcome" in self else said

    def __json__(self) -> dict[str, Any]:
        return self.data


class MaskedRequest(Request):
    """A task request whose arguments show no token, whoever put one there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("argsrepr", "kwargsrepr"):
            masked = mask(self.request_dict.get(name) or "")
            self.request_dict[name] = masked
            setattr(self, f"_{name}", masked)


def mask(text: str) -> str:
    """Replace what may be a token."""
    return _TOKEN.sub("***", text)


class _Tick(logging.Filter):
    """Keeps the tick out of the logs of beat and worker: a line each five seconds would hide the refreshes."""

    def filter(self, record: logging.LogRecord) -> bool:
        data = getattr(record, "data", None)
        named = data.get("name") if isinstance(data, dict) else None
        listed = record.args if isinstance(record.args, tuple) else ()
        return record.levelno > logging.INFO or REFRESH_DUE_TOKENS not in (named, *listed)


def hush_tick() -> None:
    """Leave the tick out of the logs of this process."""
    for name in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
        logging.getLogger(name).addFilter(_tick)


_tick = _Tick()
