"""The real parts that the tests run on: a Redis server, the sandbox, workers and beat."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
import redis
from hypothesis import settings

from tokenworker import config
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Rules, Sandbox
from tokenworker.store import TokenStore, connect
from tokenworker.up.embedded import server_command

# For `make prove`: more examples than there is time for in each run of the tests, and others each time.
settings.register_profile("long", max_examples=2000, derandomize=False, database=None, print_blob=True)
settings.register_profile("short", max_examples=100, derandomize=True, database=None)
settings.load_profile("short")

# The account that somebody tries this checkout with is not for the tests; those of .env set it again.
config.ENV_FILE = Path(os.devnull)

T = TypeVar("T")

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
        return connect(self.url)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    """One server for all tests, empty for each."""
    with shared_server.client() as client:
        client.flushall()
    return shared_server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, to kill and freeze."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client


@pytest.fixture
def store(client: redis.Redis) -> TokenStore:
    return TokenStore(client)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """WeChat with times 360 times as fast: a token lives 20 s, but the overlap is 5 s."""
    with Sandbox(Rules(life=20, overlap=5, force_interval=0.5)) as sandbox:
        yield sandbox


@dataclass
class Stack:
    """Workers, beats and whatever else runs for one test, in a folder of its own."""

    folder: Path
    environ: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, *command: str, **environ: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
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
        wait_for(lambda: " ready." in self.log(number) or process.poll() is not None)
        return process

    def beat(self, **environ: str) -> subprocess.Popen[bytes]:
        return self.run("celery", "--app=tokenworker", "beat", "--loglevel=INFO", **environ)

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


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Return a function that makes a stack for a server and a sandbox."""
    with ExitStack() as exits:

        def make(server: RedisServer, sandbox: Sandbox, **environ: str) -> Stack:
            folder = tmp_path / f"stack-{time.monotonic_ns()}"
            folder.mkdir()
            settings = {
                "REDIS_URL": server.url,
                "WECHAT_API_URL": sandbox.url,
                "WECHAT_APPID": DEMO_APPID,
                "WECHAT_SECRET": DEMO_SECRET,
                "TOKENWORKER_TIME_SCALE": str(5 / 300),
                "TOKENWORKER_TICK": "0.2",
                "TOKENWORKER_FETCH_TIMEOUT": "2",
            }
            kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
            stack = Stack(folder, kept | settings | environ)
            exits.callback(stack.stop)
            return stack

        yield make


@pytest.fixture
def stack(make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox) -> Stack:
    return make_stack(server, sandbox)
