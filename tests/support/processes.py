"""The real parts that the tests run on: a Redis server, workers, beat and whatever else they start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
import redis

from support.ports import is_open, lend_port
from tokenworker.cli.up.embedded import server_command
from tokenworker.store.connect import connect

T = TypeVar("T")

ROOT = Path(__file__).parent.parent.parent

#: There since a tick came through.
TICKED = "tokenworker:ticked"

#: Not one of the kernel's choice: those it gives to whoever connects, before somebody listens there.
free_port = lend_port


def wait_for(what: Callable[[], T | None], timeout: float = 10.0, pause: float = 0.02) -> T:
    """Wait until `what` returns something true, and return that."""
    end = time.monotonic() + timeout
    while not (found := what()):
        if time.monotonic() > end:
            pytest.fail(f"waited {timeout} s in vain")
        time.sleep(pause)
    return found


class RedisServer:
    """A real server that tests may stop, freeze and start again on its port."""

    def __init__(self, folder: Path, program: Path | None = None, **environ: str) -> None:
        self.folder = folder
        self.program = program
        self.options: tuple[str, ...] = ()
        self.environ = os.environ | environ
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program, *options = server_command(self.port, self.folder)
        command = [str(self.program or program), *options, "--unixsocket", str(self.folder / "redis.sock")]
        command += self.options
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=self.environ)
        wait_for(self._answers)

    def kill(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def send_signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def client(self) -> redis.Redis:
        client = connect(self.url)
        assert isinstance(client, redis.Redis)
        return client

    def _answers(self) -> bool:
        return is_open(self.port) and not self._is_loading()

    def _is_loading(self) -> bool:
        """Return whether it still reads its data; one that speaks TLS alone hangs up on this."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as asking:
            asking.sendall(b"PING\r\n")
            return asking.recv(64).startswith(b"-LOADING")
        return False


@dataclass
class Stack:
    """Workers, beats and whatever else runs for one test, in a folder of its own."""

    folder: Path
    environ: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    #: What each command is run by: nothing, or a program that takes it somewhere.
    prefix: tuple[str, ...] = ()

    def run(self, *command: str, **environ: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", *command],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.environ | environ,
            )
        self.processes.append(process)
        return process

    def worker(self, *options: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it takes tasks."""
        number = len(self.processes)
        process = self.run(
            "celery",
            "--app=tokenworker",
            "worker",
            "--loglevel=INFO",
            f"--hostname=w{number}@test",
            "--without-mingle",
            *options,
            **environ,
        )
        wait_for(lambda: " ready." in self.log(number) or process.poll() is not None, timeout=40)
        return process

    def beat(self, **environ: str) -> subprocess.Popen[bytes]:
        return self.run("celery", "--app=tokenworker", "beat", "--loglevel=INFO", **environ)

    def web(self, port: int, **environ: str) -> subprocess.Popen[bytes]:
        """Start `tokenworker web` and wait until it listens."""
        process = self.run("tokenworker.cli", "web", f"--port={port}", **environ)
        wait_for(lambda: is_open(port) or process.poll() is not None, timeout=30)
        return process

    def log(self, number: int) -> str:
        return (self.folder / f"{number}.log").read_text(encoding="utf-8", errors="replace")

    def logs(self) -> str:
        return "\n".join(self.log(number) for number in range(len(self.processes)))

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for_beat(client: redis.Redis) -> None:
    """Wait until beat ticks: a worker sends the first tick by itself, when it starts."""
    for _ in range(2):
        wait_for(lambda: client.get(TICKED), timeout=20)
        client.delete(TICKED)
    wait_for(lambda: client.get(TICKED), timeout=20)
