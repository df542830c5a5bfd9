"""The server: listens, serves until it is told to stop, and lets those who asked have their answers."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from tokenworker.errors import ConfigError, StoreUnavailable
from tokenworker.settings.config import Config
from tokenworker.web.app import make_app
from tokenworker.web.held import Held
from tokenworker.web.neighbours import is_own

logger = logging.getLogger(__name__)

#: Many callers may connect within milliseconds; a full backlog would cost them a second each.
_BACKLOG = 2048
#: Connections that may be open at once.
_MOST_CONNECTIONS = 4000
#: The largest body and the largest head of a request, in bytes; both are small where nobody means ill.
_MAX_BODY = 64 * 1024
_MAX_HEAD = 16 * 1024
#: Seconds for a body to come, and for a connection on which nobody asks anything.
_BODY_TIME = 10
_IDLE = 75
#: How many may wait for Redis at once, each for another credential: a missing one takes seconds.
_THREADS = 64
#: Seconds for those who asked, when it is told to stop.
_FAREWELL = 10.0
_GLANCE = 0.02
#: Seconds between two looks at the clients' file.
_LOOK = 1.0


_OPEN = (
    "tokenworker web would listen on {}, where others could take all credentials: set TOKENWORKER_WEB_CLIENTS to a file"
    " with the clients' keys, which `tokenworker web new-key` makes, or listen on 127.0.0.1"
)


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
        if len(self._connections) < _MOST_CONNECTIONS:
            super().handle_stream(stream, address)
        else:
            stream.close()


def _allow_files() -> None:
    """Let this process have as many connections open as it takes, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _MOST_CONNECTIONS if hard == resource.RLIM_INFINITY else min(2 * _MOST_CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def check_address(config: Config, address: str) -> None:
    """Raise `ConfigError` for an address that others can reach while there are no keys."""
    if config.web.clients is None and not is_own(address):
        raise ConfigError([_OPEN.format(address)])


def listen(address: str, port: int) -> socket.socket:
    """Take the port, any free one for 0; raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family, backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


async def serve(held: Held, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; who asked by then is answered still."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "tokenworker-web"))
    with suppress(StoreUnavailable):
        await held.kept.refresh()
    logging.getLogger("tornado.general").addFilter(_discretion)
    server = _Server(
        make_app(held),
        max_body_size=_MAX_BODY,
        max_header_size=_MAX_HEAD,
        body_timeout=_BODY_TIME,
        idle_connection_timeout=_IDLE,
    )
    server.add_socket(listener)
    watching = asyncio.create_task(_watch(held))
    try:
        await stop.wait()
    finally:
        server.stop()
        watching.cancel()
        await _farewell(held)
        await server.close_all_connections()
        await asyncio.to_thread(held.tally.write, held.store.usage)
        await held.aclose()


async def _farewell(held: Held) -> None:
    """Wait until all who asked have their answers, but not for ever."""
    end = time.monotonic() + _FAREWELL
    while held.load.underway and time.monotonic() < end:  # noqa: ASYNC110  once: no request need set an event
        await asyncio.sleep(_GLANCE)


async def _watch(held: Held) -> None:
    """Follow the clients' file and the accounts, and write what was counted, for as long as it serves."""
    while True:
        try:
            await _look(held)
        except Exception:
            logger.exception("clients and accounts can't be read again; the next try comes in %g s", _LOOK)
        await asyncio.sleep(_LOOK)


async def _look(held: Held) -> None:
    held.clients.reload()
    with suppress(StoreUnavailable):
        await held.kept.refresh()
    await asyncio.to_thread(held.tally.write, held.store.usage)


def run(held: Held, address: str, port: int, on_ready: Callable[[int], object]) -> None:
    """Serve until SIGINT or SIGTERM, in the main thread; `on_ready` gets the port. Raises OSError if it is taken."""
    _allow_files()
    with listen(address, port) as listener:
        on_ready(listener.getsockname()[1])
        asyncio.run(_until_signalled(held, listener))


async def _until_signalled(held: Held, listener: socket.socket) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(held, listener, stop)
