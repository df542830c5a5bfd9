"""Redis for the model: a master, what its replica has of it, and for a while a second master with those cut off."""

from __future__ import annotations

from typing import Any

import redis
from support.clock import ClockedServer

from tokenworker.store.connect import connect
from tokenworker.store.keys import Keys
from tokenworker.store.lineage import Lineage
from tokenworker.store.scripts import Scripts, text

#: By key: what DUMP says of it, and when it ends, in ms.
Copy = dict[Any, tuple[Any, int]]


def copy_of(client: redis.Redis) -> Copy:
    """Return all that a server holds."""
    keys: list[Any] = client.keys("*")
    return {key: (client.dump(key), max(0, int(client.pexpiretime(text(key))))) for key in keys}


def put(client: redis.Redis, copy: Copy) -> None:
    """Have a server hold that, and nothing else."""
    client.flushdb()
    for key, (value, end) in copy.items():
        client.restore(key, end, value, absttl=bool(end))


def _now(client: redis.Redis) -> float:
    seconds, microseconds = client.time()
    return float(seconds + microseconds / 1e6)


class Servers:
    """A master and a replica, of one lineage, which takes over when told to.

    The one that takes over is in the place of the master; the old one, with those who are cut off, is another database.
    """

    def __init__(self, server: ClockedServer, replicas: int) -> None:
        client, old = server.client(), connect(f"{server.url.removesuffix('/0')}/1")
        assert isinstance(old, redis.Redis)
        self.client, self.old = client, old
        self.client.flushall()
        #: How many must know of a lease before WeChat is called.
        self.replicas = replicas
        self.lineage = "0"
        #: What the replica has while nothing gets through to it, and since when.
        self._copy: Copy | None = None
        self._copied_at = 0.0

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self.old.close()

    def acknowledge(self, *, cut_off: bool) -> int:
        """Answer WAIT: how many replicas have all that was written."""
        return int(self._copy is None and not cut_off)

    def stall(self) -> bool:
        """Let nothing more get to the replica; returns False when nothing did."""
        if self._copy is not None:
            return False
        self._copy, self._copied_at = copy_of(self.client), _now(self.client)
        return True

    def flow(self) -> None:
        """Let the replica catch up."""
        self._copy = None

    def lag(self) -> float | None:
        """Return for how many seconds nothing got to the replica; None: it has everything."""
        return None if self._copy is None else _now(self.client) - self._copied_at

    def fail_over(self) -> None:
        """Have the replica take over, with what it has; the old master goes on with all that it has."""
        there = copy_of(self.client)
        put(self.old, there)
        if self._copy is not None:
            put(self.client, self._copy)
        self._copy = None
        self.lineage = str(int(self.lineage) + 1)


class KnownLineage(Lineage):
    """Asks the model, and not the one real server, which lineage it is of."""

    def __init__(self, scripts: Scripts, keys: Keys, servers: Servers) -> None:
        super().__init__(scripts, keys)
        self._servers = servers

    def now(self) -> str:
        return self._servers.lineage
