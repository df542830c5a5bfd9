"""The parts that other tests stand on: replicas, Sentinels, a cluster, and an address that moves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.clusters import ClusterSet
from support.processes import wait_for
from support.replicated import Replicated, admin
from support.sentinels import SentinelSet, downtime
from support.vip import Vip


@pytest.fixture
def replicated(tmp_path: Path) -> Iterator[Replicated]:
    with Replicated(tmp_path / "set") as replicated:
        yield replicated


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[SentinelSet]:
    with SentinelSet(tmp_path / "set") as sentinels:
        yield sentinels


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ClusterSet]:
    with ClusterSet(tmp_path / "set") as cluster:
        yield cluster


def test_a_replica_has_what_its_master_has_until_the_link_is_stalled(replicated: Replicated) -> None:
    master, (replica,) = replicated.master.admin(), replicated.replicas
    master.set("a", "1")
    assert replicated.master.acknowledged() == 1

    replicated.stall()
    master.set("b", "1")

    assert replicated.master.acknowledged(0.3) == 0
    with replica.admin() as client:
        assert (client.get("a"), client.get("b")) == (b"1", None)
    replicated.flow()
    assert replicated.master.acknowledged() == 1
    master.close()


def test_a_demoted_master_loses_what_only_it_had(replicated: Replicated) -> None:
    replicated.stall()
    with replicated.master.admin() as master:
        master.set("lost", "1")

    old = replicated.failover()
    wait_for(old.is_in_step)

    with old.admin() as client:
        assert client.get("lost") is None
        with pytest.raises(redis.ReadOnlyError):
            client.set("a", "1")
    assert replicated.master.acknowledged() == 1


def test_a_moved_address_leaves_open_connections_where_they_were(replicated: Replicated) -> None:
    (replica,) = replicated.replicas
    with Vip(replicated.master) as vip:
        open_before, after = admin(vip.port), admin(vip.port)
        open_before.ping()
        vip.move(replica)

        assert open_before.info("replication")["role"] == "master"
        assert after.info("replication")["role"] == "slave"
        vip.cut()
        with suppress(redis.ConnectionError):
            open_before.ping()
        assert open_before.info("replication")["role"] == "slave"
        open_before.close()
        after.close()


@pytest.mark.parametrize(("direction", "arrives"), [("requests", False), ("answers", True)])
def test_each_direction_of_an_address_stalls_by_itself(replicated: Replicated, direction: str, arrives: bool) -> None:
    with Vip(replicated.master) as vip, replicated.master.admin() as direct:
        client = redis.Redis(port=vip.port, socket_timeout=0.3, retry=Retry(NoBackoff(), 0))
        client.ping()
        vip.stall(direction)  # type: ignore[arg-type]

        with pytest.raises(redis.TimeoutError):
            client.set("a", "1")
        assert (direct.get("a") == b"1") is arrives

        vip.flow()
        wait_for(lambda: direct.get("a") == b"1")
        client.close()


def test_a_killed_master_is_replaced_within_seconds_and_comes_back_as_a_replica(sentinels: SentinelSet) -> None:
    old = sentinels.master()
    assert downtime(sentinels) < 8

    old.start()
    sentinels.wait_until_whole()

    assert old.role() == "slave"
    with old.admin() as client:
        assert client.get("tokenworker:tests") == b"1"


def test_failovers_can_be_ordered_one_after_another(sentinels: SentinelSet) -> None:
    for _ in range(2):
        old = sentinels.failover()
        assert sentinels.master() is not old
        sentinels.wait_until_whole()


def test_a_killed_master_of_a_cluster_is_replaced_by_its_replica(cluster: ClusterSet) -> None:
    with cluster.client() as client:
        client.set("{wx1}", "1")
    dead = cluster.owner_of("{wx1}")
    dead.kill()
    started = time.monotonic()
    cluster.wait_for_another(dead)

    assert time.monotonic() - started < 10
    with cluster.client() as client:
        assert client.get("{wx1}") == b"1"
    dead.start()
    cluster.wait_until_whole()
