"""What Flower's lists and the log show of a task: one short line, the outcome first, and never a credential."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined]
from celery import current_app
from celery.exceptions import Retry

from tokenworker.credential import ACCESS_TOKEN, Credential, CredentialId
from tokenworker.errors import FetchError, TokenWorkerError
from tokenworker.redaction import discreet
from tokenworker.worker.status import State

#: An end that is no more seconds away is told to the second.
_SOON = 600
#: As much of an appid or a corpid as tells those of one house apart.
_SHORT = 6


def summary(outcome: str, id_: CredentialId, credential: Credential | None, retry_in: float = 0.0) -> str:
    """Return a line such as `refreshed · wx0123… · until 14:05 · 3f9a…`.

    `credential` is the live one, of which end and fingerprint are told; `retry_in` is how many seconds the next fetch
    is away.
    """
    known = (_until(credential), f"{credential.fingerprint[:4]}…") if credential else ("there is none",)
    return _line(outcome, _whom(id_), *known, _next(retry_in))


def counted(counts: Mapping[State, int], accounts_error: str | None) -> str:
    """Return a line such as `300 live · 2 missing · 0 contested`, with what is wrong with the accounts behind it."""
    return _line(*(f"{number} {state}" for state, number in counts.items()), accounts_error or "")


def reason(error: BaseException | None, id_: CredentialId | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an event tells of a failure or of a retry: the sentence first, as its `result`.

    What we raise needs no traceback, which says nothing about WeChat; of everything else it stays, without secrets.
    """
    error, retry_in = _cause(error)
    if isinstance(error, TokenWorkerError):
        whom = _whom(id_) if id_ and id_.account not in str(error) else ""
        line = _line(str(error), _next(retry_in), whom)
        # By its own name: of a retry Celery tells another exception around it.
        return {"result": line, "exception": repr(error), "traceback": None}
    shown = {name: discreet(str(fields[name])) for name in ("exception", "traceback") if fields.get(name)}
    return {"result": shown.get("exception"), **shown}


def _cause(error: BaseException | None) -> tuple[BaseException | None, float]:
    """Return what went wrong, and how many seconds later it is tried again; 0 when that is not known."""
    while isinstance(error, ExceptionWithTraceback):
        error = error.exc
    if isinstance(error, Retry):
        return error.exc, error.when if isinstance(error.when, int | float) else 0.0
    return error, (error.retry_in or 0.0) if isinstance(error, FetchError) else 0.0


def _line(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def _whom(id_: CredentialId) -> str:
    """Return an account, cut short, and which of its credentials it is, unless that is the access token."""
    owner, slash, agent = id_.account.partition("/")
    short = f"{owner[:_SHORT]}…" if len(owner) > _SHORT + 2 else owner
    return f"{short}{slash}{agent}" + ("" if id_.name == ACCESS_TOKEN else f" {id_.name}")


def _until(credential: Credential) -> str:
    """Return when it ends, by the worker's clock on the wall, or that of Celery's setting `timezone`."""
    zone = current_app.timezone if current_app.conf.timezone else None
    end = datetime.fromtimestamp(credential.expires_at, zone)
    return f"until {end:%H:%M:%S}" if credential.expires_at - time.time() < _SOON else f"until {end:%H:%M}"


def _next(seconds: float) -> str:
    if not seconds:
        return ""
    return f"next attempt in {seconds:.0f} s" if seconds >= 1 else f"next attempt in {seconds:.1g} s"
