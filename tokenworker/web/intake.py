"""Intake: what comes on a connection, before it is a request: as proxies write it, or too large, or too slow."""

from __future__ import annotations

import asyncio
import re
from http.client import responses
from typing import cast

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from tokenworker.web.handler import Handler, encoded
from tokenworker.web.problems import Problem

#: The largest head that is taken, in bytes, and the largest of which is said that it is too large.
MAX_HEAD = 16 * 1024
MAX_READ = 64 * 1024
#: Seconds for a body to come.
BODY_TIME = 10.0

#: An absolute form (RFC 9112, 3.2.2): who is asked, and for what.
_ABSOLUTE = re.compile(r"https?://(?:[^/?#@]*@)?([^/?#]+)(.*)", re.IGNORECASE)


class Intake(HTTPMessageDelegate):
    """One request as it comes; Tornado itself would hang up on a large or a slow one without a word."""

    def __init__(self, taker: HTTPMessageDelegate, connection: HTTPConnection) -> None:
        self._taker = taker
        self._connection = connection
        self._method = ""
        self._is_taken = False
        self._slow: asyncio.TimerHandle | None = None

    def headers_received(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> None:
        """Take the head, and wait for the body if there is one."""
        line = cast("RequestStartLine", start_line)
        self._method = line.method
        if _size(line, headers) > MAX_HEAD:
            self._refuse(431, f"the head is larger than {MAX_HEAD} bytes: send fewer or shorter headers")
            return
        if "Content-Length" in headers or "Transfer-Encoding" in headers:
            words = f"the body did not come within {BODY_TIME:g} s: send it at once"
            self._slow = asyncio.get_running_loop().call_later(BODY_TIME, self._refuse, 408, words)
        self._is_taken = True
        self._taker.headers_received(_own(line, headers), headers)

    def data_received(self, chunk: bytes) -> None:
        """Take a part of the body."""
        self._taker.data_received(chunk)

    def finish(self) -> None:
        """Take it as a whole."""
        self._stop_waiting()
        self._taker.finish()

    def on_connection_close(self) -> None:
        """Forget it: the rest will not come."""
        self._stop_waiting()
        if self._is_taken:
            self._taker.on_connection_close()

    def _stop_waiting(self) -> None:
        if self._slow:
            self._slow.cancel()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer, and hang up: who answers before all has come reads no more of it."""
        body = encoded(Problem(status, detail).body).encode()
        headers = HTTPHeaders({**Handler.headers, "Content-Type": "application/problem+json", "Connection": "close"})
        headers["Content-Length"] = str(len(body))
        answer = None if self._method == "HEAD" else body
        self._connection.write_headers(ResponseStartLine("HTTP/1.1", status, responses[status]), headers, answer)
        self._connection.finish()


def _size(start_line: RequestStartLine, headers: HTTPHeaders) -> int:
    """Return how many bytes a head has, or a few less."""
    return sum(map(len, start_line)) + sum(len(name) + len(text) + 4 for name, text in headers.get_all())


def _own(start_line: RequestStartLine, headers: HTTPHeaders) -> RequestStartLine:
    """Return the line with the path alone; who is asked by an absolute form is the host, whatever the header says."""
    absolute = _ABSOLUTE.fullmatch(start_line.path)
    if not absolute:
        return start_line
    headers["Host"], path = absolute.groups()
    return start_line._replace(path=path if path.startswith("/") else f"/{path}")
