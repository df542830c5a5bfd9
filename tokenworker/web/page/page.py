"""The page for people: how each credential is, the worst first, what happened in the last day, and what to do."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import time
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from tornado.template import Loader

from tokenworker.errors import StoreUnavailable
from tokenworker.web.clients.client import ANYBODY, Client
from tokenworker.web.handler import Handler
from tokenworker.web.page import board, words as texts
from tokenworker.web.page.board import Board, Condition, Question
from tokenworker.web.page.card import Card
from tokenworker.web.problems import Problem

_TEMPLATES = Path(__file__).parent / "templates"
_STYLE = (_TEMPLATES / "page.css").read_text(encoding="utf-8")
_SCRIPT = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
_LOADER = Loader(str(_TEMPLATES))

#: Seconds between two looks of a page that refreshes itself, at least; and that many times what a look takes.
_LEAST, _TIMES = 10, 50


#: Seconds that somebody waits who gave a wrong password: people think of theirs, and others could try many.
_PAUSE = 0.5


def _digest(text: str) -> str:
    """Return how a policy names what stands in a page."""
    return "'sha256-" + base64.b64encode(sha256(text.encode()).digest()).decode() + "'"


#: Only what stands in the page itself, and only as we wrote it; it may ask for itself again.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_digest(_STYLE)}",
        f"script-src {_digest(_SCRIPT)}",
        "img-src data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


class _NoRedis(Problem):
    """Nothing can be said, since Redis does not answer."""


class Page(Handler):
    """The page, in the language of who asks."""

    headers: ClassVar[dict[str, str]] = {
        **Handler.headers,
        "Content-Security-Policy": _POLICY,
        "Content-Type": "text/html; charset=utf-8",
        "Vary": "Accept-Language, Authorization",
    }

    async def get(self) -> None:
        """Show it."""
        client, question = await self._reader(), Question.of(self._word)
        try:
            # Many credentials take a moment, which others must not wait for.
            self.write(await asyncio.to_thread(self._page, client, question))
        except StoreUnavailable as error:
            raise _NoRedis(503, str(error), retry_after=_LEAST) from error

    def _page(self, client: Client, question: Question) -> str:
        began, error = time.monotonic(), self.held.clients.error or ""
        seen = board.look(self.held.store, self.held.durations, client, question, error)
        every = max(_LEAST, round(_TIMES * (time.monotonic() - began)))
        return render(seen, question, self._words, every)

    def _word(self, name: str) -> str:
        """Return what the query says by that name, or nothing."""
        return self.request.query_arguments.get(name, [b""])[-1].decode("utf-8", "replace")

    @property
    def _words(self) -> texts.Words:
        accepted = self.request.headers.get("Accept-Language", "")
        return texts.words(texts.chosen(accepted, self._word("lang")))

    async def _reader(self) -> Client:
        """Return who looks: by the page's password, or a client's key with the scope status; else raises a problem."""
        password, clients = self.held.config.web.password, self.held.clients
        given = self.key or self._password()
        if password is None and not clients.need_keys:
            return ANYBODY
        if password and hmac.compare_digest(given.encode(), password.reveal().encode()):
            return ANYBODY
        client = clients.of(given)
        if not clients.need_keys or not client.may("status"):
            if given:
                await asyncio.sleep(_PAUSE)
            raise self._refused(client, given)
        return client

    def _refused(self, client: Client, given: str) -> Problem:
        """Return the problem of one who gave no password that is right: a browser is to ask for one."""
        problem = self._refusal(client, "the page") if given else None
        return problem if problem and self.key else Problem(401, self._words("locked"))

    def _password(self) -> str:
        """Return the password that a browser sends, or nothing."""
        kind, _, given = self.request.headers.get("Authorization", "").partition(" ")
        try:
            pair = base64.b64decode(given, validate=True).decode() if kind.lower() == "basic" else ""
        except (binascii.Error, ValueError):
            return ""
        return pair.partition(":")[2]

    def write_problem(self, problem: Problem) -> None:
        """Answer with a page that says what is wrong."""
        if problem.status_code == 401:  # noqa: PLR2004  as HTTP says it
            self.set_header("WWW-Authenticate", 'Basic realm="tokenworker", charset="UTF-8"')
        self.write(render_problem(problem, self._words))


def render(seen: Board, question: Question, words: texts.Words, every: int = _LEAST) -> str:
    """Return the page of what was seen, which asks for itself again `every` so many seconds."""
    cards = [Card(row, words, seen.day) for row in seen.rows]
    verdict, tone = _verdict(seen, words)
    said = {"verdict": verdict, "tone": tone, "notices": _notices(seen, words)}
    return _rendered("page.html", words, seen=seen, question=question, cards=cards, every=every, **said)


def render_problem(problem: Problem, words: texts.Words) -> str:
    """Return the page of one who can't have it."""
    lost = isinstance(problem, _NoRedis)
    title = words("no_redis") if lost else str(problem.body["title"])
    return _rendered("problem.html", words, problem=problem, title=title, lost=lost, now=time.time)


def _verdict(seen: Board, words: texts.Words) -> tuple[str, Condition]:
    """Return how all is, in a sentence and at a glance."""
    if not seen.total:
        return words("nothing_kept"), "trouble"
    if seen.bad:
        return words("some_bad", seen.bad), "missing"
    if seen.is_neglected:
        return words("nobody_refreshes"), "missing"
    if seen.counts["trouble"]:
        return words("some_odd", seen.counts["trouble"]), "trouble"
    return words("all_fine"), "live"


def _notices(seen: Board, words: texts.Words) -> list[tuple[str, str]]:
    """Return what is wrong with the whole, each with what the program says of it."""
    found: list[tuple[str, str]] = []
    if seen.is_neglected:
        # A tick comes through a worker, so of that there is no more to say.
        found.append((words("no_workers"), ""))
    elif seen.ticked_ago is None:
        found.append((words("no_tick"), ""))
    elif seen.is_late:
        found.append((words("late_tick", ago=words.ago(seen.ticked_ago)), ""))
    faults = {"accounts_error": seen.accounts_error, "clients_error": seen.clients_error}
    return found + [(words(text), fault) for text, fault in faults.items() if fault]


def _rendered(template: str, words: texts.Words, **values: Any) -> str:
    common = {"w": words, "style": _STYLE, "script": _SCRIPT, "zoned": texts.zoned, "version": version("tokenworker")}
    return _LOADER.load(template).generate(**common, **values).decode()


routes = [("/", Page)]
