"""The sandbox as an HTTP server."""

import asyncio
import signal
import socket
from collections.abc import Callable

from tornado.httpserver import HTTPServer
from tornado.web import Application

from tokenworker.sandbox import control, wechat
from tokenworker.sandbox.faults import FaultBox
from tokenworker.sandbox.platform import Platform

HOST = "127.0.0.1"

# A storm of callers connects within milliseconds; a full backlog would cost them a second each.
_BACKLOG = 2048

# From the range that is reserved for documentation.
_IP_LIST = {"ip_list": ["203.0.113.10", "203.0.113.11"]}
_OK = {"errcode": 0, "errmsg": "ok"}
_NOBODY = {"total": 0, "count": 0, "data": {"openid": []}, "next_openid": ""}


def make_app(platform: Platform, faults: FaultBox) -> Application:
    """Build the application; it writes no access log, since queries hold secrets and tokens."""
    shared = {"platform": platform, "faults": faults}
    return Application(
        [
            (r"/cgi-bin/token", wechat.ClassicToken, shared),
            (r"/cgi-bin/stable_token", wechat.StableToken, shared),
            (r"/cgi-bin/get_api_domain_ip", wechat.BusinessCall, {**shared, "success": _IP_LIST}),
            (r"/cgi-bin/message/custom/send", wechat.BusinessCall, {**shared, "success": _OK}),
            (r"/cgi-bin/user/get", wechat.BusinessCall, {**shared, "success": _NOBODY}),
            (r"/(?:sandbox/?)?", control.Overview, shared),
            (r"/sandbox/accounts", control.Accounts, shared),
            (r"/sandbox/accounts/([^/]+)", control.OneAccount, shared),
            (r"/sandbox/accounts/([^/]+)/revoke", control.Revoke, shared),
            (r"/sandbox/verdict", control.VerdictOf, shared),
            (r"/sandbox/faults", control.Faults, shared),
            (r"/sandbox/reset", control.Reset, shared),
        ],
        log_function=lambda _: None,
    )


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
) -> None:
    """Serve until SIGINT or SIGTERM, in the main thread; otherwise as `serve`."""
    asyncio.run(_until_signalled(platform, faults or FaultBox(), host, port, on_ready))


async def _until_signalled(
    platform: Platform,
    faults: FaultBox,
    host: str,
    port: int,
    on_ready: Callable[[int], object] | None,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(platform, faults, host, port, on_ready=on_ready, stop=stop)
