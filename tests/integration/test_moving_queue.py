"""A queue behind an address that moves: its server is demoted, and no connection is cut."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from redis.exceptions import ConnectionError as Lost
from support.processes import RedisServer, Stack, wait_for
from support.queue_vip import Vip

from tokenworker.sandbox import Sandbox
from tokenworker.worker import redisbroker
from tokenworker.worker.redisresults import RedisBackend

#: There since a tick came through.
TICKED = "tokenworker:ticked"


class Pair:
    """A master and its replica behind one address."""

    def __init__(self, folder: Path) -> None:
        self.servers = [RedisServer(folder / name) for name in ("a", "b")]
        for server in self.servers:
            server.folder.mkdir()
            server.start()
        self._replicate(*self.servers)
        self.vip = Vip(self.servers[0].port)

    def demote(self) -> None:
        """Have the first be the replica of the other; the address still leads to the first."""
        a, b = self.servers
        with b.client() as client:
            client.replicaof("NO", "ONE")
        self._replicate(b, a)

    def close(self) -> None:
        self.vip.close()
        for server in self.servers:
            server.kill()

    @staticmethod
    def _replicate(master: RedisServer, replica: RedisServer) -> None:
        with replica.client() as client:
            client.replicaof("127.0.0.1", str(master.port))
            wait_for(lambda: client.info("replication")["master_link_status"] == "up")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with closing(Pair(tmp_path)) as pair:
        yield pair


def test_worker_and_beat_go_on_where_the_address_leads_when_the_queues_server_is_demoted(
    make_stack: Callable[..., Stack], pair: Pair, server: RedisServer, client: redis.Redis, sandbox: Sandbox
) -> None:
    stack = make_stack(server, sandbox, CELERY_BROKER_URL=pair.vip.url, CELERY_RESULT_BACKEND=pair.vip.url)
    worker, beat = stack.worker(), stack.beat()
    for _ in range(2):
        client.delete(TICKED)
        wait_for(lambda: client.get(TICKED))
    pair.demote()
    time.sleep(2)
    pair.vip.move(pair.servers[1].port)

    for _ in range(2):
        client.delete(TICKED)
        wait_for(lambda: client.get(TICKED), timeout=15)
    assert (worker.poll(), beat.poll()) == (None, None)
    assert "Unrecoverable" not in stack.logs()


def test_a_worker_waits_while_the_address_leads_to_a_replica(
    make_stack: Callable[..., Stack], pair: Pair, server: RedisServer, sandbox: Sandbox
) -> None:
    pair.demote()
    stack = make_stack(server, sandbox, CELERY_BROKER_URL=pair.vip.url, CELERY_RESULT_BACKEND=pair.vip.url)
    worker = stack.run("celery", "--app=tokenworker", "worker", "--loglevel=INFO")

    wait_for(lambda: "it is a replica, which takes no writes" in stack.log(0), timeout=20)
    pair.vip.move(pair.servers[1].port)
    wait_for(lambda: " ready." in stack.log(0), timeout=20)
    assert worker.poll() is None


def test_a_result_that_a_demoted_server_refuses_goes_to_the_next_one(pair: Pair) -> None:
    app = Celery(set_as_current=False)
    backend = RedisBackend(app=app, url=pair.vip.url)
    backend.store_result("before", 1, "SUCCESS")
    pair.demote()
    pair.vip.move(pair.servers[1].port)
    backend.store_result("after", 2, "SUCCESS")

    with pair.servers[1].client() as there:
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
    app.conf.broker_transport = "tokenworker.worker.redisbroker:Transport"
    with app.connection_for_write() as connection:
        client: Any = connection.default_channel.client  # type: ignore[attr-defined]
        with pytest.raises(Lost, match="Redis"):
            client.eval("return redis.error_reply(ARGV[1])", 0, refusal)
        assert isinstance(Lost(), connection.connection_errors)
        assert client.ping()
    assert redisbroker.Transport.Channel is redisbroker.Channel
