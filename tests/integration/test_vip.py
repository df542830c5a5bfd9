"""Redis behind an address that moves when the master does, with old connections left open, as managed Redis has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis.exceptions import ConnectionError as Lost
from support.processes import RedisServer, Stack, wait_for
from support.replicated import Replicated
from support.usage import command, useless_ways
from support.vip import Vip

from tokenworker import TokenReader
from tokenworker.errors import StoreUnavailable
from tokenworker.sandbox import DEMO_APPID, Rules, Sandbox
from tokenworker.store.connect import connect
from tokenworker.store.store import Store
from tokenworker.worker.redisbroker import transports
from tokenworker.worker.redisbroker.backends import RedisBackend

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


def fail_over(servers: Replicated, vip: Vip, delay: float = 0.0) -> None:
    """Have a replica in the master's place and, after so many seconds, at its address; nobody's connection is cut."""
    servers.failover()
    time.sleep(delay)
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
    # Meanwhile new connections lead to the one that was demoted, too.
    fail_over(servers, vip, delay=2)

    wait_for(lambda: value(servers) not in ("", first), timeout=20, pause=0.2)
    assert (worker.poll(), beat.poll()) == (None, None), stack.logs()[-3000:]
    assert "Unrecoverable" not in stack.logs()
    assert useless_ways(stack, vip.url, sandbox) == {}
    with servers.master.admin() as client:
        client.delete("tokenworker:ticked")
        # Beat sends there, and the worker takes it from there.
        wait_for(lambda: client.get("tokenworker:ticked"), timeout=15)


# The queue alone


def test_a_worker_waits_and_check_says_why_while_the_queues_address_leads_to_a_replica(
    make_stack: Callable[..., Stack], servers: Replicated, vip: Vip, server: RedisServer, sandbox: Sandbox
) -> None:
    servers.failover()
    stack = make_stack(server, sandbox, CELERY_BROKER_URL=vip.url, CELERY_RESULT_BACKEND=vip.url)
    worker = stack.run("celery", "--app=tokenworker", "worker", "--loglevel=INFO")
    reason = "it is a replica, which takes no writes"

    wait_for(lambda: reason in stack.log(0), timeout=20)
    check = command(stack, "check")
    assert check.returncode == 1
    assert reason in " ".join(check.stdout.split())
    assert "Traceback" not in check.stdout + check.stderr
    vip.move(servers.master)
    wait_for(lambda: " ready." in stack.log(0), timeout=20)
    assert worker.poll() is None


def test_a_result_that_a_demoted_server_refuses_goes_to_the_next_one(servers: Replicated, vip: Vip) -> None:
    app = Celery(set_as_current=False)
    backend = RedisBackend(app=app, url=vip.url)
    backend.store_result("before", 1, "SUCCESS")
    fail_over(servers, vip)
    backend.store_result("after", 2, "SUCCESS")

    with servers.master.admin() as there:
        assert there.exists("celery-task-meta-before", "celery-task-meta-after") == 2
    backend.client.close()


@pytest.mark.parametrize(
    "refusal",
    [
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        "READONLY You can't write against a read only replica.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "LOADING Redis is loading the dataset in memory",
        "NOREPLICAS Not enough good replicas to write.",
    ],
)
def test_what_a_server_that_is_no_master_says_ends_the_connection(server: RedisServer, refusal: str) -> None:
    app = Celery(broker=server.url, set_as_current=False)
    app.conf.broker_transport = "tokenworker.worker.redisbroker.transports:Transport"
    with app.connection_for_write() as connection:
        client: Any = connection.default_channel.client  # type: ignore[attr-defined]
        with pytest.raises(Lost, match="Redis"):
            client.eval("return redis.error_reply(ARGV[1])", 0, refusal)
        assert isinstance(Lost(), connection.connection_errors)
        assert client.ping()
    assert transports.Transport.Channel is transports.Channel
