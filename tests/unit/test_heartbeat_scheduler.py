"""Beat's scheduler when a signal comes in the middle of a message."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.beat import SchedulingError
from celery.schedules import schedule

from tokenworker.worker.heartbeat import Scheduler


def scheduler_whose_message_fails(before: BaseException) -> Scheduler:
    """Return one whose client of Redis fails with an error of its own while another is under way."""
    app: Any = Celery("ticking", broker="memory://", set_as_current=False)

    def broken(*_: Any, **__: Any) -> None:
        try:
            raise before
        finally:
            raise ValueError("I/O operation on closed file")

    app.tasks["tick"] = SimpleNamespace(apply_async=broken)
    return Scheduler(app=app, lazy=True)


def send(scheduler: Scheduler) -> None:
    scheduler.apply_async(scheduler.Entry(name="tick", task="tick", schedule=schedule(1), app=scheduler.app))


def test_beat_ends_when_it_is_told_to_while_it_sends() -> None:
    with pytest.raises(SystemExit):
        send(scheduler_whose_message_fails(SystemExit()))


def test_what_else_goes_wrong_with_a_message_does_not_end_beat() -> None:
    with pytest.raises(SchedulingError, match="closed file"):
        send(scheduler_whose_message_fails(ConnectionResetError()))
