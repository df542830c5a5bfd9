"""A server that knows no more than an old one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.ports import is_open
from support.processes import RedisServer, free_port, wait_for

PROXY = Path(__file__).with_name("old_proxy.py")

#: What they don't know: Redis before 6.0, and proxies that speak RESP2 alone.
BEFORE_6_0 = ("HELLO", "CLIENT+SETINFO", "ZRANGE+BYSCORE")
RESP2_ONLY = ("HELLO", "CLIENT+SETINFO")


@contextmanager
def proxy(server: RedisServer, refused: tuple[str, ...]) -> Iterator[str]:
    """Serve what a server can, but for some commands; yields the URL."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(PROXY), str(port), str(server.port), *refused])
    url = f"redis://127.0.0.1:{port}/0"
    wait_for(lambda: is_open(port))
    yield url
    process.terminate()
    process.wait()


def replace_url(server: RedisServer, url: str) -> RedisServer:
    """Return a server by another way to it."""
    other = RedisServer(server.folder)
    other.url = url
    return other
