"""The queue, and who works on it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC
from typing import Any

from celery import Celery
from celery.app.utils import find_app
from celery.backends.base import DisabledBackend
from celery.exceptions import TaskRevokedError, TimeoutError as NoAnswer
from celery.result import AsyncResult

from tokenworker.cli.doctor.finding import Finding, fault, note, ok
from tokenworker.cli.doctor.server import SKEW
from tokenworker.cli.table import duration
from tokenworker.errors import StoreUnavailable, TokenWorkerError
from tokenworker.messages import QUEUE, STATUS, TASKS
from tokenworker.redaction import redacted
from tokenworker.settings.libraries import results_gap
from tokenworker.worker import redisbroker
from tokenworker.worker.app import preflight

_SUBJECT, _RESULTS = "queue", "results"
#: How beats are named among the nodes: any number of them may run.
_BEAT = "celerybeat@"

#: Seconds that workers get to answer.
_PATIENCE = 2.0
#: The most messages that wait where the workers keep up.
_BACKLOG = 100


def examine(app_name: str) -> Iterator[Finding]:
    """Look at the broker, the workers and the way back of a result."""
    try:
        app = find_app(app_name)
        app.loader.import_default_modules()
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever another app's module may raise
        yield fault(_SUBJECT, f"the app {app_name} can't be loaded: {type(error).__name__}: {error}")
        return
    gap = results_gap(app)
    yield from (fault(_SUBJECT, sentence) for sentence in preflight.settings_faults(app))
    yield from [fault(_RESULTS, gap)] if gap else [note(_SUBJECT, sentence) for sentence in preflight.notes(app)]
    try:
        waiting = _waiting(app)
        answers = [name for reply in app.control.ping(timeout=_PATIENCE) or [] for name in reply]
        nodes = [name for name in answers if not name.startswith(_BEAT)]
        taking = _taking(app, set(nodes))
    except Exception as error:  # noqa: BLE001  each transport has errors of its own
        yield fault(_SUBJECT, f"the broker can't be used: {_text(error)}")
        return
    yield from _workers(nodes, taking, waiting)
    if taking:
        yield from _tasks(app, taking)
    if taking and not gap:
        yield from _round_trip(app, next(iter(taking)) if len(taking) == 1 else "a worker")


def _waiting(app: Celery) -> int:
    """Return how many messages wait in the queue; one that is not there has none."""
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=int(_PATIENCE))
        if too_old := redisbroker.fault(connection):
            raise StoreUnavailable(too_old)
        channel: Any = connection.default_channel
        try:
            return int(channel.queue_declare(queue=QUEUE, passive=True).message_count)
        except connection.channel_errors:
            return 0


def _workers(nodes: list[str], taking: set[str], waiting: int) -> Iterator[Finding]:
    for name, count in Counter(nodes).items():
        if count > 1:
            yield fault("worker", f"{count} nodes are named {name}: give each its own, with -n tokenworker@%h")
    if not taking:
        yield fault("worker", f"no worker takes from {QUEUE}, where {waiting} messages wait: start one with -Q {QUEUE}")
    else:
        yield ok("worker", f"{', '.join(sorted(taking))} takes from {QUEUE}")
    if taking and waiting > _BACKLOG:
        yield fault(_SUBJECT, f"{waiting} messages wait in {QUEUE}: the workers don't keep up, or hang")


def _taking(app: Celery, nodes: set[str]) -> set[str]:
    queues = app.control.inspect(timeout=_PATIENCE).active_queues() if nodes else None
    return {node for node, taken in (queues or {}).items() if any(queue["name"] == QUEUE for queue in taken)}


def _tasks(app: Celery, nodes: set[str]) -> Iterator[Finding]:
    known = app.control.inspect(destination=list(nodes), timeout=_PATIENCE).registered() or {}
    for node, names in known.items():
        missing = [name for name in TASKS if name not in {text.split(" ")[0] for text in names}]
        if missing:
            yield fault("worker", f"{node} takes from {QUEUE} and does not know {', '.join(missing)}: it loses them")


def _round_trip(app: Celery, worker: str) -> Iterator[Finding]:
    if isinstance(app.backend, DisabledBackend) or app.conf.task_always_eager:
        return  # said above
    before = time.time()
    try:
        asked = app.send_task(STATUS, kwargs={"limit": 1}, queue=QUEUE, expires=_PATIENCE)
        answer = _answer(asked)
        apart = list(_skew(_done_at(asked), before, time.time(), worker))
        # A clock that is wrong says also why there is no answer.
        yield from apart if apart and answer.level == "fault" else [answer, *apart]
    except Exception as error:  # noqa: BLE001  each result backend has errors of its own
        yield fault(_RESULTS, f"a task's result can't be read: {_text(error)}")


def _answer(asked: AsyncResult[Any]) -> Finding:
    try:
        asked.get(timeout=2 * _PATIENCE)
    except NoAnswer:
        return fault(_RESULTS, "a worker is there, but its result does not come back: is its result backend ours?")
    except TaskRevokedError:
        return fault(_RESULTS, f"a task waited {_PATIENCE:g} s for a worker, and was thrown away: are all busy?")
    return ok(_RESULTS, "a task was sent, run and answered")


def _done_at(asked: AsyncResult[Any]) -> float | None:
    """Return when a task came to its end by the clock of its worker, in epoch seconds; None if it did not."""
    done = asked.date_done
    if done is None:
        return None
    # Without a zone it is Celery's own, which is UTC.
    return (done if done.tzinfo else done.replace(tzinfo=UTC)).timestamp()


def _skew(done: float | None, before: float, after: float, worker: str) -> Iterator[Finding]:
    """Compare a worker's clock with ours: tasks that expire, ours among them, are thrown away where it is ahead."""
    ahead = 0.0 if done is None else max(done - after, 0.0) + min(done - before, 0.0)
    if abs(ahead) <= SKEW:
        return
    where = f"{duration(round(abs(ahead)))} {'ahead of' if ahead > 0 else 'behind'}"
    harm = ", and until then tasks that expire are lost there" if ahead > 0 else ""
    yield fault("clock", f"the clock of {worker} is about {where} this machine's: set both by NTP{harm}")


def _text(error: BaseException) -> str:
    text = redacted(str(error))
    if isinstance(error, TokenWorkerError):
        return text
    # Redis's ACL keeps users from all channels unless told otherwise, and Celery talks to workers through channels.
    if "channel" in text.lower():
        return f"{text}: give the user the right to channels, with ACL SETUSER … &*"
    return f"{type(error).__name__}: {text}"[:300]
