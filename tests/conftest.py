"""The real parts that the tests run on: a Redis server, the sandbox, workers and beat."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from hypothesis import settings
from support import chromium as chromiums
from support.chromium import Chromium
from support.processes import RedisServer, Stack

from tokenworker.credentials.target import Target
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Rules, Sandbox
from tokenworker.settings import config
from tokenworker.store.store import Store

# For `make prove`: more examples than there is time for in each run of the tests, and others each time.
settings.register_profile("long", max_examples=2000, derandomize=False, database=None, print_blob=True)
settings.register_profile("short", max_examples=100, derandomize=True, database=None)
settings.load_profile("short")

# The account that somebody tries this checkout with is not for the tests; those of .env set it again.
config.ENV_FILE = Path(os.devnull)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name tests by what stays the same from one process to the next: several of them run side by side."""
    if isinstance(val, Target):
        return val.label
    return getattr(val, "__name__", None) if callable(val) else None


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser for all tests, where there is one; each opens pages of its own."""
    with chromiums.running(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


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
def store(client: redis.Redis) -> Store:
    return Store(client)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """WeChat with times 360 times as fast: a token lives 20 s, but the overlap is 5 s."""
    with Sandbox(Rules(life=20, overlap=5, force_interval=0.5)) as sandbox:
        yield sandbox


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
