"""What Celery shows of our tasks, in its log, its events and Flower: never a credential."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping
from typing import Any

from celery.utils.saferepr import saferepr
from celery.worker.request import Request

from tokenworker.credential import ACCESS_TOKEN, CredentialId
from tokenworker.redaction import masked
from tokenworker.worker.monitoring.summary import reason

#: Levels of nesting that are shown; what our tasks take has fewer.
_DEPTH = 8


class Result(UserDict[str, Any]):
    """The result of a task: whole as JSON, and as text the line that says what came of it, for Flower and the log.

    Not a dict: Celery prints the content of those, whatever their repr says.
    """

    def __init__(self, data: Mapping[str, Any], line: str) -> None:
        super().__init__(data)
        self._line = line

    def __repr__(self) -> str:
        return self._line

    def __json__(self) -> dict[str, Any]:
        return self.data


class MaskedRequest(Request):
    """A task request that shows no credential, whoever put one into its arguments; and of a failure, why."""

    _error: BaseException | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, given in (("argsrepr", self.args), ("kwargsrepr", self.kwargs)):
            # A message that was sent by hand may lack the text, and Celery would make one to log a failure.
            text = masked(self.request_dict.get(name) or saferepr(mask(given)))
            self.request_dict[name] = text
            setattr(self, f"_{name}", text)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Note what went wrong, for the event that tells of it; a retry comes through here, too."""
        self._error = exc_info.exception
        return super().on_failure(exc_info, *args, **kwargs)

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002  Celery's name
        """Tell Flower and other monitors; of a failure its reason where they show results, since they look there."""
        if type in ("task-failed", "task-retried"):
            fields |= reason(self._error, _whom(self.kwargs), fields)
        super().send_event(type, **fields)

    def info(self, safe: bool = False) -> Any:
        """Describe the task for `celery inspect` and for Flower."""
        told: Any = super().info(safe)
        return told | {name: mask(told[name]) for name in ("args", "kwargs")}


def _whom(kwargs: Mapping[str, Any]) -> CredentialId | None:
    """Return which credential a message names, if it names an account."""
    account = kwargs.get("appid") or kwargs.get("account")
    named = kwargs.get("name") or ACCESS_TOKEN
    if not isinstance(account, str) or not isinstance(named, str):
        return None
    return CredentialId(masked(account), masked(named))


def mask(value: Any, depth: int = _DEPTH) -> Any:
    """Return arguments without what may be a credential, in the same shape."""
    if value is None or isinstance(value, int | float):
        return value
    if depth and isinstance(value, dict):
        return {masked(str(key)): mask(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list | tuple):
        return [mask(item, depth - 1) for item in value]
    return masked(value) if isinstance(value, str) else "***"
