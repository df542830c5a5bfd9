"""Everything on a master that Sentinels watch, by REDIS_URL alone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.flower import Flower
from support.processes import Stack, wait_for, wait_for_beat
from support.sentinels import SentinelSet
from support.usage import command, faults, useless_ways

from tokenworker import TokenReader
from tokenworker.durations import Durations
from tokenworker.errors import StoreUnavailable, TokenUnavailable
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


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[SentinelSet]:
    """Passwords at the servers, and another at the Sentinels."""
    with SentinelSet(tmp_path / "set", password=PASSWORD, sentinel_password=THEIRS) as sentinels:
        yield sentinels


def test_all_ways_to_a_token_lead_through_sentinels_with_passwords_before_and_after_the_master_is_killed(
    make_stack: Callable[..., Stack], guarded: SentinelSet, sandbox: Sandbox
) -> None:
    stack = make_stack(guarded, sandbox)
    worker, beat, flower = stack.worker(), stack.beat(), Flower(stack)
    before = wait_for(lambda: value(guarded), timeout=20)
    said = [works(stack, guarded, sandbox)]
    flower.finds_worker_and_queue()
    with TokenReader(guarded.url, durations=Durations().scaled(5 / 300)) as reader:
        reader.get_token(DEMO_APPID)
        old = guarded.kill_master()
        slowest = slowest_read(reader, seconds=4)
        guarded.wait_for_another(old)
    wait_for_another_token(guarded, before)
    with guarded.client() as client:
        wait_for_beat(client)
    said.append(works(stack, guarded, sandbox))

    assert slowest <= 0.4 + 0.1
    assert (worker.poll(), beat.poll(), flower.process.poll()) == (None, None, None)
    shown = stack.logs() + "".join(said)
    assert not re.search("|".join(map(re.escape, (PASSWORD, THEIRS, "p%40ss", "an%3Aother"))), shown)


def works(stack: Stack, sentinels: SentinelSet, sandbox: Sandbox) -> str:
    """Hold each way to a token that works, and the commands to finding all well; returns what they say."""
    assert useless_ways(stack, sentinels.url, sandbox) == {}
    check, status, refresh = command(stack, "check"), command(stack, "status"), command(stack, "refresh")
    assert faults(check) == []
    assert "a task was sent, run and answered" in check.stdout
    assert status.returncode == 0, status.stdout + status.stderr
    assert DEMO_APPID in status.stdout
    assert '"outcome"' in refresh.stdout
    return "".join(done.stdout + done.stderr for done in (check, status, refresh))


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
    with suppress(StoreUnavailable):  # When there is no other yet by the end of its tries.
        store.notes.rename({"wx1": "second"})
    new = sentinels.wait_for_another(frozen)
    store.notes.rename({"wx1": "third"})
    sentinels.wake(frozen)
    sentinels.wait_until_whole()

    for node in (new, frozen):
        with node.admin() as client:
            assert client.hget("tokenworker:names", "wx1") == b"third"
    store.close()
