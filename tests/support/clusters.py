"""A cluster of three masters with a replica each, and one of a single node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import combinations
from pathlib import Path
from typing import Self

import redis

from support.ports import reserve_port
from support.processes import RedisServer, free_port, wait_for
from support.replicated import Node

_SLOTS = ((0, 5460), (5461, 10922), (10923, 16383))


class ClusterNode(Node):
    """One node of a cluster."""

    def __init__(self, folder: Path, timeout: float, password: str = "", tls: dict[str, str] | None = None) -> None:
        self.bus_port = reserve_port()
        self.tls_port = reserve_port() if tls else 0
        options = {
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-port": str(self.bus_port),
            "cluster-node-timeout": f"{timeout * 1000:.0f}",
        }
        # By TLS the nodes talk to each other, and whoever comes to that port; the tests' own questions come in clear.
        speaking = (
            {"tls-port": str(self.tls_port), "tls-cluster": "yes", "tls-replication": "yes", **tls} if tls else {}
        )
        super().__init__(folder, options | speaking, password)

    def id(self) -> str:
        """Return what the cluster calls it."""
        with self.admin() as client:
            return _text(client.execute_command("CLUSTER", "MYID"))

    def finds_all_well(self, masters: int, nodes: int) -> bool:
        """Say whether it finds each slot served, by so many masters of so many nodes."""
        with self.admin() as client:
            info = _text(client.execute_command("CLUSTER", "INFO"))
            lines = _text(client.execute_command("CLUSTER", "NODES")).splitlines()
        well = [line for line in lines if " connected" in line and "fail" not in line and "handshake" not in line]
        return "cluster_state:ok\r\n" in info and f"cluster_size:{masters}\r\n" in info and len(well) == nodes


class ClusterSet:
    """Three masters, each with a replica."""

    def __init__(
        self,
        folder: Path,
        *,
        node_timeout: float = 1.0,
        password: str = "",
        tls: dict[str, str] | None = None,
        program: Path | None = None,
    ) -> None:
        self.nodes = [ClusterNode(folder / f"node{number}", node_timeout, password, tls) for number in range(6)]
        for node in self.nodes:
            node.program = program
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            for node in self.nodes:
                exits.callback(node.kill)
                node.start()
            self._form()
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @property
    def url(self) -> str:
        """The URL that the product takes for it."""
        login = self.nodes[0].url.rpartition("@")[0].removeprefix("redis://")
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:3])
        return f"cluster://{login}@{hosts}" if login else f"cluster://{hosts}"

    @property
    def tls_url(self) -> str:
        """The URL for who comes by TLS."""
        return "clusters://" + ",".join(f"127.0.0.1:{node.tls_port}" for node in self.nodes[:3])

    def masters(self) -> list[ClusterNode]:
        """Return the masters that run, in the order of the nodes."""
        return [node for node in self.nodes if node.process and node.role() == "master"]

    def client(self) -> redis.RedisCluster:
        """Return redis-py's own client, for the test's own questions."""
        node = next(node for node in self.nodes if node.process)
        return redis.RedisCluster(host="127.0.0.1", port=node.port, password=node.password or None)

    def kill_master(self, number: int) -> ClusterNode:
        """Kill one of the masters; returns it, to start it again."""
        master = self.masters()[number]
        master.kill()
        return master

    def owner_of(self, key: str) -> ClusterNode:
        """Return the node that serves a key."""
        with self.client() as client:
            port = client.get_node_from_key(key).port
        return next(node for node in self.nodes if node.port == port)

    def wait_until_whole(self, timeout: float = 20) -> None:
        """Wait until all nodes run and agree that all slots are served, each by a master with a replica."""
        wait_for(self._is_whole, timeout=timeout)

    def _is_whole(self) -> bool:
        if not all(node.finds_all_well(3, 6) for node in self.nodes):
            return False
        replicas = [node for node in self.nodes if node.role() == "slave"]
        return len(replicas) == 3 and all(node.is_in_step() for node in replicas)

    def wait_for_another(self, dead: ClusterNode, timeout: float = 20) -> None:
        """Wait until the nodes that are left serve all slots without one that was killed."""
        left = [node for node in self.nodes if node is not dead and node.process]
        wait_for(lambda: len(self.masters()) == 3 and all(node.finds_all_well(3, len(left)) for node in left), timeout)

    def _form(self) -> None:
        for node, slots in zip(self.nodes, _SLOTS, strict=False):
            with node.admin() as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", *slots)
        for number, node in enumerate(self.nodes):
            with node.admin() as client:
                # Each an epoch of its own, or they have to agree on who is who after they have met.
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node, other in combinations(self.nodes, 2):
            with node.admin() as client:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.tls_port or other.port, other.bus_port)
        wait_for(lambda: all(node.finds_all_well(3, 6) for node in self.nodes), timeout=20)
        for master, replica in zip(self.nodes[:3], self.nodes[3:], strict=True):
            with replica.admin() as client:
                client.execute_command("CLUSTER", "REPLICATE", master.id())
        self.wait_until_whole()


@contextmanager
def cluster_of_one(folder: Path) -> Iterator[RedisServer]:
    """Run one node that has all slots, as managed services offer it."""
    folder.mkdir()
    node = RedisServer(folder)
    node.options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    try:
        node.start()
        with node.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            wait_for(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        yield node
    finally:
        node.kill()


def _text(answer: object) -> str:
    return answer.decode() if isinstance(answer, bytes) else str(answer)
