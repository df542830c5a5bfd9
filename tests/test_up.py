"""`tokenworker up`, as a new user runs it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import RedisServer, free_port, wait_for

from tokenworker.sandbox import DEMO_APPID, Sandbox

SHELL = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}

#: A token lives 6 s, and all else is as quick.
QUICK = {"TOKENWORKER_TIME_SCALE": "0.005", "TOKENWORKER_TICK": "0.2"}

Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def ports() -> dict[str, int]:
    return {name: free_port() for name in ("redis", "flower", "sandbox")}


@pytest.fixture
def run(tmp_path: Path, ports: dict[str, int]) -> Iterator[Run]:
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environ: str) -> subprocess.Popen[str]:
        options = [f"--{name}-port={port}" for name, port in ports.items()] if arguments == ("up",) else []
        process = subprocess.Popen(
            [sys.executable, "-m", "tokenworker.cli", *arguments, *options],
            cwd=tmp_path,
            env=SHELL | environ,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=30)


def output_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=30)
    return process.returncode, output


def children_of(pid: int) -> list[int]:
    """Read the children from /proc, where any other process may end meanwhile."""
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if parent_of(path) == pid]


def parent_of(stat: Path) -> int | None:
    with suppress(OSError):
        return int(stat.read_text().rpartition(")")[2].split()[1])
    return None


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_up_needs_no_settings_and_keeps_a_token_fresh(run: Run, tmp_path: Path, ports: dict[str, int]) -> None:
    up = run("up", **QUICK)
    wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=30)

    def get() -> str | None:
        code, output = output_of(run("get"))
        return output.strip() if code == 0 else None

    first = wait_for(get)
    second = wait_for(lambda: token if (token := get()) != first else None, timeout=15)
    assert second
    code, status = output_of(run("status"))
    assert code == 0
    assert DEMO_APPID in status
    assert "live" in status
    assert first not in status
    assert '"outcome": "' in output_of(run("refresh"))[1]
    with urllib.request.urlopen(f"http://127.0.0.1:{ports['flower']}/tasks") as page:
        assert b"Flower" in page.read()
    children = children_of(up.pid)
    assert len(children) == 5
    up.send_signal(signal.SIGINT)
    code, output = output_of(up)

    assert code == 0
    assert "SANDBOX" in output
    assert f"redis://127.0.0.1:{ports['redis']}/0" in output
    assert all(map(is_gone, children))
    assert not (tmp_path / ".tokenworker" / "up.json").exists()


def test_the_data_outlives_a_restart(run: Run, tmp_path: Path) -> None:
    tokens = []
    for _ in range(2):
        up = run("up", TOKENWORKER_TICK="1", TOKENWORKER_TIME_SCALE="1")
        wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=30)
        tokens.append(wait_for(lambda: out[1] if (out := output_of(run("get")))[0] == 0 else None))
        up.send_signal(signal.SIGINT)
        assert output_of(up)[0] == 0

    assert tokens[0] == tokens[1]


def test_when_up_is_killed_nothing_lives_on(run: Run, tmp_path: Path) -> None:
    up = run("up", **QUICK)
    wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=30)
    children = children_of(up.pid)
    assert len(children) == 5
    up.kill()

    wait_for(lambda: all(map(is_gone, children)), timeout=30)


def test_a_child_that_does_not_heed_a_request_to_stop_dies_too_when_up_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    log = tmp_path / "child.log"
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from tokenworker.up.children import Child\n"
        f"log = Path({str(log)!r})\n"
        f"command = [sys.executable, '-c', {stubborn!r}]\n"
        "child = Child('deaf', command, lambda: 'deaf' in log.read_text(), log, os.environ)\n"
        "child.start()\n"
        "child.wait_ready()\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "ready\n"
        children = children_of(parent.pid)
        assert len(children) == 1
        parent.kill()

    wait_for(lambda: all(map(is_gone, children)), timeout=10)


def test_a_child_that_dies_is_started_again(run: Run, tmp_path: Path) -> None:
    up = run("up", **QUICK)
    wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=30)
    before = set(children_of(up.pid))
    worker = next(pid for pid in before if b"\0worker\0" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)

    assert wait_for(lambda: set(children_of(up.pid)) - before, timeout=10)
    up.send_signal(signal.SIGTERM)
    code, output = output_of(up)
    assert code == 0
    assert "worker had died and was started again" in output


@pytest.mark.parametrize("service", ["redis", "flower", "sandbox"])
def test_a_port_that_is_taken_is_one_clear_sentence(run: Run, ports: dict[str, int], service: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports[service]))
        other.listen()
        code, output = output_of(run("up"))

    assert code == 1
    assert output.count("\n") == 1
    assert f"port {ports[service]} for {service} is taken" in output
    assert f"--{service}-port" in output


def test_a_redis_that_cannot_be_reached_is_one_clear_sentence(run: Run) -> None:
    began = time.monotonic()
    code, output = output_of(run("up", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"))

    assert code == 1
    assert output.count("\n") == 1
    assert "token store does not answer" in output
    assert "refused" in output
    assert time.monotonic() - began < 10


def test_a_missing_secret_is_one_clear_sentence(run: Run) -> None:
    code, output = output_of(run("up", WECHAT_APPID="wx0123456789abcdef"))

    assert code == 1
    assert "WECHAT_SECRET" in output
    assert "Traceback" not in output


def test_with_an_account_and_a_redis_of_ones_own_it_starts_neither_sandbox_nor_server(
    run: Run, tmp_path: Path, server: RedisServer, sandbox: Sandbox
) -> None:
    secret = "0123456789abcdef0123456789abcdef"
    up = run("up", REDIS_URL=server.url, WECHAT_APPID=DEMO_APPID, WECHAT_SECRET=secret, WECHAT_API_URL=sandbox.url)
    wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=30)
    wait_for(lambda: sandbox.counts().minted)

    assert len(children_of(up.pid)) == 3
    up.send_signal(signal.SIGTERM)
    code, output = output_of(up)
    assert code == 0
    assert "SANDBOX" not in output
    assert secret not in output
