"""Redis behind an address that moves when the master does, with old connections left open, as managed Redis has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.processes import Stack, wait_for
from support.replicated import Replicated
from support.usage import useless_ways
from support.vip import Vip

from tokenworker import TokenReader
from tokenworker.errors import StoreUnavailable
from tokenworker.sandbox import DEMO_APPID, Rules, Sandbox
from tokenworker.store.connect import connect
from tokenworker.store.store import Store

KEY = f"tokenworker:{{{DEMO_APPID}}}:access_token"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Rules(life=12, overlap=5, force_interval=0.5)) as sandbox:
        yield sandbox


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Replicated]:
    with Replicated(tmp_path / "set") as servers:
        yield servers


@pytest.fixture
def vip(servers: Replicated) -> Iterator[Vip]:
    with Vip(servers.master) as vip:
        yield vip


def value(servers: Replicated) -> str:
    with servers.master.admin() as client:
        found = client.get(KEY)
    return found.decode() if isinstance(found, bytes) else ""


def fail_over(servers: Replicated, vip: Vip) -> None:
    """Have a replica in the master's place and at its address; nobody's connection is cut."""
    servers.failover()
    vip.move(servers.master)


def test_the_next_write_finds_the_new_master_within_five_seconds(servers: Replicated, vip: Vip) -> None:
    store = Store(connect(vip.url))
    store.notes.rename({"wx1": "first"})
    fail_over(servers, vip)
    began = time.monotonic()

    def is_written() -> bool:
        try:
            store.notes.rename({"wx1": "second"})
        except StoreUnavailable:
            return False
        return True

    wait_for(is_written, timeout=8, pause=0.1)
    assert time.monotonic() - began <= 5
    with servers.master.admin() as client:
        assert client.hget("tokenworker:names", "wx1") == b"second"
    store.close()


def test_a_reader_stops_reading_the_server_that_was_demoted(servers: Replicated, vip: Vip) -> None:
    """Its link to the new master is down, so that it would answer with what is old for ever."""
    with servers.master.admin() as client:
        client.set(KEY, "old", px=60_000)
    assert servers.master.acknowledged() == 1
    with TokenReader(vip.url) as reader:
        assert reader.get_token(DEMO_APPID).access_token == "old"
        old = servers.failover()
        wait_for(old.is_in_step)
        servers.links[old].stall()
        vip.move(servers.master)
        with servers.master.admin() as client:
            client.set(KEY, "new", px=60_000)
        began = time.monotonic()
        wait_for(lambda: reader.get_token(DEMO_APPID).access_token == "new", timeout=12, pause=0.2)
        # Its own copy lasts a second, and it asks for the server's role each five.
        assert time.monotonic() - began <= 7


@pytest.mark.timeout(90)
def test_worker_and_beat_with_their_queue_on_the_same_server_go_on(
    make_stack: Callable[..., Stack], servers: Replicated, vip: Vip, sandbox: Sandbox
) -> None:
    stack = make_stack(vip, sandbox)
    worker, beat = stack.worker(), stack.beat()
    first = wait_for(lambda: value(servers), timeout=20)
    fail_over(servers, vip)

    wait_for(lambda: value(servers) not in ("", first), timeout=20, pause=0.2)
    assert (worker.poll(), beat.poll()) == (None, None), stack.logs()[-3000:]
    assert useless_ways(stack, vip.url, sandbox) == {}
    with servers.master.admin() as client:
        client.delete("tokenworker:ticked")
        # Beat sends there, and the worker takes it from there.
        wait_for(lambda: client.get("tokenworker:ticked"), timeout=15)
