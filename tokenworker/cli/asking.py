"""A refresh by hand: a worker makes it, and says what came of it."""

from __future__ import annotations

from typing import Any

from celery.backends.base import DisabledBackend
from celery.exceptions import TimeoutError as NoAnswer
from kombu.exceptions import OperationalError

from tokenworker.celery import app
from tokenworker.cli.kept import Kept
from tokenworker.credential import CredentialId
from tokenworker.redaction import redacted
from tokenworker.refresh.causes import Demand
from tokenworker.refresh.outcomes import last_error, reason
from tokenworker.settings.libraries import gaps
from tokenworker.worker.tasks import refresh_token

_UNANSWERED = (
    "the refresh was sent, but there is no result backend by which a worker could answer: look at `tokenworker status`,"
    " or set CELERY_RESULT_BACKEND"
)


class NotAsked(Exception):  # noqa: N818  it states a fact
    """No worker was reached, or none came to an end; its text says why."""


def refresh(held: Kept, id_: CredentialId, timeout: float, demand: Demand) -> tuple[dict[str, Any], str]:
    """Return what a worker says of a refresh, and why it made none; raises `NotAsked` after `timeout` seconds."""
    app.set_current()
    if faults := gaps(app):
        raise NotAsked("; ".join(faults))
    began = held.store.now()
    try:
        # Without this, Celery would try for a long time before it says that the queue can't be reached.
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1)
        ask = {"appid": id_.account, "name": id_.name, "early": demand.early, "force": demand.force}
        asked = refresh_token.apply_async(kwargs=ask)
        if isinstance(app.backend, DisabledBackend):
            raise NotAsked(_UNANSWERED)
        result = dict(asked.get(timeout=timeout))
    except NoAnswer:
        raise NotAsked(_no_answer(held, id_, began, timeout)) from None
    except OperationalError as error:
        raise NotAsked(f"the queue can't be reached: {redacted(str(error))}") from None
    return result, reason(result["outcome"], held.store.records.look(id_), demand, held.durations)


def _no_answer(held: Kept, id_: CredentialId, began: float, timeout: float) -> str:
    snapshot = held.store.records.look(id_)
    if snapshot.error and snapshot.failed_at >= began:
        return f"not refreshed within {timeout:g} s: {last_error(snapshot)}"
    choice = held.selection()
    question = "is one running, on the queue tokenworker?" if choice.kept else choice.nothing
    return f"no worker answered within {timeout:g} s: {question}"
