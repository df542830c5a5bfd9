"""The sandbox as an HTTP server."""

import asyncio
import signal
import socket
from collections import Counter
from collections.abc import Callable

from tornado.httpserver import HTTPServer
from tornado.web import Application

from tokenworker.sandbox.business import BUSINESS_CALLS
from tokenworker.sandbox.control import ROUTES
from tokenworker.sandbox.faults import FaultBox
from tokenworker.sandbox.issuers import KINDS
from tokenworker.sandbox.platform import Platform
from tokenworker.sandbox.saver import Saver
from tokenworker.sandbox.wechat import WeChatCall

HOST = "127.0.0.1"

# A storm of callers connects within milliseconds; a full backlog would cost them a second each.
_BACKLOG = 2048


def make_app(platform: Platform, faults: FaultBox) -> Application:
    """Build the application; it writes no access log, since queries hold secrets and tokens."""
    shared = {"platform": platform, "faults": faults}
    underway = Counter[str]()
    endpoints = (*(fetch() for fetch in dict.fromkeys(KINDS.values())), *BUSINESS_CALLS)
    calls = [(each.path, WeChatCall, {**shared, "underway": underway, "endpoint": each}) for each in endpoints]
    return Application([*calls, *((path, handler, shared) for path, handler in ROUTES)], log_function=lambda _: None)


def listen(host: str = HOST, port: int = 0) -> socket.socket:
    """Take the port, any free one for 0, so that callers may connect at once; raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


async def serve_on(listener: socket.socket, app: Application, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then hang up on everybody."""
    server = HTTPServer(app)
    server.add_socket(listener)
    try:
        await stop.wait()
    finally:
        server.stop()
        await server.close_all_connections()


async def serve(
    platform: Platform,
    faults: FaultBox,
    host: str = HOST,
    port: int = 0,
    *,
    on_ready: Callable[[int], object] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until `stop` is set; `on_ready` gets the bound port. Raises OSError if it is taken."""
    with listen(host, port) as listener:
        if on_ready:
            on_ready(listener.getsockname()[1])
        await serve_on(listener, make_app(platform, faults), stop or asyncio.Event())


def run(
    host: str,
    port: int,
    platform: Platform,
    faults: FaultBox | None = None,
    on_ready: Callable[[int], object] | None = None,
    saver: Saver | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, in the main thread; otherwise as `serve`."""
    asyncio.run(_until_signalled(platform, faults or FaultBox(), host, port, on_ready, saver))


async def _until_signalled(
    platform: Platform,
    faults: FaultBox,
    host: str,
    port: int,
    on_ready: Callable[[int], object] | None,
    saver: Saver | None,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    saving = asyncio.create_task(saver.run()) if saver else None
    await serve(platform, faults, host, port, on_ready=on_ready, stop=stop)
    if saving:
        saving.cancel()
