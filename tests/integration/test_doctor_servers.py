"""`tokenworker check` where Redis is more than one server: which of them is at fault, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.clusters import ClusterSet
from support.doctor import Findings, about, examined, faults, notes
from support.processes import RedisServer, free_port, wait_for
from support.replicated import Replicated
from support.sentinels import SERVICE, SentinelSet

from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET

Check = Callable[..., Findings]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Return a function that examines the servers of a URL; the queue is none of its business."""

    def run(url: str, **environ: str) -> Findings:
        settings = {
            "REDIS_URL": url,
            "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
            "CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/0",
            "WECHAT_APPID": DEMO_APPID,
            "WECHAT_SECRET": DEMO_SECRET,
            "PATH": "/usr/bin:/bin",
        }
        return about(examined(tmp_path, settings | environ), "Redis", "Sentinel")

    return run


# A master and a replica


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    with Replicated(tmp_path_factory.mktemp("replicated") / "set") as replicated:
        yield replicated


def test_a_master_with_a_replica_is_well_and_should_stop_when_it_is_cut_off(
    check: Check, replicated: Replicated
) -> None:
    url = replicated.master.url
    found = check(url, TOKENWORKER_REPLICAS="1")

    assert faults(found) == ""
    assert "set min-replicas-to-write 1 and min-replicas-max-lag 10" in notes(found)
    with replicated.master.admin() as client:
        client.config_set("min-replicas-to-write", 1)
        assert notes(check(url)) == ""
        client.config_set("min-replicas-to-write", 0)


def test_a_replica_is_all_there_is_to_say(check: Check, replicated: Replicated) -> None:
    found = check(replicated.replicas[0].url)

    assert [finding["level"] for finding in found] == ["fault"]
    assert "this server is a replica, which takes no writes: name its master in REDIS_URL" in faults(found)


def test_more_replicas_are_asked_for_than_follow(check: Check, replicated: Replicated) -> None:
    told = faults(check(replicated.master.url, TOKENWORKER_REPLICAS="2"))

    assert "TOKENWORKER_REPLICAS is 2, more than the 1 that follow the server" in told
    assert "or set TOKENWORKER_REPLICAS=0" in told


# One server


def test_a_server_that_keeps_nothing_on_disk(check: Check, own_server: RedisServer) -> None:
    assert notes(check(own_server.url)) == ""
    with own_server.client() as client:
        client.config_set("appendonly", "no")

    assert "neither the append-only file nor snapshots are on" in notes(check(own_server.url))
    with own_server.client() as client:
        client.config_set("save", "3600 1")
    assert notes(check(own_server.url)) == ""


def test_a_full_memory_and_lacking_replicas_are_said_once(check: Check, own_server: RedisServer) -> None:
    with own_server.client() as client:
        client.config_set("maxmemory", "1")
        found = check(own_server.url)
        assert faults(found).count("\n") == 0
        assert "its memory is full" in faults(found)
        client.config_set("maxmemory", "0")
        client.config_set("min-replicas-to-write", "1")
        found = check(own_server.url)
        assert faults(found).count("\n") == 0
        assert "fewer replicas than min-replicas-to-write" in faults(found)


def test_of_many_accounts_the_first_are_tried(check: Check, own_server: RedisServer, tmp_path: Path) -> None:
    rows = [f'[[account]]\nappid = "wx{number:016x}"\nsecret = "{DEMO_SECRET}"\n' for number in range(300)]
    (tmp_path / "accounts.toml").write_text("\n".join(rows))
    found = check(own_server.url, WECHAT_APPID="", WECHAT_SECRET="", TOKENWORKER_ACCOUNTS="accounts.toml")

    assert "the keys of the first 200 of 300 accounts can be written" in found[-1]["sentence"]


# Sentinels


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSet]:
    with SentinelSet(tmp_path_factory.mktemp("sentinels") / "set", min_replicas=1) as sentinels:
        yield sentinels


def test_sentinels_that_agree(check: Check, sentinels: SentinelSet) -> None:
    found = check(sentinels.url)

    assert faults(found) + notes(found) == ""
    assert f"3 of 3 name 127.0.0.1:{sentinels.master().port} as the master of {SERVICE}" in found[0]["sentence"]


def test_the_address_of_a_sentinel_is_no_server_to_keep_anything(check: Check, sentinels: SentinelSet) -> None:
    found = check(f"redis://127.0.0.1:{sentinels.sentinels[0].port}/0")

    assert [finding["level"] for finding in found] == ["fault"]
    assert "this is a Sentinel, which keeps nothing: write sentinel://" in faults(found)


def test_a_service_that_they_do_not_know(check: Check, sentinels: SentinelSet) -> None:
    found = check(sentinels.url.replace(SERVICE, "othermaster"))

    assert "knows no othermaster: correct the service" in faults(found)
    assert {finding["subject"] for finding in found} == {"Sentinel"}


def test_one_sentinel_of_three_that_is_away_is_noted_and_two_are_a_fault(check: Check, sentinels: SentinelSet) -> None:
    hosts = [f"127.0.0.1:{sentinel.port}" for sentinel in sentinels.sentinels]
    one_away = check(f"sentinel://{hosts[0]},{hosts[1]},127.0.0.1:{free_port()}/{SERVICE}")
    two_away = check(f"sentinel://{hosts[0]},127.0.0.1:{free_port()},127.0.0.1:{free_port()}/{SERVICE}")

    assert faults(one_away) == ""
    assert "does not say who is master: Redis does not answer" in notes(one_away)
    assert "1 of 3 Sentinels answer, and a failover needs most of them" in faults(two_away)


def test_a_server_among_the_sentinels(check: Check, sentinels: SentinelSet) -> None:
    url = sentinels.url.replace(f":{sentinels.sentinels[0].port}", f":{sentinels.nodes[0].port}")

    assert f"127.0.0.1:{sentinels.nodes[0].port} does not say who is master" in notes(check(url))


@pytest.mark.timeout(60)
def test_sentinels_without_a_majority_of_all_that_they_know(check: Check, tmp_path: Path) -> None:
    with SentinelSet(tmp_path / "set") as sentinels:
        alone = sentinels.sentinels[0]
        for other in sentinels.sentinels[1:]:
            other.kill()
        wait_for(lambda: "NOQUORUM" in faults(check(f"sentinel://127.0.0.1:{alone.port}/{SERVICE}")), timeout=30)


# A cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSet]:
    with ClusterSet(tmp_path_factory.mktemp("cluster") / "set") as cluster:
        yield cluster


def test_a_cluster_is_looked_at_by_all_its_masters(check: Check, cluster: ClusterSet) -> None:
    found = check(cluster.url, WECHAT_TOKEN_KEY="copy-of-the-token")

    assert faults(found) == ""
    assert found[-1]["sentence"] == "scripts run, and every key can be written"
    with cluster.masters()[1].admin() as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert "maxmemory-policy is allkeys-lru" in faults(check(cluster.url))
        client.config_set("maxmemory-policy", "noeviction")


def test_a_node_of_a_cluster_is_all_there_is_to_say(check: Check, cluster: ClusterSet) -> None:
    found = check(cluster.nodes[0].url)

    assert [finding["level"] for finding in found] == ["fault"]
    assert "write cluster://host:port in REDIS_URL" in faults(found)


def test_a_server_is_no_cluster(check: Check, own_server: RedisServer) -> None:
    found = check(own_server.url.replace("redis://", "cluster://").removesuffix("/0"))

    assert [finding["level"] for finding in found] == ["fault"]
    assert "it is no Redis Cluster: write redis://" in faults(found)


def test_a_cluster_that_lost_a_master_and_its_replica(check: Check, tmp_path: Path) -> None:
    with ClusterSet(tmp_path / "set") as cluster:
        replica = next(node for node in cluster.nodes if node.role() == "slave")
        replica.kill()
        wait_for(lambda: "more than the 0 that follow" in faults(check(cluster.url)), timeout=20)
        assert "has no replica" in notes(check(cluster.url, TOKENWORKER_REPLICAS="0"))
        with cluster.masters()[0].admin() as client:
            client.execute_command("CLUSTER", "DELSLOTS", "1", "2")
        wait_for(lambda: "of 16384 slots are well" in faults(check(cluster.url)), timeout=20)
