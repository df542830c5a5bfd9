"""Redis's clock steps, and that of a reader's host."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.clock import ClockedServer, WallClock
from support.processes import RedisServer
from support.targets import lease_of, look, token_of

from tokenworker.credential import Credential
from tokenworker.durations import Durations
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Sandbox
from tokenworker.settings.config import Config
from tokenworker.store.store import Store
from tokenworker.worker.runtime import Runtime
from tokenworker.worker.watchdog import Watchdog

Step = Callable[[float], None]


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[ClockedServer]:
    server = ClockedServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def step(clocked: ClockedServer) -> Step:
    return clocked.clock.go_ahead


@pytest.fixture
def held(clocked: ClockedServer, sandbox: Sandbox, tmp_path: Path) -> Runtime:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(f'[[account]]\nappid = "{DEMO_APPID}"\nsecret = "{DEMO_SECRET}"\nendpoint = "token"\n')
    durations = replace(Durations(), overlap=5.0, fetch_timeout=1.0)
    config = Config(redis_url=clocked.url, api_urls=(sandbox.url,), durations=durations, accounts_file=accounts)
    return Runtime.from_config(config)


def life_of(held: Runtime) -> float:
    snapshot = look(held.store, DEMO_APPID)
    assert snapshot.credential
    return snapshot.credential.expires_in(snapshot.now)


def test_a_clock_that_went_back_does_not_lengthen_the_life_of_a_token(
    held: Runtime, step: Step, sandbox: Sandbox
) -> None:
    watchdog = Watchdog(held)
    watchdog.look()
    step(-3600)
    assert life_of(held) > 3600
    watchdog.look()

    assert life_of(held) <= 20
    assert sandbox.counts().fetches == 2
    watchdog.look()
    assert sandbox.counts().fetches == 2


def test_several_watchdogs_see_the_step_and_one_fetch_follows(held: Runtime, step: Step, sandbox: Sandbox) -> None:
    watchdogs = [Watchdog(held) for _ in range(3)]
    for watchdog in watchdogs:
        watchdog.look()
    step(-3600)
    for watchdog in watchdogs:
        watchdog.look()

    assert sandbox.counts().fetches == 2


def test_a_clock_that_goes_on_costs_one_fetch_at_most(held: Runtime, step: Step, sandbox: Sandbox) -> None:
    watchdog = Watchdog(held)
    watchdog.look()
    step(3600)
    watchdog.look()
    watchdog.look()

    assert life_of(held) <= 20
    assert sandbox.counts().fetches == 2


def test_a_lease_that_a_clock_lengthened_blocks_nobody(held: Runtime, step: Step) -> None:
    assert lease_of(held.store, DEMO_APPID, 2)
    step(-3600)
    token, now = held.keeper.get(token_of(held.registry.account()))

    assert token.expires_in(now) > 0


def test_a_rest_that_a_clock_lengthened_is_over(held: Runtime, step: Step, sandbox: Sandbox) -> None:
    sandbox.add_account(DEMO_APPID, frozen=True)
    watchdog = Watchdog(held)
    watchdog.look()
    sandbox.add_account(DEMO_APPID, frozen=False)
    step(-86_400)
    watchdog.look()

    assert life_of(held) > 0


# The wall clock of a reader's host.

#: Prints a token for each line that it reads, or nothing.
READ = {
    "TokenReader": (
        "import sys\n"
        "from tokenworker import TokenReader, TokenUnavailable\n"
        "reader = TokenReader(sys.argv[1])\n"
        "for appid in sys.stdin:\n"
        "    try: print(reader.get_token(appid.strip()).access_token, flush=True)\n"
        "    except TokenUnavailable: print(flush=True)\n"
    ),
    "AsyncTokenReader": (
        "import asyncio, sys\n"
        "from tokenworker import AsyncTokenReader, TokenUnavailable\n"
        "async def main():\n"
        "    async with AsyncTokenReader(sys.argv[1]) as reader:\n"
        "        for appid in sys.stdin:\n"
        "            try: print((await reader.get_token(appid.strip())).access_token, flush=True)\n"
        "            except TokenUnavailable: print(flush=True)\n"
        "asyncio.run(main())\n"
    ),
}


@pytest.fixture(params=READ)
def ask(request: pytest.FixtureRequest, own_server: RedisServer, host_clock: WallClock) -> Iterator[Callable[[], str]]:
    """Return a function that has a process with a wall clock of its own read a token."""
    command = [sys.executable, "-c", READ[request.param], own_server.url]
    with subprocess.Popen(
        command, env=os.environ | host_clock.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def read() -> str:
            assert process.stdin
            assert process.stdout
            process.stdin.write("wx1\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield read
        process.kill()


@pytest.fixture
def host_clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path)


def put(server: RedisServer, life: float) -> None:
    """Put a token into Redis that a reader may hand out for `life` seconds after Redis is gone."""
    with server.client() as client:
        store = Store(client)
        lease = lease_of(store, "wx1", 5)
        assert lease
        store.records.commit(lease, Credential("the-token", lease.taken_at + life + 30), refresh_at=lease.taken_at)


def test_a_copy_does_not_die_when_the_wall_clock_goes_ahead(
    ask: Callable[[], str], own_server: RedisServer, host_clock: WallClock
) -> None:
    put(own_server, 60)
    assert ask() == "the-token"
    own_server.kill()
    host_clock.go_ahead(3600)

    assert ask() == "the-token"


def test_a_copy_does_not_outlive_its_token_when_the_wall_clock_goes_back(
    ask: Callable[[], str], own_server: RedisServer, host_clock: WallClock
) -> None:
    put(own_server, 4)
    assert ask() == "the-token"
    own_server.kill()
    host_clock.go_ahead(-3600)
    time.sleep(1.2)
    assert ask() == "the-token"
    time.sleep(4)

    assert ask() == ""


def test_a_copy_is_looked_up_anew_after_a_second_when_the_wall_clock_goes_back(
    ask: Callable[[], str], own_server: RedisServer, host_clock: WallClock
) -> None:
    put(own_server, 60)
    assert ask() == "the-token"
    host_clock.go_ahead(-3600)
    with own_server.client() as client:
        client.set("tokenworker:{wx1}:access_token", "another", px=60_000)
    time.sleep(1.2)

    assert ask() == "another"
