"""Handler: what all faces have in common: who asks, what he may, and how he is told what he can't have."""

from __future__ import annotations

import json
import logging
from typing import Any, ClassVar

from tornado.web import RequestHandler

from tokenworker.redaction import masked
from tokenworker.web.client import Client, Scope
from tokenworker.web.held import Held
from tokenworker.web.problems import Problem, no_key, not_allowed, problem_of

logger = logging.getLogger(__name__)


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

    @property
    def held(self) -> Held:
        """What this process holds."""
        held: Held = self.settings["held"]
        return held

    def client(self, scope: Scope) -> Client:
        """Return who asks; raises the problem of one who has no key with that scope."""
        client = self.held.clients.of(self.key)
        if not client.may(scope):
            raise not_allowed() if self.key else no_key()
        return client

    @property
    def key(self) -> str:
        """The key that came with the request, or nothing."""
        kind, _, key = self.request.headers.get("Authorization", "").partition(" ")
        return key.strip() if kind.lower() == "bearer" else ""

    def set_default_headers(self) -> None:
        """Set those of every answer, also of a refusal."""
        for name, value in self.headers.items():
            self.set_header(name, value)

    def write_json(self, answer: Any) -> None:
        """Answer with JSON."""
        self.write(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))

    def write_problem(self, problem: Problem) -> None:
        """Answer with a problem: status and headers are set already."""
        self.set_header("Content-Type", "application/problem+json")
        self.write_json(problem.body)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the problem that an error is."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else Problem(status_code, "")
        problem = problem_of(error)
        self.set_status(problem.status_code)
        if problem.status_code == 401:  # noqa: PLR2004  as HTTP says it
            self.set_header("WWW-Authenticate", "Bearer")
        if problem.retry_after is not None:
            self.set_header("Retry-After", str(problem.retry_after))
        self.write_problem(problem)
        self.finish()

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log what nobody expected; never the query or the headers, which may hold keys and credentials."""
        problem = problem_of(value) if value else None
        if problem and problem.status_code == 500:  # noqa: PLR2004  as HTTP says it
            where = f"{self.request.method} {masked(self.request.path)}"
            logger.error("a fault at %s, %s", where, type(value).__name__, exc_info=value)
