"""A file whose age says whether worker or beat still work: a health check that costs next to nothing."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Any

from celery.beat import Scheduler as _Scheduler, SchedulingError
from celery.signals import heartbeat_sent

from tokenworker.settings.config import Config
from tokenworker.worker.lines import causes

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


class Scheduler(_Scheduler):
    """Celery's scheduler, whose every tick shows, and which ends when it is told to in the middle of a message."""

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Send a message; a signal ends us by an error that is raised in here, and may come out as another one."""
        try:
            return super().apply_async(*args, **options)
        except SchedulingError as error:
            failure = error
        if any(isinstance(cause, SystemExit) for cause in causes(failure)):
            raise SystemExit
        raise failure

    def tick(self, *args: Any, **options: Any) -> float:
        """Do what is due and return the seconds until the next look."""
        seconds: float = super().tick(*args, **options)
        touch()
        return seconds
