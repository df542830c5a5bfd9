"""What Redis refuses, on servers that refuse it: each is a sentence that says what to do, and shows no password."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from traceback import format_exception
from typing import Any

import pytest
import redis
from kombu import Connection
from kombu.transport import TRANSPORT_ALIASES
from support.clusters import cluster_of_one
from support.old_redis import RESP2_ONLY, proxy, replace_url
from support.processes import RedisServer, Stack, free_port, wait_for
from support.targets import lease_of

from tokenworker import TokenReader
from tokenworker.credential import CredentialId
from tokenworker.errors import StoreUnavailable, TokenUnavailable
from tokenworker.reading.tasks import Tasks
from tokenworker.sandbox import Sandbox
from tokenworker.store.connect import connect
from tokenworker.store.store import Store
from tokenworker.worker import redisbroker

CANARY = "canary-password"


@pytest.fixture
def admin(own_server: RedisServer) -> Iterator[redis.Redis]:
    with own_server.client() as client:
        yield client


def refused(url: str) -> str:
    """Do what needs a right to write and a script, and return what the store says."""
    with closing(connect(url)) as client, pytest.raises(StoreUnavailable) as caught:
        lease_of(Store(client), "wx1", 5)
    assert CANARY not in "".join(format_exception(caught.value))
    return str(caught.value)


def with_login(url: str, login: str) -> str:
    return url.replace("//", f"//{login}@") if login else url


@pytest.mark.parametrize(
    ("settings", "login", "advice"),
    [
        (("requirepass", CANARY), "", "it asks for a password: put it into REDIS_URL"),
        (("requirepass", "another"), f":{CANARY}", "look at user and password in REDIS_URL"),
        ((), f"nobody:{CANARY}", "look at user and password in REDIS_URL"),
        ((), f":{CANARY}", "it has no password: take the one in REDIS_URL out"),
        (("min-replicas-to-write", "1"), "", "it has fewer replicas than min-replicas-to-write"),
        (("maxmemory", "1"), "", "its memory is full: raise maxmemory"),
        (("replica-serve-stale-data", "yes"), "", "it is a replica, which takes no writes"),
        (("replica-serve-stale-data", "no"), "", "it is a replica that lost its master"),
    ],
)
def test_a_refusal_is_a_sentence_with_what_to_do(
    own_server: RedisServer, admin: redis.Redis, settings: tuple[str, ...], login: str, advice: str
) -> None:
    for name, value in zip(settings[::2], settings[1::2], strict=True):
        admin.config_set(name, value)
    if "replica-serve-stale-data" in settings:
        admin.replicaof("127.0.0.1", "1")

    assert refused(with_login(own_server.url, login)).startswith(f"Redis refuses: {advice}")


@pytest.mark.parametrize(
    ("rights", "advice"),
    [
        (("~tokenworker:*", "+@all", "-evalsha"), "this user lacks a right"),
        (("~other:*", "+@all"), "this user lacks a right"),
        (("~tokenworker:*", "+@all", "-hset"), "this user lacks a"),
    ],
)
def test_a_right_that_is_missing_is_said(
    own_server: RedisServer, admin: redis.Redis, rights: tuple[str, ...], advice: str
) -> None:
    admin.execute_command("ACL", "SETUSER", "me", "on", f">{CANARY}", *rights)  # type: ignore[no-untyped-call]

    assert refused(with_login(own_server.url, f"me:{CANARY}")).startswith(f"Redis refuses: {advice}")


def test_a_database_that_is_not_there_is_said(own_server: RedisServer) -> None:
    assert refused(own_server.url.replace("/0", "/999")).startswith("Redis refuses: it has no database of that number")


def start_anew(server: RedisServer, *options: str) -> None:
    server.kill()
    server.options = options
    server.start()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisServer]:
    with cluster_of_one(tmp_path / "cluster") as cluster:
        yield cluster


def test_a_cluster_of_one_node_does_as_well_as_a_server_that_is_none(
    make_stack: Callable[..., Stack], cluster: RedisServer, server: RedisServer, sandbox: Sandbox
) -> None:
    stack = make_stack(cluster, sandbox, CELERY_BROKER_URL=server.url, CELERY_RESULT_BACKEND=server.url)
    stack.worker()

    with cluster.client() as client:
        wait_for(lambda: client.get(f"tokenworker:{{{stack.environ['WECHAT_APPID']}}}:access_token"))


def test_a_tick_that_may_not_write_is_named_once_in_the_workers_log_and_again_when_it_comes_back(
    make_stack: Callable[..., Stack],
    own_server: RedisServer,
    admin: redis.Redis,
    server: RedisServer,
    sandbox: Sandbox,
) -> None:
    admin.execute_command("ACL", "SETUSER", "me", "on", f">{CANARY}", "~*", "&*", "+@read", "+@connection")  # type: ignore[no-untyped-call]
    url = with_login(own_server.url, f"me:{CANARY}")
    stack = make_stack(
        own_server, sandbox, REDIS_URL=url, CELERY_BROKER_URL=server.url, CELERY_RESULT_BACKEND=server.url
    )
    stack.worker()
    failed = "the tick failed, so that nothing is sent for the accounts that are due: Redis refuses: "

    def causes() -> list[str]:
        return [line.partition(failed)[2] for line in stack.log(0).splitlines() if failed in line]

    wait_for(causes, timeout=3)
    assert causes()[0].startswith("this user lacks a right")
    stack.beat()
    time.sleep(3)  # ten ticks and more
    named = causes()
    assert len(named) == len(set(named))
    admin.execute_command("ACL", "SETUSER", "me", "+@all")  # type: ignore[no-untyped-call]
    wait_for(lambda: "the tick works again" in stack.log(0))
    assert causes() == named
    admin.execute_command("ACL", "SETUSER", "me", "-@write")  # type: ignore[no-untyped-call]
    wait_for(lambda: len(causes()) > len(named))

    assert "refresh_due_tokens[" not in stack.log(0)
    assert CANARY not in stack.logs()


# What Redis repeats of a command that it does not know: with AUTH, and with HELLO, the password.


@pytest.fixture
def without_auth(own_server: RedisServer) -> str:
    """Return the URL, with a password, of a server that does not know AUTH, as some proxies don't."""
    start_anew(own_server, "--rename-command", "AUTH", "")
    return with_login(own_server.url, f":{CANARY}")


@pytest.fixture
def without_hello(own_server: RedisServer) -> str:
    start_anew(own_server, "--rename-command", "HELLO", "")
    return with_login(own_server.url, f"me:{CANARY}") + "?protocol=3"


@pytest.mark.parametrize("way", ["without_auth", "without_hello"])
def test_a_command_that_redis_does_not_know_shows_no_password(way: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(way)
    with TokenReader(url) as reader, pytest.raises(TokenUnavailable) as caught:
        reader.get_token("wx1")

    assert "lacks a command: it is too old, or forbids it" in str(caught.value)
    assert CANARY not in "".join(format_exception(caught.value))
    assert "lacks a command" in refused(url)


def test_no_command_and_no_log_shows_it_either(
    make_stack: Callable[..., Stack], own_server: RedisServer, without_auth: str, sandbox: Sandbox
) -> None:
    stack = make_stack(replace_url(own_server, without_auth), sandbox)
    stack.run("celery", "--app=tokenworker", "worker")
    stack.beat()
    for command in ("check", "get", "refresh", "status"):
        assert stack.run("tokenworker.cli", command).wait(30) == 1
    wait_for(lambda: "unknown command" in stack.log(0) and "unknown command" in stack.log(1), 20)

    assert "unknown command" in stack.log(2)
    assert CANARY not in stack.logs()


# The queue


def broker_fault(url: str) -> str | None:
    with Connection(url, transport="tokenworker.worker.redisbroker.transports:Transport") as connection:
        return redisbroker.fault(connection)


def test_a_broker_that_is_new_enough_is_never_called_too_old(own_server: RedisServer, admin: redis.Redis) -> None:
    admin.execute_command("ACL", "SETUSER", "me", "on", f">{CANARY}", "~tokenworker:*", "+@all", "&*")  # type: ignore[no-untyped-call]

    assert broker_fault(own_server.url) is None
    lacking = broker_fault(with_login(own_server.url, f"me:{CANARY}"))
    assert lacking
    assert lacking.startswith("the queue can't be kept on this broker: Redis refuses: this user lacks a right")
    admin.set("unacked_index", "another program's")
    assert "WRONGTYPE" in str(broker_fault(own_server.url))
    assert "6.2" not in str(broker_fault(own_server.url))


def test_a_cluster_without_its_slots_is_no_old_server(own_server: RedisServer) -> None:
    start_anew(own_server, "--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--appendonly", "no")

    assert "a node of a Redis Cluster" in str(broker_fault(own_server.url))


def test_a_reader_sends_its_task_through_a_proxy_that_speaks_resp2_alone(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a process that has nothing of ours but the reader.
    monkeypatch.setitem(TRANSPORT_ALIASES, "redis", "kombu.transport.redis:Transport")
    with proxy(server, RESP2_ONLY) as url, server.client() as client:
        assert Tasks(url).send(CredentialId("wx1"), None) == ""
        assert client.llen("tokenworker") == 1


def test_a_channel_whose_connection_is_gone_fails_as_celery_knows_it(server: RedisServer) -> None:
    """A task that runs when the broker dies has its message given back by a channel that outlives the connection."""
    with Connection(server.url, transport="tokenworker.worker.redisbroker.transports:Transport") as connection:
        channel: Any = connection.default_channel
        virtual, channel.connection.client = channel.connection.client, None
        with pytest.raises(connection.connection_errors, match="the connection to the broker is closed"):
            channel._get_pool()
        channel.connection.client = virtual
