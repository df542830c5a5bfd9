"""The tasks: what other services call by name, from any Celery app, without importing this package.

``app.send_task("tokenworker.get_token", queue="tokenworker").get()``
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery import Task, shared_task

from tokenworker import signing
from tokenworker.credential import ACCESS_TOKEN, JSAPI_TICKET, Credential
from tokenworker.credentials import targets
from tokenworker.credentials.target import Target
from tokenworker.errors import StoreUnavailable, TokenWorkerError, TransientError
from tokenworker.messages import (
    GET_CREDENTIAL,
    GET_TOKEN,
    QUEUE,
    REFRESH_DUE_TOKENS,
    REFRESH_TOKEN,
    SIGN_URL,
    STATUS,
)
from tokenworker.refresh.causes import Demand
from tokenworker.worker.calling.arguments import (
    account_named,
    check_taken,
    credential_named,
    number_named,
    rejected_named,
    state_named,
    switch,
    url_named,
)
from tokenworker.worker.calling.results import handed_over, results_of
from tokenworker.worker.logs.filters import hush
from tokenworker.worker.monitoring.masking import Result
from tokenworker.worker.monitoring.summary import counted, summary
from tokenworker.worker.runtime import runtime
from tokenworker.worker.status import Overview, survey

logger = logging.getLogger(__name__)

#: Retries of one message; after them the tick sends a new one.
_MAX_RETRIES = 10


if TYPE_CHECKING:
    _Task = Task[Any, Any]
else:
    _Task = Task  # no generic class before Celery 5.7


class TokenTask(_Task):
    """A task on our queue that shows no credential; the same in whatever app it is loaded into."""

    Request = "tokenworker.worker.monitoring.masking:MaskedRequest"
    serializer = "json"
    ignore_result = False
    rate_limit = "0/s"
    # Expected failures: one line in the log and not a traceback, which says nothing about WeChat.
    throws = (TokenWorkerError,)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do the task; raises `WrongArgument` for arguments that it does not take."""
        check_taken(self.run, args, kwargs)
        # Celery's own would begin another request in the middle of the one that a worker has.
        return self.run(*args, **kwargs)

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
        """Log the cause, once; Celery itself logs what is not expected."""
        cause = str(exc)
        if isinstance(exc, self.throws) and cause not in self._said:
            self._said.add(cause)
            logger.warning("the tick failed, so that nothing is sent for the accounts that are due: %s", cause)

    def on_success(self, *_: Any) -> None:
        """Forget what was logged: a fault that comes back is news."""
        if self._said:
            self._said.clear()
            logger.info("the tick works again")


@shared_task(name=GET_TOKEN, base=TokenTask)
def get_token(appid: str | None = None, rejected: str | None = None) -> Result:
    """Return `{"appid", "access_token", "expires_in"}`, the seconds for which the token may be kept.

    Fetches first when there is no live token, or when `rejected` (its fingerprint, or the token itself) names
    the live one. Raises `TokenUnavailable`, `UnknownAccount`, `WrongArgument`, `StoreUnavailable`.
    """
    target, credential, left = _get(account_named(appid), ACCESS_TOKEN, rejected)
    data = {"appid": target.account.id, "access_token": credential.value, "expires_in": left}
    return Result(data, summary("got", target.id, credential))


@shared_task(name=GET_CREDENTIAL, base=TokenTask)
def get_credential(account: str | None = None, name: str = ACCESS_TOKEN, rejected: str | None = None) -> Result:
    """Return `{"account", "name", "value", "expires_in"}`, as `get_token` does, of any credential that is kept.

    Raises `UnknownCredential` besides.
    """
    name = credential_named(name)
    target, credential, left = _get(account_named(account, "account"), name, rejected)
    data = {"account": target.account.id, "name": name, "value": credential.value, "expires_in": left}
    return Result(data, summary("got", target.id, credential))


def _get(account: str | None, name: str, rejected: str | None) -> tuple[Target, Credential, int]:
    target = runtime().target(account, name)
    credential, now = runtime().keeper.get(target, rejected_named(rejected))
    return target, credential, int(credential.expires_in(now))


@shared_task(name=SIGN_URL, base=TokenTask)
def sign_url(url: str, appid: str | None = None) -> Result:
    """Return `{"appId", "timestamp", "nonceStr", "signature"}` for `wx.config` on the page at `url`.

    The URL goes in as the browser shows it. Raises what `get_credential` raises, and `WrongArgument` for the URL.
    """
    target = runtime().target(account_named(appid), JSAPI_TICKET)
    page = signing.page_of(url_named(url))
    credential, _ = runtime().keeper.get(target)
    signed = signing.sign_url(credential.value, page)
    return Result({"appId": target.account.public_id, **signed}, summary("signed", target.id, credential))


@shared_task(bind=True, name=REFRESH_TOKEN, max_retries=_MAX_RETRIES, base=TokenTask)
def refresh_token(
    self: TokenTask,
    appid: str | None = None,
    rejected: str | None = None,
    early: bool = False,
    force: bool = False,
    name: str = ACCESS_TOKEN,
) -> Result:
    """Refresh if that is due and return `{"appid", "outcome", "expires_in"}`.

    `early` refreshes before its time; `force` is WeChat's forced refresh, for leaks; `name` is which of the account's
    credentials. `outcome` is refreshed, fresh (nothing to do), busy (somebody else is at it) or waiting (the last
    fetch failed, the next one is not due). Retries what passes by itself; raises `FetchError` for the rest.
    """
    demand = Demand(rejected_named(rejected), switch("early", early), switch("force", force))
    target = runtime().target(account_named(appid), credential_named(name))
    try:
        outcome = runtime().keeper.refresh(target, demand)
    except (TransientError, StoreUnavailable) as error:
        failure = error
    else:
        left = None if outcome.expires_in is None else int(outcome.expires_in)
        data = {"appid": target.account.id, "outcome": outcome.result, "expires_in": left}
        return Result(data, summary(outcome.result, target.id, outcome.credential, outcome.retry_in))
    again = {"rejected": demand.rejected, "early": demand.early, "force": demand.force}
    again |= _message(target)
    raise self.retry(args=(), kwargs=again, exc=failure, countdown=_countdown(failure, self.request.retries))


@shared_task(name=REFRESH_DUE_TOKENS, send_events=False, base=Tick)
def refresh_due_tokens() -> dict[str, int]:
    """Send a refresh for each credential that is due: the tick. Returns `{"sent": n}`."""
    held = runtime()
    held.reconciler.reconcile()
    limits = held.limits()
    held.store.notes.set_ticked(limits.rate)
    # No more than may be fetched until the next tick.
    most = max(limits.concurrency, int(limits.rate * held.durations.tick))
    due = held.reconciler.claim(most)
    for target in due:
        refresh_token.apply_async(kwargs=_message(target), ignore_result=True)
    return {"sent": len(due)}


@shared_task(name=STATUS, base=TokenTask)
def status(account: str | None = None, state: str | None = None, limit: int = 50, offset: int = 0) -> Result:
    """Return `{"counts", "accounts_error", "credentials"}`: how many are in each state, and a page, worst first.

    `account` is an id or a name, `state` one of live, missing and contested; each row is of the shape `Status`.
    Raises `UnknownAccount`, `WrongArgument`, `StoreUnavailable`.
    """
    held, name = runtime(), account_named(account, "account")
    wanted, first = state_named(state), number_named("offset", offset)
    last = first + number_named("limit", limit)
    ids = [target.id for target in targets(held.registry.account(name)).values()] if name else held.reconciler.targets
    seen = Overview(held.store, held.durations, ids)
    rows = survey(held.store, held.durations, seen.worst(wanted)[first:last])
    error = held.store.notes.accounts_error()
    data = {"counts": seen.counts, "accounts_error": error, "credentials": rows}
    return Result(data, counted(seen.counts, error))


def _message(target: Target) -> dict[str, Any]:
    """Return the arguments of `refresh_token` that name a credential."""
    return {"appid": target.account.id, "name": target.kind.name}


def _countdown(failure: TransientError | StoreUnavailable, retries: int) -> float:
    known = getattr(failure, "retry_in", None)
    durations = runtime().durations
    return float(known or min(durations.transient_cap, durations.transient_wait * 2**retries))


hush()
