"""The ports of `tokenworker up`: those that were asked for, or else the next free ones."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass

DEFAULTS = {"redis": 6389, "flower": 5555, "sandbox": 8788, "web": 8790}
#: How many ports from the default on are tried.
_TRIED = 100


class PortTaken(Exception):  # noqa: N818  it states a fact
    """A service can't listen on the port that was asked for; its text says what to do."""


@dataclass(frozen=True)
class Ports:
    """Where on 127.0.0.1 the services listen; None leaves the choice to us."""

    redis: int | None = None
    flower: int | None = None
    sandbox: int | None = None
    web: int | None = None


def choose(asked: Ports, services: Iterable[str]) -> dict[str, int]:
    """Return a free port for each service, its usual one if nobody asked for another; raises `PortTaken`."""
    wanted = {service: port for service, port in asdict(asked).items() if port and service in services}
    _check_different(wanted)
    for service, port in wanted.items():
        _check(service, port)
    ports: dict[str, int] = {}
    for service in services:
        ports[service] = wanted.get(service) or _next_free(service, {*wanted.values(), *ports.values()})
    return ports


def moved(asked: Ports, ports: dict[str, int]) -> list[str]:
    """Return a sentence for each service that is not at its usual port."""
    return [
        f"port {DEFAULTS[service]} is taken by another program, so {service} is at port {port}"
        for service, port in ports.items()
        if asdict(asked)[service] is None and port != DEFAULTS[service]
    ]


def _check_different(wanted: dict[str, int]) -> None:
    for service, port in wanted.items():
        others = [other for other in wanted if other != service and wanted[other] == port]
        if others:
            options = " and ".join(f"--{name}-port" for name in (service, *others))
            raise PortTaken(f"{options} are the same, {port}: give each service a port of its own")


def _check(service: str, port: int) -> None:
    reason = _refusal(port)
    if reason == errno.EADDRINUSE:
        raise PortTaken(
            f"port {port} for {service} is taken: stop the other program, or choose another port with"
            f" --{service}-port, or leave that out and the next free one is taken"
        )
    if reason:
        raise PortTaken(f"port {port} for {service} can't be used: {os.strerror(reason)}: choose another one")


def _next_free(service: str, others: set[int]) -> int:
    first = DEFAULTS[service]
    for port in range(first, first + _TRIED):
        if port not in others and not _refusal(port):
            return port
    raise PortTaken(f"no port from {first} to {port} is free for {service}: choose one with --{service}-port")


def _refusal(port: int) -> int:
    """Return the number of the error with which this machine refuses us the port, or 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno or errno.EADDRNOTAVAIL
    return 0
