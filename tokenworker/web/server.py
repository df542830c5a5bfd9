"""The server: listens, serves until it is told to stop, and lets those who asked have their answers."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tornado.httpserver import HTTPServer

from tokenworker.errors import ConfigError
from tokenworker.settings.config import Config
from tokenworker.web.app import make_app
from tokenworker.web.held import Held

#: Many callers may connect within milliseconds; a full backlog would cost them a second each.
_BACKLOG = 2048
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
#: Seconds between two looks at the clients' file.
_LOOK = 1.0


_OPEN = (
    "tokenworker web would listen on {}, where others could take all credentials: set TOKENWORKER_WEB_CLIENTS to a file"
    " with the clients' keys, which `tokenworker web new-key` makes, or listen on 127.0.0.1"
)


def check_address(config: Config, address: str) -> None:
    """Raise `ConfigError` for an address that others can reach while there are no keys."""
    if config.web.clients is None and not _is_own(address):
        raise ConfigError([_OPEN.format(address)])


def _is_own(address: str) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def listen(address: str, port: int) -> socket.socket:
    """Take the port, any free one for 0; raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family, backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


async def serve(held: Held, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; who asked by then is answered still."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "tokenworker-web"))
    server = HTTPServer(
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
        await server.close_all_connections()
        await held.aclose()


async def _watch(held: Held) -> None:
    """Follow the clients' file."""
    while True:
        await asyncio.sleep(_LOOK)
        held.clients.reload()


def run(held: Held, address: str, port: int, on_ready: Callable[[int], object]) -> None:
    """Serve until SIGINT or SIGTERM, in the main thread; `on_ready` gets the port. Raises OSError if it is taken."""
    with listen(address, port) as listener:
        on_ready(listener.getsockname()[1])
        asyncio.run(_until_signalled(held, listener))


async def _until_signalled(held: Held, listener: socket.socket) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(held, listener, stop)
