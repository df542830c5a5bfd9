"""A master and its replicas: servers of one set of data, with a failover by hand."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import redis

from support.certificates import Certificates, program_with_tls
from support.ports import is_open, reserve_port
from support.processes import RedisServer, wait_for
from support.vip import Vip
from tokenworker.cli.up.embedded import server_command

#: A replica gets the data at once: by default a master waits five seconds for more replicas to come.
REPLICATION = {
    "repl-diskless-sync-delay": "0",
    "repl-ping-replica-period": "1",
    "replica-serve-stale-data": "yes",
}


class Node(RedisServer):
    """One server of several: it keeps what it was told in a file, as those that change roles have to.

    With certificates it speaks TLS alone, and wants one of whoever comes.
    """

    def __init__(
        self,
        folder: Path,
        options: dict[str, str] | None = None,
        password: str = "",
        certificates: Certificates | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        super().__init__(folder, program_with_tls() if certificates else None)
        self.port = reserve_port()
        self.password = password
        self.certificates = certificates
        login = f":{quote(password, safe='')}@" if password else ""
        self.url = f"{'rediss' if certificates else 'redis'}://{login}127.0.0.1:{self.port}/0"
        self._conf = folder / "redis.conf"
        secret = {"requirepass": password, "masterauth": password} if password else {}
        self._write(REPLICATION | (options or {}) | secret | self._tls())

    def start(self) -> None:
        """Start it, or start it again with the role and the data that it had, and wait until it answers."""
        self._launch()

    def _launch(self, *words: str) -> None:
        program = str(self.program or server_command(self.port, self.folder)[0])
        with (self.folder / "log").open("ab") as log:
            command = [program, str(self._conf), *words]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environ)
        wait_for(self._answers)

    def admin(self) -> redis.Redis:
        """Return a client of this very server, whatever its role."""
        tls = {"ssl": True, **self.certificates.options(client=True)} if self.certificates else {}
        return admin(self.port, self.password, **tls)

    def role(self) -> str:
        """Return what it takes itself for: master or slave."""
        return str(self.info()["role"])

    def info(self) -> dict[str, Any]:
        """Return what it says about its replication."""
        with self.admin() as client:
            return dict(client.info("replication"))

    def acknowledged(self, seconds: float = 2, replicas: int = 1) -> int:
        """Wait until so many replicas have all that was written; returns how many have it."""
        with self.admin() as client:
            # Only on a connection that has written does WAIT wait.
            client.set("tokenworker:tests:written", "1")
            return int(client.execute_command("WAIT", replicas, round(seconds * 1000)))

    def follow(self, port: int) -> None:
        """Make it a replica of the server at a port."""
        with self.admin() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", port)
            client.config_rewrite()

    def lead(self) -> None:
        """Make it a master."""
        with self.admin() as client:
            client.execute_command("REPLICAOF", "NO", "ONE")
            client.config_rewrite()

    def is_in_step(self) -> bool:
        """Say whether it is a replica that has what its master has."""
        info = self.info()
        return info["role"] == "slave" and info["master_link_status"] == "up" and not info["master_sync_in_progress"]

    def _tls(self) -> dict[str, str]:
        return self.certificates.settings_alone(self.port, clients=True) if self.certificates else {}

    def _write(self, options: dict[str, str]) -> None:
        given = [word.removeprefix("--") for word in server_command(self.port, self.folder)[1:]]
        ours = dict(zip(given[::2], given[1::2], strict=True)) | options
        lines = (f'{name} "{value}"\n' for name, value in ours.items())
        self._conf.write_text("".join(lines), encoding="utf-8")

    def _answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")[-2000:]
        return is_open(self.port)


def admin(port: int, password: str = "", **tls: Any) -> redis.Redis:
    """Return a client of the server at a port, for the test's own questions and orders."""
    return redis.Redis(port=port, password=password or None, socket_timeout=2, protocol=2, **tls)


class Replicated:
    """A master and its replicas, each behind a link of its own that can be stalled or cut."""

    def __init__(self, folder: Path, replicas: int = 1, password: str = "", **options: str) -> None:
        given = {name.replace("_", "-"): value for name, value in options.items()}
        self.nodes = [Node(folder / f"node{number}", given, password) for number in range(1 + replicas)]
        self.master = self.nodes[0]
        #: By the replica: the way from it to its master.
        self.links: dict[Node, Vip] = {}
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            for node in self.nodes:
                exits.callback(node.kill)
                node.start()
            for replica in self.nodes[1:]:
                self._attach(replica, exits.enter_context(Vip(self.master)))
            wait_for(self.is_in_step)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @property
    def replicas(self) -> list[Node]:
        return [node for node in self.nodes if node is not self.master]

    def is_in_step(self) -> bool:
        """Say whether each replica has what the master has."""
        return all(replica.is_in_step() for replica in self.replicas)

    def stall(self) -> None:
        """Let nothing more get from the master to the replicas, nor back."""
        for link in self.links.values():
            link.stall()

    def flow(self) -> None:
        for link in self.links.values():
            link.flow()

    def promote(self, replica: Node) -> Node:
        """Make a replica the master, as it is now; returns the old one, which takes writes until it is demoted.

        Other replicas follow the new one.
        """
        replica.lead()
        old, self.master = self.master, replica
        others = [node for node in self.replicas if node is not old]
        for node in others:
            self.demote(node)
        wait_for(lambda: all(node.is_in_step() for node in others))
        return old

    def demote(self, node: Node) -> None:
        """Make a server a replica of the present master: it loses what only it has."""
        link = self._exits.enter_context(Vip(self.master))
        self._attach(node, link)

    def failover(self) -> Node:
        """Promote the first replica, which has all that was written, and demote the master; returns that one."""
        self.master.acknowledged(seconds=10)
        old = self.promote(self.replicas[0])
        self.demote(old)
        return old

    def _attach(self, replica: Node, link: Vip) -> None:
        self.links[replica] = link
        replica.follow(link.port)
