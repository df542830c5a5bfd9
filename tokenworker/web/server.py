"""The server: serves until it is told to stop, and lets those who asked have their answers."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tokenworker.errors import ConfigError, StoreUnavailable
from tokenworker.settings.config import Config
from tokenworker.web.app import make_app
from tokenworker.web.connections import allow_files, listen, serve_on
from tokenworker.web.held import Held
from tokenworker.web.neighbours import is_own

logger = logging.getLogger(__name__)

#: How many may wait for Redis at once, each for another credential: a missing one takes seconds.
_THREADS = 64
#: Seconds between two looks at the clients' file and at what is kept.
_LOOK = 1.0
#: Seconds for those who asked, when it is told to stop.
_FAREWELL = 10.0
_GLANCE = 0.02

_OPEN = (
    "tokenworker web would listen on {}, where others could take all credentials: set TOKENWORKER_WEB_CLIENTS to a file"
    " with the clients' keys, which `tokenworker web new-key` makes, or listen on 127.0.0.1"
)


def check_address(config: Config, address: str) -> None:
    """Raise `ConfigError` for an address that others can reach while there are no keys."""
    if config.web.clients is None and not is_own(address):
        raise ConfigError([_OPEN.format(address)])


async def serve(held: Held, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; who asked by then is answered still."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "tokenworker-web"))
    with suppress(StoreUnavailable):
        await held.kept.refresh()
    server = serve_on(listener, make_app(held))
    # Apart, for Redis may keep one waiting that does not answer.
    rounds = asyncio.gather(_rounds(stop, held, _follow_clients), _rounds(stop, held, _follow_redis))
    try:
        await stop.wait()
    finally:
        stop.set()
        server.stop()
        await _farewell(held)
        await server.close_all_connections()
        await rounds
        await held.aclose()


async def _farewell(held: Held) -> None:
    """Wait until all who asked have their answers, but not for ever."""
    end = time.monotonic() + _FAREWELL
    while held.load.underway and time.monotonic() < end:  # noqa: ASYNC110  once: no request need set an event
        await asyncio.sleep(_GLANCE)


async def _rounds(stop: asyncio.Event, held: Held, work: Callable[[Held], Awaitable[None]]) -> None:
    """Do it each second, and once more at the end."""
    while True:
        last = stop.is_set()
        try:
            await work(held)
        except Exception:
            logger.exception("a round of `tokenworker web` failed; the next comes in %g s", _LOOK)
        if last:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK)


async def _follow_clients(held: Held) -> None:
    held.clients.reload()


async def _follow_redis(held: Held) -> None:
    """Look at what is kept, and write what was counted."""
    with suppress(StoreUnavailable):
        await held.kept.refresh()
    await asyncio.to_thread(held.tally.write, held.store.usage)


def run(held: Held, address: str, port: int, on_ready: Callable[[int], object]) -> None:
    """Serve until a signal to end, in the main thread; `on_ready` gets the port. Raises OSError if it is taken."""
    allow_files()
    with listen(address, port) as listener:
        on_ready(listener.getsockname()[1])
        asyncio.run(_until_signalled(held, listener))


async def _until_signalled(held: Held, listener: socket.socket) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            continue  # by nohup, say
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(held, listener, stop)
