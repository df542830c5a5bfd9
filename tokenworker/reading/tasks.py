"""Has a worker look at a credential at once, by a task, through somebody's Celery app."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any

import redis

from tokenworker.credential import CredentialId
from tokenworker.errors import causes
from tokenworker.messages import QUEUE, REFRESH_TOKEN
from tokenworker.redaction import redacted
from tokenworker.settings.broker import queue_settings
from tokenworker.settings.urls import is_sentinel
from tokenworker.store.refusals import refusal

#: Seconds that a broker gets to take a message; one that takes longer hangs.
_LONGEST = 2.0

#: How sentences of ours begin that say what a broker refuses.
_SAID = ("Redis refuses: ", "the Sentinels name no master ")

#: The classes in which Celery reaches Redis, by the scheme of a URL.
_TRANSPORTS = {"redis": "Transport", "rediss": "Transport", "sentinel": "SentinelTransport"}


class Tasks:
    """The task, by way of a Celery app or of a broker's URL.

    Its result is not waited for: Celery forbids that inside tasks, a result backend may hang, and a credential
    need not go through it. Whoever sends watches the key.
    """

    def __init__(self, celery: Any) -> None:
        self._app = _app(celery) if isinstance(celery, str) else celery

    def send(self, id_: CredentialId, rejected: str | None) -> str:
        """Send the task, with the fingerprint of what WeChat refused; return what went wrong, or "".

        In a thread of its own, for Celery knows no deadline for a broker that hangs.
        """
        outcome: list[str] = []
        arguments = {"appid": id_.account, "name": id_.name, "rejected": rejected}
        thread = threading.Thread(target=self._send, args=(arguments, outcome), name="tokenworker-send", daemon=True)
        thread.start()
        thread.join(_LONGEST)
        return outcome[0] if outcome else f"the broker does not take the task {REFRESH_TOKEN} within {_LONGEST} s"

    def _send(self, arguments: dict[str, Any], outcome: list[str]) -> None:
        try:
            self._app.send_task(REFRESH_TOKEN, kwargs=arguments, queue=QUEUE, ignore_result=True)
        except Exception as error:  # noqa: BLE001  whatever a broker's client raises
            outcome.append(f"the task {REFRESH_TOKEN} can't be sent: {_why(error)}")
        else:
            outcome.append("")


def _why(error: Exception) -> str:
    """Return why a broker's client failed: what Redis, or the system, says of it.

    Of all else the kind alone, for its text may hold a password.
    """
    for cause in causes(error):
        if isinstance(cause, redis.RedisError):
            said = redacted(str(cause))
            # Our own connections of Celery's have said it already.
            return said if said.startswith(_SAID) else refusal(cause)
        if isinstance(cause, OSError) and cause.strerror:
            return f"{type(cause).__name__}: {cause.strerror}"
    return type(error.__cause__ or error).__name__


def _app(broker: str) -> Any:
    # Imported by name, so that this package does not depend on Celery: most readers have no use for it.
    celery = import_module("celery")
    ours = broker.startswith(("redis:", "rediss:", "unix:")) or is_sentinel(broker)
    settings = queue_settings(broker) if ours else {"broker_url": broker}
    url = settings.pop("broker_url")
    app = celery.Celery("tokenworker-reader", broker=url, set_as_current=False)
    app.conf.update(settings)
    transport = _TRANSPORTS.get(url.partition("://")[0])
    if transport:
        app.conf.broker_transport = f"tokenworker.worker.redisbroker.transports:{transport}"
    return app
