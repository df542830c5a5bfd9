"""Problems: what a request can't have, as RFC 9457 writes it."""

from __future__ import annotations

import math
from http.client import responses
from typing import Any

from tornado.web import HTTPError

from tokenworker.errors import TokenUnavailable, TokenWorkerError, WrongArgument

#: Seconds after which to try again, where nobody knows better.
_SOON = 5


class Problem(HTTPError):  # noqa: N818  it states a fact
    """A request that is answered with a status and a sentence; `facts` are further members of the answer.

    `retry_after` is in seconds, and stands in the header of that name too.
    """

    def __init__(self, status: int, detail: str, *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(status)
        self.detail = detail
        self.retry_after = None if retry_after is None else max(1, math.ceil(retry_after))
        self.facts = facts

    def __str__(self) -> str:
        return self.detail

    @property
    def body(self) -> dict[str, Any]:
        """The members of the answer; those that say nothing are left out."""
        known = {"title": responses.get(self.status_code, "Unknown"), "status": self.status_code, "detail": self.detail}
        facts = {name: value for name, value in self.facts.items() if value not in (None, "")}
        later = {} if self.retry_after is None else {"retry_after": self.retry_after}
        return {"type": "about:blank", **known, **facts, **later}


def problem_of(error: BaseException) -> Problem:
    """Return the problem that an error is; of one that nobody expected it says nothing, since it may hold a secret."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPError):
        return Problem(error.status_code, _SENTENCES.get(error.status_code, "the request can't be answered"))
    if isinstance(error, TokenWorkerError):
        return _expected(error)
    return Problem(500, "tokenworker has a fault here: look into the log of `tokenworker web`")


def _expected(error: TokenWorkerError) -> Problem:
    if isinstance(error, WrongArgument):
        return Problem(400, str(error))
    if isinstance(error, TokenUnavailable):
        facts = {"reason": error.reason, "errcode": error.errcode, "hint": error.hint}
        return Problem(503, str(error), retry_after=error.retry_in or _SOON, **facts)
    return Problem(503, str(error), retry_after=_SOON, reason=getattr(error, "reason", None))


def no_key() -> Problem:
    """Return the problem of a request without a key."""
    return Problem(401, "this needs a client's key: send the header Authorization: Bearer KEY")


def not_allowed() -> Problem:
    """Return the problem of a key that is unknown, or may not do this: who tries keys must not learn which."""
    return Problem(
        403,
        "no client with this key may do that: compare the key, and its accounts, credentials and scopes, with the"
        " clients' file",
    )


_SENTENCES = {
    400: "the request can't be read: look at its parameters and its body",
    404: "there is nothing at this path: /v1/openapi.json lists all paths",
    405: "this path does not take this method: /v1/openapi.json lists those that it takes",
    413: "the body is too large",
}
