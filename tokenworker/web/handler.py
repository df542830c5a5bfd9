"""Handler: what all faces have in common: who asks, what he may, and how he is told what he can't have."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import Any, ClassVar

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

from tokenworker.credential import CredentialId
from tokenworker.errors import StoreUnavailable
from tokenworker.reading.arguments import identify
from tokenworker.redaction import masked
from tokenworker.web import neighbours
from tokenworker.web.clients.client import Client, Scope
from tokenworker.web.held import Held
from tokenworker.web.kept import HASTE
from tokenworker.web.problems import Problem, no_key, not_allowed, problem_of

logger = logging.getLogger(__name__)

#: Made once, for `json.dumps` would make it each time.
encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Handler(RequestHandler):
    """One request."""

    #: Said with each answer. A face with pages for people says more in a policy of its own.
    headers: ClassVar[dict[str, str]] = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Content-Type": "application/json",
        "Referrer-Policy": "no-referrer",
        "Server": "tokenworker",
        "X-Content-Type-Options": "nosniff",
    }
    #: What names the version of what is answered, for `If-None-Match`.
    etag: str | None = None

    #: Whether it is refused while too many requests are under way; not if somebody would start us again for that.
    bounded: ClassVar[bool] = True

    def __init__(self, application: Application, request: HTTPServerRequest, **given: Any) -> None:
        # By its type Tornado would parse, and perhaps refuse, a body, and repeat it in a log; we read JSON alone.
        if "Content-Type" in request.headers:
            del request.headers["Content-Type"]
        super().__init__(application, request, **given)
        self.held.load.underway += 1

    @property
    def held(self) -> Held:
        """What this process holds."""
        held: Held = self.settings["held"]
        return held

    # Who asks

    @property
    def key(self) -> str:
        """The key that came with the request, or nothing."""
        kind, _, key = self.request.headers.get("Authorization", "").partition(" ")
        return key.strip() if kind.lower() == "bearer" else ""

    def client(self, scope: Scope) -> Client:
        """Return who asks; raises the problem of one who has no key with that scope."""
        client = self.held.clients.of(self.key)
        if not client.may(scope):
            raise self._refusal(client, f"{scope}")
        return client

    async def meant(self, scope: Scope, account: str, credential: str) -> tuple[Client, CredentialId]:
        """Return who asks, and for what; raises the problem of one who may not do that with that account's.

        An account may be new, or have another name since the last look: so there is one more before a refusal. The
        same is done for each that is refused, so that time does not tell what is wrong with a key.
        """
        client, kept = self.held.clients.of(self.key), self.held.kept
        kept.check_known()
        id_ = identify(kept.account(account), credential)
        if not self._may(client, scope, id_):
            with suppress(StoreUnavailable):
                await kept.refresh(HASTE)
        elif id_ in kept.ids or self.held.reader.known(id_.account, id_.name):
            return client, id_
        else:
            await kept.refresh(HASTE)
        id_ = identify(kept.account(account), credential)
        if self._may(client, scope, id_):
            return client, id_
        raise self._refusal(client, f"{scope} {credential} of {account}")

    def _may(self, client: Client, scope: Scope, id_: CredentialId) -> bool:
        """Return whether a client may do that; all is compared for each."""
        name = self.held.kept.names.get(id_.account, "")
        return all((client.may(scope), client.may_see(id_.account, name), client.may_have(id_.name)))

    def _refusal(self, client: Client, what: str) -> Problem:
        self.held.tally.count(client.name, "refusals")
        if self.held.refused.may(client.name):
            logger.warning(
                "client %s was refused: %s; further refusals are counted, and not logged for a minute",
                client.name,
                ascii(masked(what))[1:-1],
                extra={"client": client.name},
            )
        return not_allowed() if self.key else no_key()

    # Answers

    def prepare(self) -> None:
        """Take the request, unless there are too many, or a page of another site sent it where no keys are needed."""
        if not self.held.clients.need_keys:
            neighbours.check(self.request, self.held.config.web.origins)
        if self.bounded:
            self.held.load.check()

    async def head(self, *args: str, **kwargs: str) -> None:
        """Answer as to GET, of which Tornado leaves out the body."""
        answering = self.get(*args, **kwargs)
        if answering is not None:
            await answering

    def on_finish(self) -> None:
        """Count it as done."""
        self.held.load.underway -= 1

    def set_default_headers(self) -> None:
        """Set those of every answer, also of a refusal."""
        for name, value in self.headers.items():
            self._headers[name] = value

    def compute_etag(self) -> str | None:
        """Return what names the version of the answer, instead of a digest of it."""
        return self.etag

    def write_json(self, answer: Any) -> None:
        """Answer with JSON."""
        self.write(encoded(answer))

    def write_problem(self, problem: Problem) -> None:
        """Answer with a problem: status and headers are set already."""
        self.set_header("Content-Type", "application/problem+json")
        self.write_json(problem.body)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the problem that an error is."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else Problem(status_code, "")
        problem = problem_of(error)
        self.set_status(problem.status_code)
        for name, value in self._headers_of(problem).items():
            self.set_header(name, value)
        self.write_problem(problem)
        self.finish()

    def _headers_of(self, problem: Problem) -> dict[str, str]:
        if problem.status_code == HTTPStatus.UNAUTHORIZED:
            return {"WWW-Authenticate": "Bearer"}
        if problem.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return {"Allow": ", ".join(self.methods())}
        return {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}

    @classmethod
    def methods(cls) -> list[str]:
        """Return the methods that this path takes."""
        none = RequestHandler.get
        methods = [method for method in cls.SUPPORTED_METHODS if getattr(cls, method.lower()) is not none]
        return [method for method in methods if method != "HEAD" or "GET" in methods]

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log what nobody expected; never the query or the headers, which may hold keys and credentials."""
        problem = problem_of(value) if value else None
        if problem and problem.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
            where = f"{self.request.method} {masked(self.request.path)}"
            logger.error("a fault at %s, %s", where, type(value).__name__, exc_info=value)
