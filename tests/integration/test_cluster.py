"""The store and the readers on a cluster; the queue, which Celery can't keep there, is elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.clusters import ClusterSet
from support.processes import RedisServer, Stack, wait_for
from support.usage import command, tokens

from tokenworker import Durations, TokenReader
from tokenworker.sandbox import DEMO_APPID, Rules, Sandbox

KEY = f"tokenworker:{{{DEMO_APPID}}}:access_token"
COPY = "copy-of-the-token"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSet]:
    with ClusterSet(tmp_path_factory.mktemp("cluster") / "set") as cluster:
        yield cluster


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
    assert "CELERY_BROKER_URL" in check.stdout
    assert "CELERY_RESULT_BACKEND" in check.stdout
    assert not check.stderr


@pytest.mark.timeout(90)
def test_all_ways_to_a_token_lead_through_the_cluster_also_when_its_master_is_killed(
    stack: Stack, cluster: ClusterSet, sandbox: Sandbox
) -> None:
    worker, beat = stack.worker(), stack.beat()
    first = wait_for(lambda: value(cluster), timeout=20)
    check, status = command(stack, "check"), command(stack, "status")
    assert (check.returncode, status.returncode) == (0, 0), check.stdout + status.stderr
    assert value(cluster, COPY) == value(cluster)

    with TokenReader(cluster.url, durations=Durations().scaled(5 / 300)) as reader:
        reader.get_token(DEMO_APPID)
        dead = cluster.owner_of(KEY)
        dead.kill()
        cluster.wait_for_another(dead)
        wait_for(lambda: value(cluster) not in ("", first), timeout=20, pause=0.2)
        assert sandbox.verdict(reader.get_token(DEMO_APPID).access_token).works

    found = tokens(stack, cluster.url)
    assert {way: sandbox.verdict(token).works for way, token in found.items()} == dict.fromkeys(found, True)
    wait_for(lambda: value(cluster, COPY) == value(cluster))
    assert (worker.poll(), beat.poll()) == (None, None)
    dead.start()
    cluster.wait_until_whole()
