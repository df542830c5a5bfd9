"""Ports that stay a test's own: a server that is killed and started again finds its port as it left it."""

from __future__ import annotations

import secrets
import socket
from collections import deque

#: Below those that Linux gives to whoever connects, so that no client sits on one of them by chance.
_FIRST, _LAST = 20_000, 32_000

#: Held until this process ends: nobody who reserves gets the same port, in whatever process.
_held: list[socket.socket] = []
_lent: deque[socket.socket] = deque(maxlen=200)


def reserve_port() -> int:
    """Return a port on which nobody listens, and which nobody else gets from here while this process lives."""
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        if _hold(port) and _is_free(port):
            return port


def lend_port() -> int:
    """Return a port as `reserve_port` does, that is kept for as long as no two hundred others were lent."""
    port = reserve_port()
    if len(_lent) == _lent.maxlen:
        _lent[0].close()
    _lent.append(_held.pop())
    return port


def _hold(port: int) -> bool:
    """Take a name that the kernel gives to one process alone, and takes back when that ends, however it ends."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        holder.bind(f"\0tokenworker-tests-{port}")
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
