"""What keeps a worker from doing our work, in whatever app: found before it takes a task, each in one sentence."""

from __future__ import annotations

from collections.abc import Iterator

from celery import Celery
from celery.backends.base import DisabledBackend
from kombu.serialization import prepare_accept_content

from tokenworker.messages import GET_TOKEN, QUEUE, TASKS

_JSON = "application/json"


def faults(app: Celery) -> list[str]:
    """Return a sentence for each reason why a worker of this app would not run our tasks, or they would fail."""
    return [*_queue(app), *_tasks(app), *settings_faults(app)]


def settings_faults(app: Celery) -> list[str]:
    """Return a sentence for each setting of this app that keeps any worker of it from doing our work."""
    return [*_formats(app), *_eager(app)]


def notes(app: Celery) -> list[str]:
    """Return a sentence for each thing that a worker of this app does without, and its user should know of."""
    return list(_results(app))


def taken(app: Celery) -> set[str]:
    """Return the names of the queues that a worker of this app takes from."""
    return set(app.amqp.queues.consume_from)


def _queue(app: Celery) -> Iterator[str]:
    if QUEUE not in taken(app):
        queues = ",".join(sorted(taken(app)))
        yield (
            f"this worker takes from {queues or 'no queue'} and not from {QUEUE}, so it runs no task of tokenworker:"
            f" start one with -Q {QUEUE}, or inside another app with -Q celery,{QUEUE}"
        )


def _tasks(app: Celery) -> Iterator[str]:
    missing = [name for name in TASKS if name not in app.tasks]
    if missing:
        yield f"this worker does not know {', '.join(missing)}: add 'tokenworker.worker.tasks' to include or imports"


def _formats(app: Celery) -> Iterator[str]:
    for setting in ("accept_content", "result_accept_content"):
        accepted = app.conf[setting]
        if accepted and _JSON not in (prepare_accept_content(accepted) or ()):
            yield f"{setting} is {list(accepted)}, and tokenworker's messages are JSON: add 'json' to it"


def _eager(app: Celery) -> Iterator[str]:
    if app.conf.task_always_eager:
        yield "task_always_eager runs each task where it is called, and no worker: leave it to tests"


def _results(app: Celery) -> Iterator[str]:
    if isinstance(app.backend, DisabledBackend):
        yield f"there is no result backend: who calls {GET_TOKEN} waits in vain; readers and the Redis keys work"
