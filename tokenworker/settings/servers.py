"""Where Redis is, as REDIS_URL says it: one server, the Sentinels that know the master, or some nodes of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

Topology = Literal["server", "sentinel", "cluster"]

#: By the scheme of a URL: the topology, the scheme of one server of it, and the port where none is named.
_SCHEMES: dict[str, tuple[Topology, str, int]] = {
    "sentinel": ("sentinel", "redis", 26379),
    "sentinels": ("sentinel", "rediss", 26379),
    "cluster": ("cluster", "redis", 6379),
    "clusters": ("cluster", "rediss", 6379),
}

#: Options that log in at the Sentinels, which have users of their own, with redis-py's names for them.
SENTINEL_LOGIN = {"sentinel_username": "username", "sentinel_password": "password"}


@dataclass(frozen=True)
class Servers:
    """The servers that a URL names; `urls` has one for each, with login, database and options, as redis-py takes it."""

    topology: Topology
    urls: tuple[str, ...] = field(repr=False)
    #: What the Sentinels call the master and its replicas.
    service: str = ""
    #: User and password for the Sentinels themselves, by redis-py's names.
    sentinel_login: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, url: str) -> Servers:
        """Return what a URL names; it must be sound."""
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES:
            return cls("server", (url,))
        topology = _SCHEMES[parts.scheme][0]
        given = parse_qsl(parts.query)
        login = {SENTINEL_LOGIN[name]: value for name, value in given if name in SENTINEL_LOGIN}
        service = parts.path.split("/")[1] if topology == "sentinel" else ""
        return cls(topology, tuple(_singles(url)), service, login)


def _singles(url: str) -> Iterator[str]:
    """Yield a URL for each server: the same login, database and options for all."""
    parts = urlsplit(url)
    topology, scheme, port = _SCHEMES[parts.scheme]
    login, at, hosts = parts.netloc.rpartition("@")
    database = "".join(parts.path.split("/")[2:]) if topology == "sentinel" else parts.path.strip("/")
    kept = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name not in SENTINEL_LOGIN], safe="/")
    for host in hosts.split(","):
        named = host if host.rpartition(":")[2].isdigit() else f"{host}:{port}"
        yield f"{scheme}://{login}{at}{named}/{database}" + (f"?{kept}" if kept else "")
