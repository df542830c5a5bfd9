"""The application: all faces together."""

from __future__ import annotations

from typing import Any

from tornado.web import Application

from tokenworker.web import health
from tokenworker.web.handler import Handler
from tokenworker.web.held import Held
from tokenworker.web.metrics import scrape
from tokenworker.web.page import page
from tokenworker.web.plain import credentials, openapi, signature, status
from tokenworker.web.problems import Problem
from tokenworker.web.wechat import tickets, token, wecom

#: In the order in which paths are tried: those that are asked for most come first.
_FACES = (credentials, token, wecom, tickets, signature, status, openapi, health, scrape, page)


class _Nothing(Handler):
    """A path that nobody knows."""

    def prepare(self) -> None:
        """Refuse, whatever the method."""
        super().prepare()
        raise Problem(404, "there is nothing at this path: /v1/openapi.json lists all paths")


def make_app(held: Held) -> Application:
    """Build the application; it writes no access log, since queries hold keys."""
    routes: list[Any] = [route for face in _FACES for route in face.routes]
    return Application(routes, default_handler_class=_Nothing, log_function=lambda _: None, held=held)
