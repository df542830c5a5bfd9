"""The tasks: what other services call by name, from any Celery app, without importing this package.

``app.send_task("tokenworker.get_token", queue="tokenworker").get()``
"""

from __future__ import annotations

import logging
from typing import Any

from celery import Task, shared_task

from tokenworker.errors import StoreUnavailable, TokenWorkerError, TransientError
from tokenworker.messages import GET_TOKEN, QUEUE, REFRESH_DUE_TOKENS, REFRESH_TOKEN, STATUS
from tokenworker.refresh.causes import Demand
from tokenworker.worker.arguments import account_named, switch, token_named
from tokenworker.worker.masking import Result, hush_tick
from tokenworker.worker.results import handed_over, results_of
from tokenworker.worker.runtime import runtime

logger = logging.getLogger(__name__)

#: Retries of one message; after them the tick sends a new one.
_MAX_RETRIES = 10


class TokenTask(Task[Any, Any]):
    """A task on our queue that shows no token; the same in whatever app it is loaded into, whatever its defaults."""

    Request = "tokenworker.worker.masking:MaskedRequest"
    serializer = "json"
    ignore_result = False
    rate_limit = "0/s"
    # Expected failures: one line in the log and not a traceback, which says nothing about WeChat.
    throws = (TokenWorkerError,)

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Send the task to our queue, unless told otherwise."""
        return handed_over(super().apply_async(*args, **{"queue": QUEUE, **options}), self.app)

    @property  # type: ignore[misc]
    def backend(self) -> Any:
        """Where the worker puts results."""
        return results_of(self.app)

    def AsyncResult(self, task_id: str, **options: Any) -> Any:  # noqa: N802  Celery's name
        """Return the result of a call."""
        return handed_over(self.app.AsyncResult(task_id, task_name=self.name, **options), self.app)


class Tick(TokenTask):
    """The tick, kept out of the log but for its failures: each cause shows once until it works again."""

    abstract = True

    def __init__(self) -> None:
        self._said: set[str] = set()

    def on_failure(self, exc: Exception, *_: Any) -> None:
        """Say why; of what is not expected Celery tells by itself."""
        cause = str(exc)
        if isinstance(exc, self.throws) and cause not in self._said:
            self._said.add(cause)
            logger.warning("the tick failed, so that nothing is sent for the accounts that are due: %s", cause)

    def on_success(self, *_: Any) -> None:
        """Forget what was said: a fault that comes back is news."""
        if self._said:
            self._said.clear()
            logger.info("the tick works again")


@shared_task(name=GET_TOKEN, base=TokenTask)
def get_token(appid: str | None = None, rejected: str | None = None) -> Result:
    """Return `{"appid", "access_token", "expires_in"}`, the seconds that the token still works.

    Fetches first when there is no live token, or when `rejected` (its fingerprint, or the token itself) names
    the live one. Raises `TokenUnavailable`, `UnknownAccount`, `WrongArgument`, `StoreUnavailable`.
    """
    name, refused = account_named(appid), token_named(rejected)
    account = runtime().registry.account(name)
    token, now = runtime().keeper.get(account, refused)
    facts = {"appid": account.appid, "access_token": token.access_token, "expires_in": int(token.expires_in(now))}
    return Result(facts)


@shared_task(bind=True, name=REFRESH_TOKEN, max_retries=_MAX_RETRIES, base=TokenTask)
def refresh_token(
    self: TokenTask,
    appid: str | None = None,
    rejected: str | None = None,
    early: bool = False,
    force: bool = False,
) -> Result:
    """Refresh if that is due and return `{"appid", "outcome", "expires_in"}`.

    `early` refreshes a token before its time; `force` is WeChat's forced refresh, for leaks. `outcome` is
    refreshed, fresh (nothing to do), busy (somebody else is at it) or waiting (the last fetch failed, the next
    one is not due). Retries what passes by itself; raises `FetchError` for the rest.
    """
    name = account_named(appid)
    demand = Demand(token_named(rejected), switch("early", early), switch("force", force))
    account = runtime().registry.account(name)
    try:
        outcome = runtime().keeper.refresh(account, demand)
    except (TransientError, StoreUnavailable) as error:
        failure = error
    else:
        left = None if outcome.expires_in is None else int(outcome.expires_in)
        return Result({"appid": account.appid, "outcome": outcome.outcome, "expires_in": left})
    again = {"appid": account.appid, "rejected": demand.rejected, "early": demand.early, "force": demand.force}
    raise self.retry(args=(), kwargs=again, exc=failure, countdown=_countdown(failure, self.request.retries))


@shared_task(name=REFRESH_DUE_TOKENS, send_events=False, base=Tick)
def refresh_due_tokens() -> dict[str, int]:
    """Send a refresh for each account that is due: the tick. Returns `{"sent": n}`."""
    runtime().reconcile()
    runtime().store.note_tick()
    appids = runtime().take_due()
    for appid in appids:
        refresh_token.apply_async(kwargs={"appid": appid}, ignore_result=True)
    return {"sent": len(appids)}


@shared_task(name=STATUS, base=TokenTask)
def status() -> list[dict[str, Any]]:
    """Return one dict an account, without secrets: what is under its state key, and the time it has left."""
    return runtime().status()


def _countdown(failure: TransientError | StoreUnavailable, retries: int) -> float:
    known = getattr(failure, "retry_in", None)
    durations = runtime().durations
    return float(known or min(durations.transient_cap, durations.transient_wait * 2**retries))


hush_tick()
