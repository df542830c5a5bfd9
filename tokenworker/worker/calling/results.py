"""Where the results of our tasks go: to the result backend of the app they run in, but as JSON and for a minute.

An app may keep its own results as pickles, for a day, or not at all; ours hold credentials, and callers in other
languages and without this package read them.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from celery import Celery
from celery.app import backends
from celery.backends.rpc import RPCBackend
from celery.result import AsyncResult

#: Seconds that a result is kept.
EXPIRES = 60

_ours: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def results_of(app: Celery) -> Any:
    """Return a result backend that keeps our results where `app` keeps its own."""
    own: Any = app.backend
    if own.serializer == "json" and own.expires == EXPIRES:
        return own
    # Where a backend is not safe to share, Celery makes one for each thread: so there is one of ours for each of those.
    if own not in _ours:
        _ours[own] = _backend(app)
    return _ours[own]


def handed_over(result: AsyncResult[Any], app: Celery) -> AsyncResult[Any]:
    """Have the result of a call read as it is kept: an app that pickles its results takes all for pickles."""
    own: Any = app.backend
    # What comes through the broker says itself what it is; and two readers of one reply queue rob each other.
    if own is results_of(app) or own.serializer == "json" or isinstance(own, RPCBackend):
        return result
    # The app subscribed to it at the call, and nobody else would end that.
    own.remove_pending_result(result)
    result.backend = results_of(app)
    return result


def _backend(app: Celery) -> Any:
    by_url: Any = backends.by_url
    kind, url = by_url(app.backend_cls or app.conf.result_backend, app.loader)
    return kind(app=app, url=url, serializer="json", accept=["json"], expires=EXPIRES)
