"""Ports that stay a test's own: a server that is killed and started again finds its port as it left it."""

from __future__ import annotations

import secrets
import socket
from itertools import cycle

#: Below those that Linux gives to whoever connects, so that no client sits on one of them by chance.
_RESERVED = range(20_000, 26_000)
_LENT = range(26_000, 32_000)

#: A process lends from a block of its own, so that what is lent costs no file: some tests count those.
_BLOCK = 200

#: Held until this process ends: nobody who reserves gets the same port, in whatever process.
_held: list[socket.socket] = []


def reserve_port() -> int:
    """Return a port on which nobody listens, and which nobody else gets from here while this process lives."""
    while True:
        port = secrets.choice(_RESERVED)
        if _hold(f"port-{port}") and _is_free(port):
            return port


def lend_port() -> int:
    """Return a port as `reserve_port` does, but one that is lent again after two hundred others."""
    return next(port for port in _turns if _is_free(port))


def _own_block() -> range:
    starts = _LENT[::_BLOCK]
    start = next(start for start in starts if _hold(f"block-{start}"))
    return range(start, start + _BLOCK)


def _hold(what: str) -> bool:
    """Take a name that the kernel gives to one process alone, and takes back when that ends, however it ends."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        holder.bind(f"\0tokenworker-tests-{what}")
    except OSError:
        holder.close()
        return False
    _held.append(holder)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """Return whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


#: Taken here, and not at the first call: a test may be counting files by then.
_turns = cycle(_own_block())
