"""A file whose age says whether worker or beat still work: a health check that costs next to nothing."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Any

from celery.beat import Scheduler as _Scheduler
from celery.signals import beat_init, heartbeat_sent

from tokenworker.settings.config import Config

logger = logging.getLogger(__name__)


@cache
def _file() -> Path | None:
    return Config.from_env().heartbeat_file


def touch() -> None:
    """Touch the file, if one is asked for."""
    file = _file()
    try:
        if file:
            file.touch()
    except OSError as error:
        _complain(str(error.strerror))


@cache
def _complain(reason: str) -> None:
    """Log once why the file can't be written: there is a heartbeat every 2 s."""
    logger.warning("the file of TOKENWORKER_HEARTBEAT_FILE can't be written: %s", reason)


@heartbeat_sent.connect(weak=False)
def _worker_lives(**_: Any) -> None:
    """Show that a worker lives: its consumer sends heartbeats, and none while it hangs or the broker is away."""
    touch()


@beat_init.connect(weak=False)
def _heed_signals(**_: Any) -> None:
    """Note that beat is told to end: the error by which Celery has it end gets lost in some places."""
    for number in (signal.SIGTERM, signal.SIGINT):
        celerys = signal.getsignal(number)
        if callable(celerys):
            signal.signal(number, partial(_end, celerys))


def _end(celerys: Callable[..., Any], number: int, frame: FrameType | None) -> None:
    _ended.set()
    celerys(number, frame)


_ended = threading.Event()


class Scheduler(_Scheduler):
    """Celery's scheduler, whose every tick shows, and which ends when it is told to in the middle of a message."""

    def tick(self, *args: Any, **options: Any) -> float:
        """Do what is due and return the seconds until the next look."""
        if _ended.is_set():
            raise SystemExit
        seconds: float = super().tick(*args, **options)
        touch()
        return seconds

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Send a message; what goes wrong with it once beat is told to end comes of that, and is no news."""
        try:
            return super().apply_async(*args, **options)
        except Exception:
            if not _ended.is_set():
                raise
        raise SystemExit
