"""Beat and its ticks, as they run: how they are sent, and which of them count."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from support.clock import WallClock
from support.processes import TICKED, RedisServer, Stack, wait_for

from tokenworker.sandbox import Sandbox


def test_ticks_that_waited_for_a_worker_are_all_taken_and_cost_one_fetch(
    stack: Stack, client: redis.Redis, sandbox: Sandbox
) -> None:
    beat = stack.beat()
    wait_for(lambda: client.llen("tokenworker") > 5)
    beat.terminate()
    beat.wait()
    time.sleep(3)  # fifteen ticks
    assert client.llen("tokenworker") > 5
    stack.worker()
    wait_for(lambda: client.llen("tokenworker") == 0)
    time.sleep(0.5)

    assert "Discarding" not in stack.logs()
    assert sandbox.counts().fetches == 1


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_ticks_count_whatever_the_clock_of_the_workers_host_says(
    stack: Stack, client: redis.Redis, tmp_path: Path, ahead: float
) -> None:
    clock = WallClock(tmp_path)
    clock.go_ahead(ahead)
    stack.worker(**clock.environ)
    stack.beat()
    wait_for(lambda: client.get(TICKED))
    for _ in range(3):
        client.delete(TICKED)
        wait_for(lambda: client.get(TICKED))

    assert "Discarding" not in stack.logs()


def test_beat_keeps_no_file(stack: Stack, client: redis.Redis) -> None:
    beat = stack.beat()
    wait_for(lambda: client.llen("tokenworker") > 2)
    beat.terminate()
    beat.wait()

    assert [path.name for path in stack.folder.iterdir()] == ["0.log"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no folder that nobody can write to")
def test_beat_works_where_it_can_write_nothing(
    make_stack: Callable[..., Stack], server: RedisServer, client: redis.Redis, sandbox: Sandbox
) -> None:
    environ = make_stack(server, sandbox).environ
    command = [sys.executable, "-m", "celery", "--app=tokenworker", "beat", "--loglevel=WARNING"]
    with subprocess.Popen(command, cwd="/sys", env=environ, stderr=subprocess.PIPE, text=True) as beat:
        wait_for(lambda: client.llen("tokenworker") > 2 or beat.poll() is not None)
        beat.terminate()
        _, said = beat.communicate()

    assert client.llen("tokenworker") > 2, said
    assert "Error" not in said
