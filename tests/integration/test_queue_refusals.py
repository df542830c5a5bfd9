"""What can't keep a queue is a sentence: of `check`, of a worker that starts, and of a refresh by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.clusters import cluster_of_one
from support.processes import RedisServer, Stack, wait_for

from tokenworker.sandbox import Sandbox


def run(stack: Stack, *words: str) -> tuple[int, str]:
    """Run a command of ours; return its exit code, and what it says on one line."""
    command = [sys.executable, "-m", "tokenworker.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=stack.environ, cwd=stack.folder)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RedisServer]:
    with cluster_of_one(tmp_path / "node") as node:
        yield node


def test_a_node_of_a_cluster_as_the_broker(
    make_stack: Callable[..., Stack], server: RedisServer, node: RedisServer, sandbox: Sandbox
) -> None:
    stack = make_stack(server, sandbox, CELERY_BROKER_URL=node.url)
    worker = stack.run("celery", "--app=tokenworker", "worker")
    code, said = run(stack, "check")

    sentence = (
        "this broker is a node of a Redis Cluster, where Celery can't keep its queue and its results: write cluster"
    )
    assert code == 1
    assert sentence in said
    assert worker.wait(20) != 0
    assert sentence in stack.logs()
    assert "Traceback" not in stack.logs()


def test_a_cluster_without_a_place_for_the_queue(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox
) -> None:
    stack = make_stack(server, sandbox, REDIS_URL="cluster://127.0.0.1:7000")
    code, said = run(stack, "check")

    assert code == 1
    assert "set CELERY_BROKER_URL and CELERY_RESULT_BACKEND too, to a Redis that is no cluster" in said


def test_a_refresh_by_hand_without_a_result_backend(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox
) -> None:
    stack = make_stack(server, sandbox, CELERY_RESULT_BACKEND="disabled://")
    stack.worker()
    wait_for(lambda: "fetched" in stack.log(0))
    code, said = run(stack, "refresh")

    assert code == 1
    assert "there is no result backend by which a worker could answer" in said
    wait_for(lambda: stack.log(0).count("refresh_token") > 2)
    assert "FAULT results" not in run(stack, "check")[1]


def test_a_broker_that_is_away_holds_up_no_refresh(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox
) -> None:
    stack = make_stack(server, sandbox)
    stack.worker()
    wait_for(lambda: "fetched" in stack.log(0))
    stack.environ["CELERY_BROKER_URL"] = "redis://127.0.0.1:1/0"
    code, said = run(stack, "refresh")

    assert code == 1
    assert "the queue can't be reached" in said
