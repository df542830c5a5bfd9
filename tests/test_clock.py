"""Redis's clock steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from clocked import ClockedServer

from tokenworker.config import Config
from tokenworker.durations import Durations
from tokenworker.runtime import Runtime
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Sandbox
from tokenworker.watchdog import Watchdog

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
    snapshot = held.store.look(DEMO_APPID)
    assert snapshot.token
    return snapshot.token.expires_in(snapshot.now)


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
    assert held.store.take_lease(DEMO_APPID, 2)
    step(-3600)
    token, now = held.refresher.get(held.book.account())

    assert token.expires_in(now) > 0


def test_a_rest_that_a_clock_lengthened_is_over(held: Runtime, step: Step, sandbox: Sandbox) -> None:
    sandbox.add_account(DEMO_APPID, frozen=True)
    watchdog = Watchdog(held)
    watchdog.look()
    sandbox.add_account(DEMO_APPID, frozen=False)
    step(-86_400)
    watchdog.look()

    assert life_of(held) > 0
