"""The wire: one connection, and answers on it that are well-behaved or not."""

import asyncio
import contextlib
import json
import logging
import socket
import struct
from types import TracebackType
from typing import Any, cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream
from tornado.web import Application, HTTPError, RequestHandler

from tokenworker.sandbox.errors import InputError

# WeChat says "encoding" where the standard says "charset".
JSON_TYPE = "application/json; encoding=utf-8"

# On, and linger for 0 seconds: close() then sends RST instead of FIN.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

logger = logging.getLogger(__name__)


class Wire(RequestHandler):
    """What all handlers share: plain answers, silence about query strings."""

    def __init__(self, application: Application, request: HTTPServerRequest, **shared: Any) -> None:
        self._gone = asyncio.Event()
        # By its type Tornado would parse, and perhaps refuse, a body; the sandbox reads the bytes.
        request.headers.pop("Content-Type", None)
        super().__init__(application, request, **shared)

    @property
    def stream(self) -> IOStream:
        """The connection itself, for answers that are no HTTP."""
        return cast(HTTP1Connection, self.request.connection).stream

    @property
    def caller(self) -> str:
        """The caller's address."""
        return self.request.remote_ip or ""

    def json_body(self) -> dict[str, Any] | None:
        """Return the body if it is a JSON object."""
        try:
            payload = json.loads(self.request.body)
        except (ValueError, RecursionError):
            return None
        return payload if isinstance(payload, dict) else None

    async def send(self, body: bytes, content_type: str = JSON_TYPE, status: int = 200) -> None:
        """Answer, and wait until the answer has left."""
        self.set_status(status)
        self.set_header("Content-Type", content_type)
        await self.finish(body)

    async def pause(self, seconds: float | None) -> None:
        """Wait, but not for a caller who has hung up."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), seconds)

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, with RST if asked to."""
        if reset and self.stream.socket:
            self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.stream.close()

    def on_connection_close(self) -> None:
        """Wake whoever pauses."""
        self._gone.set()

    def compute_etag(self) -> None:
        """Send no ETag, so that no answer becomes a 304."""

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log a failure by its path alone: secrets and tokens travel in the query."""
        if not isinstance(value, HTTPError | InputError):
            logger.error("the sandbox failed at %s", self.request.path, exc_info=value)
