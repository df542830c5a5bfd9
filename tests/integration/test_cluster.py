"""The store and the readers on a cluster; the queue, which Celery can't keep there, is elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.clusters import ClusterSet
from support.credentials import put
from support.processes import RedisServer, Stack, wait_for
from support.scraped import scraped
from support.usage import command, faults, useless_ways
from support.web import Web

from tokenworker import Durations, TokenReader
from tokenworker.credential import CredentialId
from tokenworker.sandbox import DEMO_APPID, Rules, Sandbox

KEY = f"tokenworker:{{{DEMO_APPID}}}:access_token"
COPY = "copy-of-the-token"


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSet]:
    with ClusterSet(tmp_path_factory.mktemp("cluster") / "set") as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: ClusterSet) -> ClusterSet:
    """One cluster for all tests, empty for each."""
    shared_cluster.wait_until_whole()
    for master in shared_cluster.masters():
        with master.admin() as client:
            client.flushall()
    return shared_cluster


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Rules(life=12, overlap=5, force_interval=0.5)) as sandbox:
        yield sandbox


@pytest.fixture
def stack(
    make_stack: Callable[..., Stack], cluster: ClusterSet, server: RedisServer, sandbox: Sandbox, tmp_path: Path
) -> Stack:
    """A stack whose account has a copy, which is in another slot than the token."""
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(
        f'[[account]]\nappid = "{DEMO_APPID}"\nsecret_env = "DEMO"\npublish = ["{COPY}"]\n', encoding="utf-8"
    )
    environ = {"TOKENWORKER_ACCOUNTS": str(accounts), "DEMO": make_stack(server, sandbox).environ["WECHAT_SECRET"]}
    stack = make_stack(cluster, sandbox, CELERY_BROKER_URL=server.url, CELERY_RESULT_BACKEND=server.url, **environ)
    for name in ("WECHAT_APPID", "WECHAT_SECRET"):
        del stack.environ[name]
    return stack


def value(cluster: ClusterSet, key: str = KEY) -> str:
    with cluster.client() as client:
        found = client.get(key)
    return found.decode() if isinstance(found, bytes) else ""


def test_without_a_place_for_the_queue_the_start_says_what_to_set(
    make_stack: Callable[..., Stack], cluster: ClusterSet, sandbox: Sandbox
) -> None:
    stack = make_stack(cluster, sandbox)
    check = command(stack, "check")

    assert check.returncode == 1
    said = check.stdout + check.stderr
    assert "CELERY_BROKER_URL" in said
    assert "CELERY_RESULT_BACKEND" in said
    assert "Traceback" not in said


def test_check_and_status_find_all_well(stack: Stack, cluster: ClusterSet) -> None:
    stack.worker()
    stack.beat()
    wait_for(lambda: value(cluster), timeout=20)
    status = command(stack, "status")

    assert faults(command(stack, "check")) == []
    assert (status.returncode, "live" in status.stdout) == (0, True), status.stdout + status.stderr
    assert "refreshed (there is none)" in command(stack, "events").stdout
    assert "tokenworker_up 1" in command(stack, "metrics").stdout


def test_metrics_are_of_the_credentials_on_all_nodes(cluster: ClusterSet) -> None:
    accounts = [f"wx{number}" for number in range(12)]
    with Web(
        cluster.url, CELERY_BROKER_URL="redis://127.0.0.1:1/0", CELERY_RESULT_BACKEND="redis://127.0.0.1:1/0"
    ) as web:
        for account in accounts[1:]:
            put(web.held.store, account=account)
        web.held.store.schedule.add(CredentialId(account) for account in accounts)
        web.held.store.notes.set_ticked(20)
        samples = scraped(web)
        readiness = web.ask("/readyz").json

    assert {account: ready for (account, _), ready in samples["credential_ready"].items()} == {
        account: account != "wx0" for account in accounts
    }
    assert readiness["named"] == [{"account": "wx0", "credential": "access_token"}]


def test_a_published_copy_in_another_slot_is_there_as_soon_as_the_token(stack: Stack, cluster: ClusterSet) -> None:
    stack.worker()
    stack.beat()
    first = wait_for(lambda: value(cluster), timeout=20)
    wait_for(lambda: value(cluster, COPY) == first, timeout=2)
    wait_for(lambda: value(cluster) != first, timeout=20)

    wait_for(lambda: value(cluster, COPY) == value(cluster), timeout=2)


@pytest.mark.timeout(90)
def test_all_ways_to_a_token_lead_through_the_cluster_also_when_its_master_is_killed(
    stack: Stack, cluster: ClusterSet, sandbox: Sandbox
) -> None:
    worker, beat = stack.worker(), stack.beat()
    first = wait_for(lambda: value(cluster), timeout=20)
    with TokenReader(cluster.url, durations=Durations().scaled(5 / 300)) as reader:
        reader.get_token(DEMO_APPID)
        dead = cluster.owner_of(KEY)
        dead.kill()
        cluster.wait_for_another(dead)
        wait_for(lambda: value(cluster) not in ("", first), timeout=20, pause=0.2)
        assert sandbox.verdict(reader.get_token(DEMO_APPID).access_token).works

    assert useless_ways(stack, cluster.url, sandbox) == {}
    assert (worker.poll(), beat.poll()) == (None, None)
    dead.start()
    cluster.wait_until_whole()
