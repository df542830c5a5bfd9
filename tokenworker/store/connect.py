"""How clients connect to Redis, in redis-py's options: to one server, to a Sentinels' master, or to a cluster."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, Connection, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection

from tokenworker.errors import ConfigError
from tokenworker.settings.servers import Servers, Topology
from tokenworker.settings.urls import check_redis
from tokenworker.store.cluster import Cluster, ClusterExchange
from tokenworker.store.connection import MAX_IDLE, Hurried, Punctual, Watchful
from tokenworker.store.exchange import Exchange, Patience

Client = redis.Redis | Cluster

#: No CLIENT SETINFO: two round trips, and older servers and proxies refuse it. redis-py has two ways to say so.
_NEWER = "driver_info" in signature(AbstractConnection).parameters
_NAMELESS = {"driver_info": None} if _NEWER else {"lib_name": None, "lib_version": None}


def connect(url: str, *, timeout: float = 2.0) -> Client:
    """Return a client that gives up in time: redis-py's own defaults hold a call for up to a minute.

    It does not try again by itself: redis-py would, at the same server, though the master may be another by now
    (redis-py #3874). Raises `ConfigError` for a URL that can't be used; opens no connection yet.
    """
    servers = Servers.of(_checked(url))
    ways: dict[Topology, Callable[[Servers, float], Client]]
    ways = {"server": _one_server, "sentinel": _master, "cluster": _cluster}
    return ways[servers.topology](servers, timeout)


def exchange(client: Client, patience: Patience) -> Exchange:
    """Return the way to exchange with what a client leads to."""
    return ClusterExchange(client, patience) if isinstance(client, Cluster) else Exchange(client, patience)


def sentinels(url: str, *, timeout: float = 2.0) -> list[tuple[str, redis.Redis]]:
    """Return the address and a client of each Sentinel that a URL names; raises `ConfigError`."""
    servers = Servers.of(_checked(url))
    given = [_at_sentinel(each, servers, timeout) for each in servers.urls]
    return [(f"{each['host']}:{each['port']}", _client(each, Punctual)) for each in given]


def options(url: str, *, timeout: float) -> dict[str, Any]:
    """Return redis-py's options for the first server of a URL, ours besides those that stand in it.

    RESP2 unless the URL says `protocol=3`: every server and proxy speaks it. Raises `ConfigError`.
    """
    return _options(Servers.of(_checked(url)).urls[0], timeout)


def _checked(url: str) -> str:
    faults: list[str] = []
    sound = check_redis(url, faults)
    if faults:
        raise ConfigError(faults)
    return sound


def _options(url: str, timeout: float) -> dict[str, Any]:
    ours: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        "health_check_interval": MAX_IDLE,
        "retry": Retry(NoBackoff(), 0),
        **_NAMELESS,
    }
    given: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    if "path" in given:
        # redis-py refuses it for a socket file, where there is nothing to keep alive.
        del ours["socket_keepalive"]
    # redis-py before 8 leaves it a text.
    return ours | given | {"protocol": int(given.get("protocol", ours["protocol"]))}


def _one_server(servers: Servers, timeout: float) -> redis.Redis:
    return _client(_options(servers.urls[0], timeout), Watchful)


def _client(given: dict[str, Any], manner: Any) -> redis.Redis:
    kind = _of_manner(manner, given.get("connection_class", Connection))
    return redis.Redis.from_pool(redis.ConnectionPool(**given | {"connection_class": kind}))


def _of_manner(manner: Any, kind: type[AbstractConnection]) -> type[AbstractConnection]:
    return type(manner.__name__, (manner, kind), {})


def _master(servers: Servers, timeout: float) -> redis.Redis:
    """Return a client of the master that the Sentinels name each time when a connection is made."""
    given = _options(servers.urls[0], timeout)
    sentinel: Any = Sentinel([])  # type: ignore[no-untyped-call]
    sentinel.sentinels = [_client(_at_sentinel(url, servers, timeout), Hurried) for url in servers.urls]
    with_tls = given.pop("connection_class", Connection) is not Connection
    kind = _of_manner(Punctual, SentinelManagedSSLConnection if with_tls else SentinelManagedConnection)
    there = {name: value for name, value in given.items() if name not in ("host", "port")}
    pool = SentinelConnectionPool(servers.service, sentinel, connection_class=kind, **there)  # type: ignore[no-untyped-call]
    return redis.Redis.from_pool(pool)


def _at_sentinel(url: str, servers: Servers, timeout: float) -> dict[str, Any]:
    """Return the options for a Sentinel, which has users of its own and no databases."""
    given = _options(url, timeout)
    theirs = {name: value for name, value in given.items() if name not in ("username", "password", "db")}
    return theirs | servers.sentinel_login


def _cluster(servers: Servers, timeout: float) -> Cluster:
    given = [_options(url, timeout) for url in servers.urls]
    first = given[0]
    return Cluster(
        [(each["host"], each["port"]) for each in given],
        lambda host, port: _client(first | {"host": host, "port": port}, Punctual),
    )
