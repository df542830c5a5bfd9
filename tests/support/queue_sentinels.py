"""A master with a replica, and the Sentinels that watch them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
from redis.sentinel import MasterNotFoundError, Sentinel

from support.processes import RedisServer, free_port, wait_for
from tokenworker.cli.up.embedded import server_binary

SERVICE = "shop.queue-1"


class Sentinels:
    """Two servers, and three Sentinels that take a master for dead after a second.

    `options` are words for all servers, `lines` stand in the file of each Sentinel; `login` and `hop` are redis-py's
    options for the servers and for the Sentinels.
    """

    def __init__(
        self,
        folder: Path,
        *,
        options: Sequence[str] = (),
        lines: Sequence[str] = (),
        login: dict[str, Any] | None = None,
        hop: dict[str, Any] | None = None,
        program: Path | None = None,
    ) -> None:
        self._folder, self._lines, self._program = folder, lines, program
        self._login, self._hop = login or {}, hop or {}
        self.servers = [self._server(name, options) for name in ("a", "b")]
        self.ports = [free_port() for _ in range(3)]
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def hosts(self) -> str:
        """The Sentinels, as a URL names them."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def start(self) -> None:
        for server in self.servers:
            server.start()
        a, b = self.servers
        with self._client(b.port, self._login) as client:
            client.replicaof("127.0.0.1", str(a.port))
            wait_for(lambda: client.info("replication")["master_link_status"] == "up")
        for port in self.ports:
            self.processes.append(self._sentinel(port, a.port))
        wait_for(self._agree, timeout=20)

    def master(self) -> RedisServer | None:
        """Return the server that is the master now, as the Sentinels say."""
        try:
            _, port = self._asked().discover_master(SERVICE)  # type: ignore[no-untyped-call]
        except MasterNotFoundError:
            return None
        return next(server for server in self.servers if server.port == port)

    def client(self) -> redis.Redis:
        """Return a client of the master, whichever that is."""
        client: redis.Redis = self._asked().master_for(SERVICE)  # type: ignore[no-untyped-call]
        return client

    def fail_over(self) -> None:
        """Have the other server be the master, as an operator does."""
        before = self.master()
        with self._client(self.ports[0], self._hop) as client:
            client.execute_command("SENTINEL", "FAILOVER", SERVICE)
        wait_for(lambda: self.master() not in {None, before}, timeout=20)

    def freeze(self) -> None:
        """Freeze the master, and the Sentinel that all ask first."""
        master = self.master()
        assert master
        self.processes[0].send_signal(signal.SIGSTOP)
        master.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        for server in self.servers:
            server.kill()

    def _server(self, name: str, options: Sequence[str]) -> RedisServer:
        folder = self._folder / name
        folder.mkdir()
        server = RedisServer(folder, self._program)
        server.options = tuple(word.replace("PORT", str(server.port)) for word in options)
        return server

    def _sentinel(self, port: int, master: int) -> subprocess.Popen[bytes]:
        file = self._folder / f"sentinel-{port}.conf"
        watched = (
            f"sentinel monitor {SERVICE} 127.0.0.1 {master} 2",
            f"sentinel down-after-milliseconds {SERVICE} 1000",
            f"sentinel failover-timeout {SERVICE} 5000",
        )
        own = (f"port {port}", "bind 127.0.0.1", f"dir {self._folder}", *watched)
        file.write_text("\n".join((*own, *(line.replace("PORT", str(port)) for line in self._lines), "")))
        command = [str(self._program or server_binary()), str(file), "--sentinel"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def _agree(self) -> bool:
        """Return whether each Sentinel knows the replica and the other two."""
        try:
            seen = [self._state(port) for port in self.ports]
        except redis.RedisError:
            return False
        return all(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2 for state in seen)

    def _state(self, port: int) -> dict[str, Any]:
        with self._client(port, self._hop) as client:
            # redis-py's own method is for its Sentinel alone, in 6.4.
            return dict(client.execute_command("SENTINEL MASTER", SERVICE))

    def _asked(self) -> Sentinel:
        hosts = [("127.0.0.1", port) for port in self.ports]
        return Sentinel(hosts, sentinel_kwargs={"socket_timeout": 1, **self._hop}, socket_timeout=2, **self._login)  # type: ignore[no-untyped-call]

    @staticmethod
    def _client(port: int, options: dict[str, Any]) -> redis.Redis:
        return redis.Redis(port=port, socket_timeout=2, **options)
