"""Sentinels over a master and two replicas: what replaces a master that is gone, as in production but sooner."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from urllib.parse import quote

import redis

from support.certificates import Certificates
from support.processes import wait_for
from support.replicated import Node

#: With what a name may have in it.
SERVICE = "shop.redis-1"

#: How often Sentinels look, in ms: a tenth of what they are made with, so that a failover takes a tenth, too.
#: Tilt: on a busy machine they stop for 30 s when they find that they were held up for two.
_PERIODS = {"info-period": 500, "ask-period": 200, "ping-period": 200, "tilt-period": 1000}


#: In ms. When each of them votes for itself they try again after twice this and up to a second.
_FAILOVER_TIMEOUT = 2000


class SentinelNode(Node):
    """One Sentinel."""

    def __init__(self, folder: Path, master: Node, *, down_after: float, publish_period: float, password: str) -> None:
        self._master = master
        self._periods = _PERIODS | {"publish-period": round(publish_period * 1000)}
        self._down_after = down_after
        super().__init__(folder, password=password, certificates=master.certificates)

    def start(self) -> None:
        self._launch("--sentinel")
        with self.admin() as client:
            for name, value in self._periods.items():
                client.execute_command("SENTINEL", "DEBUG", name, value)

    def knows(self, *, replicas: int, sentinels: int) -> bool:
        """Say whether it has found so many replicas and other Sentinels, and all of them well."""
        with self.admin() as client:
            masters = client.sentinel_masters()
            found = masters[SERVICE]
            slaves = client.sentinel_slaves(SERVICE)
        well = [slave for slave in slaves if not slave["is_disconnected"] and slave["master-link-status"] == "ok"]
        return len(well) == replicas and found["num-other-sentinels"] == sentinels

    def master_port(self) -> int:
        """Return the port of the server that it takes for the master."""
        with self.admin() as client:
            return int(client.sentinel_get_master_addr_by_name(SERVICE)[1])

    def _write(self, options: dict[str, str]) -> None:
        given = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder), **self._tls()}
        lines = [
            *(f'{name} "{value}"\n' for name, value in given.items()),
            f"sentinel monitor {SERVICE} 127.0.0.1 {self._master.port} 2\n",
            f"sentinel down-after-milliseconds {SERVICE} {self._down_after * 1000:.0f}\n",
            f"sentinel failover-timeout {SERVICE} {_FAILOVER_TIMEOUT}\nsentinel parallel-syncs {SERVICE} 2\n",
        ]
        if self._master.password:
            lines.append(f'sentinel auth-pass {SERVICE} "{self._master.password}"\n')
        if self.password:
            lines.append(f'requirepass "{self.password}"\nsentinel sentinel-pass "{self.password}"\n')
        self._conf.write_text("".join(lines), encoding="utf-8")


class SentinelSet:
    """A master, two replicas and three Sentinels.

    After four of its `publish_period`s a Sentinel demotes a master in whose place it has put another; they are 2 s in
    production, so that after a failover that was ordered the old one takes writes for some 10 s, from whoever is
    connected.
    """

    def __init__(
        self,
        folder: Path,
        *,
        down_after: float = 1.0,
        publish_period: float = 0.2,
        password: str = "",
        sentinel_password: str = "",
        min_replicas: int = 0,
        certificates: Certificates | None = None,
    ) -> None:
        options = {"min-replicas-to-write": str(min_replicas), "min-replicas-max-lag": "2"} if min_replicas else {}
        self.nodes = [Node(folder / f"node{number}", options, password, certificates) for number in range(3)]
        self.sentinels = [
            SentinelNode(
                folder / f"sentinel{number}",
                self.nodes[0],
                down_after=down_after,
                publish_period=publish_period,
                password=sentinel_password,
            )
            for number in range(3)
        ]
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            for node in (*self.nodes, *self.sentinels):
                exits.callback(node.kill)
            for node in self.nodes:
                node.start()
            for replica in self.nodes[1:]:
                replica.follow(self.nodes[0].port)
            wait_for(lambda: all(replica.is_in_step() for replica in self.nodes[1:]))
            for sentinel in self.sentinels:
                sentinel.start()
            self.wait_until_whole()
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @property
    def hosts(self) -> str:
        """The Sentinels, as a URL names them."""
        return ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)

    @property
    def url(self) -> str:
        """The URL that the product takes for it."""
        login = f":{quote(self.nodes[0].password, safe='')}@" if self.nodes[0].password else ""
        theirs, certificates = self.sentinels[0].password, self.nodes[0].certificates
        given = [f"sentinel_password={quote(theirs, safe='')}"] if theirs else []
        given += [certificates.query(client=True)] if certificates else []
        scheme, query = "sentinels" if certificates else "sentinel", "?" + "&".join(given) if given else ""
        return f"{scheme}://{login}{self.hosts}/{SERVICE}{query}"

    def master(self) -> Node:
        """Return the server that most Sentinels take for the master."""
        ports = [sentinel.master_port() for sentinel in self.sentinels if sentinel.process]
        port = max(set(ports), key=ports.count)
        return next(node for node in self.nodes if node.port == port)

    def client(self) -> redis.Redis:
        """Return a client of the present master, for the test's own questions."""
        return self.master().admin()

    def kill_master(self) -> Node:
        """Kill the master; returns it, to start it again."""
        master = self.master()
        master.kill()
        return master

    def freeze_master(self) -> Node:
        """Stop the master without closing its connections; returns it, to wake it."""
        master = self.master()
        self.freeze(master)
        return master

    def freeze(self, node: Node) -> None:
        """Stop a server or a Sentinel without closing its connections."""
        node.send_signal(signal.SIGSTOP)

    def wake(self, node: Node) -> None:
        """Let a frozen one go on where it stopped."""
        node.send_signal(signal.SIGCONT)

    def failover(self) -> Node:
        """Have the Sentinels put a replica in the master's place, and wait until they have; returns the old one."""
        old = self.master()
        wait_for(self._ordered, timeout=20, pause=0.2)
        self.wait_for_another(old)
        return old

    def wait_for_another(self, old: Node, timeout: float = 20) -> Node:
        """Wait until a majority names another master, and that one takes writes; returns it."""

        def replaced() -> Node | None:
            master = self.master()
            return master if master is not old and master.role() == "master" else None

        return wait_for(replaced, timeout=timeout)

    def wait_until_whole(self, timeout: float = 20) -> None:
        """Wait until each Sentinel finds two replicas that are in step, and the two others."""
        wait_for(lambda: all(each.knows(replicas=2, sentinels=2) for each in self.sentinels), timeout=timeout)

    def _ordered(self) -> bool:
        with self.sentinels[0].admin() as client:
            try:
                client.execute_command("SENTINEL", "FAILOVER", SERVICE)
            except redis.ResponseError as error:
                # Just after the last failover it is not ready for another.
                if not str(error).startswith(("NOGOODSLAVE", "INPROG")):
                    raise
                return False
        return True


def downtime(sentinels: SentinelSet) -> float:
    """Kill the master and return after how many seconds another takes writes."""
    killed_at = time.monotonic()
    old = sentinels.kill_master()
    new = sentinels.wait_for_another(old)
    with new.admin() as client:
        client.set("tokenworker:tests", "1")
    return time.monotonic() - killed_at
