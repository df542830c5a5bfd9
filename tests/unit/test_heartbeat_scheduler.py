"""Beat's scheduler when a signal comes in the middle of something."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from celery import Celery
from celery.schedules import schedule
from celery.signals import beat_init

from tokenworker.worker.app.heartbeat import Scheduler, _ended


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    """A scheduler with nothing to do, in a beat that ends at SIGTERM as Celery's does."""

    def celerys(*_: Any) -> None:
        raise SystemExit

    before = {number: signal.signal(number, celerys) for number in (signal.SIGTERM, signal.SIGINT)}
    app = Celery("ticking", broker="memory://", set_as_current=False)
    app.conf.update(result_backend=None)
    beat_init.send(sender=None)
    yield Scheduler(app=app, lazy=True)
    _ended.clear()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_beat_ends_also_when_the_word_to_end_gets_lost(scheduler: Scheduler) -> None:
    assert scheduler.tick() > 0
    with suppress(SystemExit):  # as in a destructor
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit):
        scheduler.tick()


def test_a_message_that_the_word_to_end_broke_off_is_no_news(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    producer: Any = object()  # which can send nothing
    entry = scheduler.Entry(name="tick", task="tick", schedule=schedule(1), app=scheduler.app)
    scheduler.apply_entry(entry, producer=producer)
    assert "Message Error" in caplog.text
    caplog.clear()
    with suppress(SystemExit):
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit):
        scheduler.apply_entry(entry, producer=producer)
    assert not caplog.records
