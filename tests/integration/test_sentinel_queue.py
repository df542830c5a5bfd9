"""The queue and the results at the master that Sentinels name."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from urllib.parse import quote

import pytest
import redis
import trustme
from support.processes import RedisServer, Stack, free_port, wait_for, wait_for_beat
from support.sentinels import SERVICE, Sentinels

from tokenworker.sandbox import Sandbox

PASSWORD, HOP_PASSWORD = "p@ss/1", "s:entinel?"

#: There since a tick came through.
TICKED = "tokenworker:ticked"


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    """Passwords at the servers, and others at the Sentinels."""
    sentinels = Sentinels(
        tmp_path,
        options=["--requirepass", PASSWORD, "--masterauth", PASSWORD],
        lines=[f"sentinel auth-pass {SERVICE} {PASSWORD}", f"requirepass {HOP_PASSWORD}"],
        login={"password": PASSWORD},
        hop={"password": HOP_PASSWORD},
    )
    sentinels.start()
    yield sentinels
    sentinels.stop()


def command(stack: Stack, *words: str) -> str:
    """Run a command to its end, and return what it says."""
    run = subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        check=False,
        env=stack.environ,
        cwd=stack.folder,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert not {PASSWORD, HOP_PASSWORD} & set((run.stdout + run.stderr).split("'"))
    return run.stdout


def page(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
            return str(answer.read(), "utf-8")
    except OSError:
        return ""


def test_worker_beat_flower_and_commands_work_before_and_after_the_master_dies(
    make_stack: Callable[..., Stack], sentinels: Sentinels, server: RedisServer, client: redis.Redis, sandbox: Sandbox
) -> None:
    url = f"sentinel://:{quote(PASSWORD, safe='')}@{sentinels.hosts}/{SERVICE}?sentinel_password={quote(HOP_PASSWORD)}"
    stack = make_stack(server, sandbox, CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND=url)
    worker, beat, port = stack.worker(), stack.beat(), free_port()
    flower = stack.run("celery", "--app=tokenworker", "flower", "--address=127.0.0.1", f"--port={port}")
    wait_for_beat(client)

    assert "1 node online" in command(stack, "celery", "--app=tokenworker", "inspect", "ping")
    assert "a task was sent, run and answered" in command(stack, "tokenworker.cli", "check")
    assert '"outcome"' in command(stack, "tokenworker.cli", "refresh")
    wait_for(lambda: "w0@test" in page(port, "workers"), timeout=20)
    assert "tokenworker" in page(port, "broker").partition("<tbody>")[2]

    killed = sentinels.master()
    assert killed
    killed.kill()
    wait_for(lambda: sentinels.master() not in {None, killed}, timeout=20)
    wait_for_beat(client)
    assert "a task was sent, run and answered" in command(stack, "tokenworker.cli", "check")
    assert (worker.poll(), beat.poll(), flower.poll()) == (None, None, None)
    assert not [secret for secret in (PASSWORD, HOP_PASSWORD, quote(PASSWORD, safe="")) if secret in stack.logs()]


def test_a_frozen_sentinel_and_a_frozen_master_hold_the_queue_up_for_seconds_only(
    make_stack: Callable[..., Stack], sentinels: Sentinels, server: RedisServer, client: redis.Redis, sandbox: Sandbox
) -> None:
    url = f"sentinel://:{quote(PASSWORD, safe='')}@{sentinels.hosts}/{SERVICE}?sentinel_password={quote(HOP_PASSWORD)}"
    stack = make_stack(server, sandbox, CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND=url)
    stack.worker()
    stack.beat()
    wait_for_beat(client)
    sentinels.freeze()
    began = time.monotonic()

    client.delete(TICKED)
    wait_for(lambda: client.get(TICKED), timeout=40)
    print(f"frozen: a tick came after {time.monotonic() - began:.1f} s")
