"""Hosts on one machine: network namespaces on a bridge of their own, each of which can be cut off."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Self

from support.processes import RedisServer, wait_for
from support.vip import Server, Vip
from tokenworker.cli.up.embedded import server_command

_NETWORK_NAMESPACE = 0x4000_0000
_numbers = count(1)


class NoNamespaces(Exception):  # noqa: N818  it states a fact
    """Network namespaces can't be made here."""


def _ip(*words: str) -> None:
    if not (program := shutil.which("ip")):
        raise NoNamespaces("there is no program ip")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoNamespaces(f"ip {' '.join(words)}: {done.stderr.strip()}")


@dataclass(frozen=True)
class Host:
    """A network namespace with an address, and the port of the bridge that leads to it."""

    name: str
    hub: str
    address: str
    port: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command is to be run by to run there."""
        return (shutil.which("ip") or "ip", "netns", "exec", self.name)

    def cut_off(self) -> None:
        """Let nothing more through to it, nor from it; no connection learns of that."""
        _ip("-n", self.hub, "link", "set", self.port, "down")

    def heal(self) -> None:
        _ip("-n", self.hub, "link", "set", self.port, "up")


class Network:
    """A bridge in a namespace of its own, and hosts on it: nothing of it is to be seen from this machine."""

    def __init__(self) -> None:
        self.hub = f"tw{os.getpid()}-{next(_numbers)}"
        self.address = "10.77.0.1"
        self._hosts = 0
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            self._add(exits, self.hub)
            _ip("-n", self.hub, "link", "add", "bridge", "type", "bridge")
            _ip("-n", self.hub, "address", "add", f"{self.address}/24", "dev", "bridge")
            _ip("-n", self.hub, "link", "set", "bridge", "up")
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def host(self) -> Host:
        """Add a host."""
        self._hosts += 1
        number = self._hosts
        host = Host(f"{self.hub}-{number}", self.hub, f"10.77.0.{number + 1}", f"port{number}")
        self._add(self._exits, host.name)
        _ip("link", "add", "eth0", "netns", host.name, "type", "veth", "peer", "name", host.port, "netns", self.hub)
        _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
        _ip("-n", host.name, "link", "set", "eth0", "up")
        _ip("-n", self.hub, "link", "set", host.port, "master", "bridge", "up")
        return host

    def _add(self, exits: ExitStack, name: str) -> None:
        _ip("netns", "add", name)
        exits.callback(_ip, "netns", "delete", name)
        _ip("-n", name, "link", "set", "lo", "up")


class HubServer(RedisServer):
    """A Redis server on the bridge; from outside it is reached by its socket file alone."""

    def __init__(self, folder: Path, network: Network) -> None:
        super().__init__(folder)
        self._network = network
        self._file = folder / "redis.sock"
        self.url = f"unix://{self._file}?db=0"
        #: Where the hosts find it.
        self.hosts_url = f"redis://{network.address}:{self.port}/0"

    def start(self) -> None:
        program, *options = server_command(self.port, self.folder)
        given = ("--unixsocket", str(self._file), "--bind", self._network.address, "--protected-mode", "no")
        prefix = (shutil.which("ip") or "ip", "netns", "exec", self._network.hub)
        self.process = subprocess.Popen([*prefix, program, *options, *given], stdout=subprocess.DEVNULL)
        wait_for(self._file.exists)


class Outlet(Vip):
    """A host's way to a server outside of its network, at 127.0.0.1 there."""

    def __init__(self, host: Host, server: Server) -> None:
        super().__init__(server)
        self._host = host

    def _listen(self) -> socket.socket:
        made: list[socket.socket] = []
        # A socket stays in the namespace in which it was made, and a namespace is left with its thread.
        thread = threading.Thread(target=lambda: made.append(self._listen_there()))
        thread.start()
        thread.join()
        return made[0]

    def _listen_there(self) -> socket.socket:
        with Path(f"/run/netns/{self._host.name}").open("rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _NETWORK_NAMESPACE):
                raise OSError(ctypes.get_errno(), "setns")
        return super()._listen()
