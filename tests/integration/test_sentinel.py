"""Everything on a master that Sentinels watch, by REDIS_URL alone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.processes import Stack, wait_for
from support.sentinels import SentinelSet
from support.usage import command, faults, useless_ways

from tokenworker import TokenReader
from tokenworker.durations import Durations
from tokenworker.errors import TokenUnavailable
from tokenworker.sandbox import DEMO_APPID, Rules, Sandbox
from tokenworker.store.connect import connect
from tokenworker.store.store import Store

KEY = f"tokenworker:{{{DEMO_APPID}}}:access_token"
PASSWORD, THEIRS = "p@ss/w rd", "an:other?"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Rules(life=12, overlap=5, force_interval=0.5)) as sandbox:
        yield sandbox


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[SentinelSet]:
    with SentinelSet(tmp_path / "set") as sentinels:
        yield sentinels


def value(sentinels: SentinelSet) -> str:
    with sentinels.client() as client:
        found = client.get(KEY)
    return found.decode() if isinstance(found, bytes) else ""


def wait_for_another_token(sentinels: SentinelSet, old: str) -> None:
    # While there is no master, the test's own question fails, too.
    wait_for(lambda: value(sentinels) not in ("", old), timeout=20, pause=0.2)


@pytest.mark.timeout(90)
def test_all_ways_to_a_token_lead_through_the_sentinels_with_passwords_on_both(
    tmp_path: Path, make_stack: Callable[..., Stack], sandbox: Sandbox
) -> None:
    with SentinelSet(tmp_path / "set", password=PASSWORD, sentinel_password=THEIRS) as sentinels:
        stack = make_stack(sentinels, sandbox)
        stack.worker()
        stack.beat()
        wait_for(lambda: value(sentinels), timeout=20)
        useless = useless_ways(stack, sentinels.url, sandbox)
        check, status = command(stack, "check"), command(stack, "status")

        assert useless == {}
        assert faults(check) == []
        assert status.returncode == 0, status.stdout + status.stderr
        assert DEMO_APPID in status.stdout
        shown = stack.logs() + check.stdout + check.stderr + status.stdout + status.stderr
        assert not re.search("|".join(map(re.escape, (PASSWORD, THEIRS, "p%40ss", "an%3Aother"))), shown)


@pytest.mark.timeout(90)
def test_refreshes_reads_and_tasks_go_on_when_the_master_is_killed(
    make_stack: Callable[..., Stack], sentinels: SentinelSet, sandbox: Sandbox
) -> None:
    stack = make_stack(sentinels, sandbox)
    worker, beat = stack.worker(), stack.beat()
    wait_for(lambda: value(sentinels), timeout=20)
    with TokenReader(sentinels.url, durations=Durations().scaled(5 / 300)) as reader:
        before = reader.get_token(DEMO_APPID).access_token
        old = sentinels.kill_master()
        slowest = slowest_read(reader, seconds=4)
        sentinels.wait_for_another(old)
        wait_for_another_token(sentinels, before)

    assert slowest <= 0.4 + 0.1
    assert useless_ways(stack, sentinels.url, sandbox) == {}
    assert (worker.poll(), beat.poll()) == (None, None)


def slowest_read(reader: TokenReader, seconds: float) -> float:
    """Read for so many seconds; returns how long the slowest read took. Each must bring a token."""
    slowest, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        reader.get_token(DEMO_APPID)
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.02)
    return slowest


def test_a_frozen_master_costs_a_reader_no_more_than_its_timeout(sentinels: SentinelSet) -> None:
    with sentinels.client() as client:
        client.set(KEY, "token", px=60_000)
    with TokenReader(sentinels.url) as reader:
        reader.get_token(DEMO_APPID)
        frozen = sentinels.freeze_master()
        assert slowest_read(reader, seconds=3) <= 0.4 + 0.1
        sentinels.wait_for_another(frozen)
        sentinels.wake(frozen)


def test_frozen_sentinels_share_one_time_with_the_rest(sentinels: SentinelSet) -> None:
    with sentinels.client() as client:
        client.set(KEY, "token", px=60_000)
    for sentinel in sentinels.sentinels:
        sentinels.freeze(sentinel)
    with TokenReader(sentinels.url) as reader:
        began = time.monotonic()
        with pytest.raises(TokenUnavailable):
            reader.get_token(DEMO_APPID)
        assert time.monotonic() - began <= 0.4 + 0.1


def test_what_a_frozen_master_was_asked_is_not_done_when_it_wakes(sentinels: SentinelSet) -> None:
    """Its successor was asked again, and what comes late would be done a second time."""
    store = Store(connect(sentinels.url))
    store.notes.rename({"wx1": "first"})
    frozen = sentinels.freeze_master()
    store.notes.rename({"wx1": "second"})
    new = sentinels.wait_for_another(frozen)
    store.notes.rename({"wx1": "third"})
    sentinels.wake(frozen)
    sentinels.wait_until_whole()

    for node in (new, frozen):
        with node.admin() as client:
            assert client.hget("tokenworker:names", "wx1") == b"third"
    store.close()
