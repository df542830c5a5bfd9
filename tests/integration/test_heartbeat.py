"""Health checks that cost next to nothing: the age of a file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.processes import RedisServer, Stack, wait_for

from tokenworker.sandbox import Sandbox

#: The check of the compose file, with other times: older than 6 s is dead.
CHECK = "find {} -mmin -0.1 | grep -q ."


def healthy(file: Path) -> bool:
    return subprocess.run(CHECK.format(file), shell=True, check=False, stderr=subprocess.DEVNULL).returncode == 0  # noqa: S602


@pytest.mark.parametrize("service", ["worker", "beat"])
def test_a_service_that_works_keeps_its_file_young_and_one_that_hangs_does_not(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox, tmp_path: Path, service: str
) -> None:
    file = tmp_path / "heartbeat"
    stack = make_stack(server, sandbox, TOKENWORKER_HEARTBEAT_FILE=str(file))
    process = stack.worker() if service == "worker" else stack.beat()
    wait_for(lambda: healthy(file))
    process.send_signal(signal.SIGSTOP)
    made_old = time.time() - 10
    os.utime(file, (made_old, made_old))
    time.sleep(2.5)  # longer than from one heartbeat to the next

    assert not healthy(file)
    process.send_signal(signal.SIGCONT)
    wait_for(lambda: healthy(file))


def test_a_worker_that_is_cut_off_from_its_broker_lets_the_file_grow_old(
    make_stack: Callable[..., Stack], own_server: RedisServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "heartbeat"
    stack = make_stack(own_server, sandbox, TOKENWORKER_HEARTBEAT_FILE=str(file))
    stack.worker()
    wait_for(lambda: healthy(file) and "succeeded" in stack.logs())
    time.sleep(1)
    own_server.kill()
    time.sleep(2.5)
    age = file.stat().st_mtime
    time.sleep(3)
    assert file.stat().st_mtime == age

    own_server.start()
    wait_for(lambda: file.stat().st_mtime > age, timeout=20)


def test_a_file_that_can_not_be_written_stops_nothing(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox
) -> None:
    stack = make_stack(server, sandbox, TOKENWORKER_HEARTBEAT_FILE="/nowhere/heartbeat")
    stack.worker()

    wait_for(lambda: "the file of TOKENWORKER_HEARTBEAT_FILE can't be written: No such file" in stack.logs())
    with server.client() as client:
        wait_for(lambda: client.keys("tokenworker:{*}:access_token"))
    time.sleep(2.5)
    assert stack.logs().count("TOKENWORKER_HEARTBEAT_FILE") == 1
