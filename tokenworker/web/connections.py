"""Connections: how they are taken, how many, and how much may come on one."""

from __future__ import annotations

import logging
import resource
import socket
from errno import EINVAL
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate
from tornado.iostream import IOStream
from tornado.web import Application

from tokenworker.web.intake import BODY_TIME, MAX_READ, Intake

#: Many callers may connect within milliseconds; a full backlog would cost them a second each.
_BACKLOG = 2048
#: Connections that may be open at once.
_MOST = 4000
#: The largest body of a request, in bytes; it is small where nobody means ill.
_MAX_BODY = 64 * 1024
#: Seconds for a body to come that nobody has said is slow, and for a connection on which nobody asks anything.
_BODY_TIME = BODY_TIME + 2
_IDLE = 75


class _Discretion(logging.Filter):
    """Keeps what strangers sent out of Tornado's log: malformed requests hold keys, too."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without what it was made of."""
        record.msg, record.args = str(record.msg).partition("%")[0] + "(not shown: it may hold a key)", ()
        record.exc_info = record.exc_text = None
        return True


_discretion = _Discretion()


class _Server(HTTPServer):
    """One that hangs up on who connects while too many are connected."""

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Take a connection."""
        if len(self._connections) < _MOST:
            super().handle_stream(stream, address)
        else:
            stream.close()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Take a request."""
        return Intake(super().start_request(server_conn, request_conn), request_conn)


def listen(address: str, port: int) -> socket.socket:
    """Take the port, any free one for 0; raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        address.encode("idna")
    except UnicodeError:
        raise OSError(EINVAL, "that is no address") from None
    listener = socket.create_server((address, port), family=family, backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


def serve_on(listener: socket.socket, app: Application) -> HTTPServer:
    """Begin to serve, in the loop that runs."""
    logging.getLogger("tornado.general").addFilter(_discretion)
    server = _Server(
        app,
        max_body_size=_MAX_BODY,
        max_header_size=MAX_READ,
        body_timeout=_BODY_TIME,
        idle_connection_timeout=_IDLE,
    )
    server.add_socket(listener)
    return server


def allow_files() -> None:
    """Let this process have as many connections open as it takes, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _MOST if hard == resource.RLIM_INFINITY else min(2 * _MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
