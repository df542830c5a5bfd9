"""A Redis Cluster: which node has a key, and one round trip with each that is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import redis
from redis.cluster import ClusterNode, NodesManager
from redis.crc import key_slot
from redis.exceptions import AskError, RedisClusterException

from tokenworker.store.connection import deadline, hurry
from tokenworker.store.exchange import Exchange, Patience, Words, over

#: Makes a client of one node.
Connect = Callable[[str, int], redis.Redis]

#: Where what has no key is asked: the clock, for one, must always be that of the same node.
_HOME = 0

#: The commands among ours that name no key.
_KEYLESS = frozenset(("TIME", "WAIT", "INFO", "PING", "CLUSTER INFO", "CONFIG GET"))


class _Nodes(NodesManager):
    """Who has which slot, by redis-py; with connections of our own kind."""

    def __init__(self, nodes: Sequence[tuple[str, int]], connect: Connect) -> None:
        self._make = connect
        with hurry():
            super().__init__([ClusterNode(*node) for node in nodes])  # type: ignore[no-untyped-call]

    def create_redis_node(self, host: str, port: int, **_: Any) -> redis.Redis:
        return self._make(host, port)


class Cluster:
    """The nodes of a cluster, which are found at the first question; safe to share between threads."""

    def __init__(self, nodes: Sequence[tuple[str, int]], connect: Connect) -> None:
        self._named = nodes
        self._connect = connect
        self._lock = threading.Lock()
        self._found: _Nodes | None = None
        #: How redis-py makes Python's values of answers, by command.
        self.parsers: Mapping[str, Callable[[Any], Any]] = connect(*nodes[0]).response_callbacks

    def pool(self, slot: int) -> redis.ConnectionPool:
        """Return the connections to the node that has a slot; raises `redis.ConnectionError`."""
        try:
            return _pool(self._nodes().get_node_from_slot(slot))
        except RedisClusterException as error:
            raise redis.ConnectionError(str(error)) from None

    def masters(self) -> list[redis.ConnectionPool]:
        """Return the connections to each node that takes writes; raises `redis.ConnectionError`."""
        try:
            return [_pool(node) for node in self._nodes().get_nodes_by_server_type("primary")]
        except RedisClusterException as error:
            raise redis.ConnectionError(str(error)) from None

    def node(self, host: str, port: int) -> redis.ConnectionPool:
        """Return the connections to a node by its address."""
        known = self._nodes().get_node(host, port)
        return _pool(known) if known else self._connect(host, port).connection_pool

    def refresh(self) -> None:
        """Ask anew who has which slot; raises `redis.ConnectionError`."""
        try:
            with hurry():
                self._nodes().initialize()
        except RedisClusterException as error:
            raise redis.ConnectionError(str(error)) from None

    def close(self) -> None:
        """Close the connections."""
        if self._found:
            self._found.close()

    def _nodes(self) -> _Nodes:
        with self._lock:
            if self._found is None:
                self._found = _Nodes(self._named, self._connect)
            return self._found


def _pool(node: Any) -> redis.ConnectionPool:
    pool: redis.ConnectionPool = node.redis_connection.connection_pool
    return pool


class ClusterExchange(Exchange):
    """Asks each node for what it has; what is asked of one node goes there in one round trip, in its order."""

    def __init__(self, cluster: Cluster, patience: Patience) -> None:
        self._cluster = cluster
        self._patience = patience

    @property
    def parsers(self) -> Mapping[str, Callable[[Any], Any]]:
        """How redis-py makes Python's values of answers, by command."""
        return self._cluster.parsers

    def _once(self, commands: Sequence[Words], end: float) -> list[Any]:
        with deadline(min(end, time.monotonic() + self._patience.one)):
            answers: list[Any] = [None] * len(commands)
            for pool, places in self._routes(commands):
                found = over(pool, [commands[place] for place in places])
                for place, answer in zip(places, found, strict=True):
                    answers[place] = self._follow(commands[place], answer)
            return answers

    def ask_everywhere(self, command: Words) -> list[Any]:
        """Return the answer of each node that takes writes, as `ask`."""
        with deadline(time.monotonic() + self._patience.one):
            return [answer for pool in self._cluster.masters() for answer in over(pool, [command])]

    def _routes(self, commands: Sequence[Words]) -> Iterable[tuple[redis.ConnectionPool, list[int]]]:
        """Return the nodes to ask, by their connections, and which of the commands each gets."""
        pools: dict[int, redis.ConnectionPool] = {}
        places: dict[int, list[int]] = {}
        for place, slot in enumerate(_slots(commands)):
            pool = self._cluster.pool(slot)
            pools[id(pool)] = pool
            places.setdefault(id(pool), []).append(place)
        return [(pools[key], places[key]) for key in pools]

    def _follow(self, command: Words, answer: Any) -> Any:
        """Return the answer of the node that is taking over a slot, if this is a hint to ask there, just once."""
        if not isinstance(answer, AskError):
            return answer
        return over(self._cluster.node(answer.host, answer.port), [("ASKING",), command])[1]

    def forget(self) -> None:
        """Find out anew who has which slot."""
        with suppress(redis.ConnectionError):  # it is said once more at the next try
            self._cluster.refresh()

    def close(self) -> None:
        """Close the connections."""
        self._cluster.close()


def _slots(commands: Sequence[Words]) -> Iterator[int]:
    """Yield the slot of each command's first key; one without keys goes where the one before it went."""
    slot = _HOME
    for words in commands:
        key = _key(words)
        slot = slot if key is None else key_slot(key.encode())
        yield slot


def _key(words: Words) -> str | None:
    if words[0] in _KEYLESS:
        return None
    if words[0] in ("EVAL", "EVALSHA"):
        return str(words[3]) if words[2] else None
    return str(words[1])
