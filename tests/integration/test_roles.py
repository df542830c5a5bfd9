"""The users of deploy/redis: each can do its part, and no more."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import redis
from support.clusters import ClusterNode, ClusterSet
from support.ports import is_open
from support.processes import RedisServer, Stack, free_port, wait_for, wait_for_beat
from support.roles import FOLDER, NOBODYS, GuardedServer, text, users, with_passwords
from support.usage import by_async_reader, by_reader, command, faults

from tokenworker import TokenReader
from tokenworker.cli.up.embedded import server_binary
from tokenworker.errors import StoreUnavailable, TokenUnavailable
from tokenworker.sandbox import DEMO_APPID, Rules, Sandbox

FILES = sorted(path.name for path in FOLDER.glob("*.acl"))
KEY = f"tokenworker:{{{DEMO_APPID}}}:access_token"

#: redis-py tells the server its name, and goes on when it may not: Redis before 7.2 knows no right of that name, and
#: no file with it.
HARMLESS = ("command client|setinfo", "command client")

#: What an app does that knows the names of our tasks, and nothing else of us.
CALLER = """
import sys
from celery import Celery
app = Celery(broker=sys.argv[1], backend=sys.argv[2])
print(app.send_task("tokenworker.get_token", queue="tokenworker").get(timeout=15)["access_token"])
"""


@dataclass(frozen=True)
class Servers:
    """Where credentials and the queue are: on two servers, or on one."""

    store: GuardedServer
    queue: GuardedServer

    def environ(self, role: str) -> dict[str, str]:
        """Return the settings of somebody with a role; one that has no business at the store gets no user there."""
        user = f"tokenworker-{role}"
        store = self.store.url_of(user) if self.store is self.queue or role in ("worker", "operator", "web") else ""
        queue = self.queue.url_of(user)
        return {"REDIS_URL": store or self.store.url, "CELERY_BROKER_URL": queue, "CELERY_RESULT_BACKEND": queue}

    def refusals(self) -> list[str]:
        found = [refusal for server in {self.store, self.queue} for refusal in server.refusals()]
        return [refusal for refusal in found if not refusal.endswith(HARMLESS)]


def servers_of(layout: str, folder: Path) -> Servers:
    if layout == "together":
        one = GuardedServer(folder / "one", "together.acl")
        return Servers(one, one)
    return Servers(GuardedServer(folder / "store", "store.acl"), GuardedServer(folder / "queue", "queue.acl"))


@pytest.fixture(params=["together", "apart"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Servers]:
    servers = servers_of(request.param, tmp_path)
    with ExitStack() as exits:
        for server in {servers.store, servers.queue}:
            exits.callback(server.kill)
            server.start()
        yield servers


@pytest.fixture
def together(tmp_path: Path) -> Iterator[GuardedServer]:
    server = GuardedServer(tmp_path / "one", "together.acl")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Rules(life=8, overlap=4, force_interval=0.5)) as sandbox:
        yield sandbox


# What each can do


@pytest.mark.timeout(180)
def test_each_role_can_do_its_part_and_nothing_is_refused(
    servers: Servers, make_stack: Callable[..., Stack], sandbox: Sandbox
) -> None:
    stack = make_stack(
        servers.store, sandbox, WECHAT_KEEP="access_token,jsapi_ticket", TOKENWORKER_TIME_SCALE=str(4 / 300)
    )
    worker = stack.worker(**servers.environ("worker"))
    beat = stack.beat(**servers.environ("beat"))
    flower, port = start_flower(stack, servers)
    first = wait_for(lambda: value(servers), timeout=20)
    with servers.store.admin() as client:
        wait_for_beat(client)

    commands_work(stack, servers)
    web_serves(stack, servers, sandbox)
    readers_work(servers, sandbox)
    an_app_calls(servers, sandbox)
    flower_shows(port)
    wait_for(lambda: value(servers) not in ("", first), timeout=20)
    a_message_that_a_dead_worker_took_comes_back(stack, servers)

    assert (worker.poll(), beat.poll(), flower.poll()) == (-9, None, None)
    assert servers.refusals() == []
    assert not re.search("NOPERM|permission", stack.logs())
    a_reader_that_may_not_write_reports_through_the_queue(servers, sandbox)


def a_reader_that_may_not_write_reports_through_the_queue(servers: Servers, sandbox: Sandbox) -> None:
    reader, client = servers.store.url_of("tokenworker-reader"), servers.queue.url_of("tokenworker-client")
    sandbox.revoke()
    with TokenReader(reader, timeout=2, celery=client) as reports:
        dead = reports.get_token(DEMO_APPID).access_token
        reports.reject(DEMO_APPID, dead)
        assert sandbox.verdict(reports.get_token(DEMO_APPID).access_token).works
    # It tries to write first.
    assert set(servers.refusals()) <= {f"tokenworker-reader: command {name}" for name in ("eval", "zadd")}


def start_flower(stack: Stack, servers: Servers) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    options = ("--app=tokenworker", "flower", "--address=127.0.0.1", f"--port={port}")
    flower = stack.run("celery", *options, FLOWER_UNAUTHENTICATED_API="1", **servers.environ("flower"))
    wait_for(lambda: page(port, "/healthcheck"), timeout=20, pause=0.2)
    return flower, port


def page(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=15) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def value(servers: Servers) -> str:
    with servers.store.client_of("tokenworker-reader") as client:
        found = client.get(KEY)
    return found.decode() if isinstance(found, bytes) else ""


def commands_work(stack: Stack, servers: Servers) -> None:
    mine = Stack(stack.folder, stack.environ | servers.environ("operator"))
    assert faults(command(mine, "check", "--call")) == []
    # The ticket comes after the token that it is made from.
    wait_for(lambda: command(mine, "status").returncode == 0, timeout=20)
    wanted = (
        ("get",),
        ("sign", "https://shop.example/"),
        ("refresh", "--force"),
        ("events",),
        ("metrics",),
    )
    done = {words[0]: command(mine, *words) for words in wanted}

    assert {name: run.returncode for name, run in done.items()} == dict.fromkeys(done, 0), done


def readers_work(servers: Servers, sandbox: Sandbox) -> None:
    reader, reporter = (servers.store.url_of(f"tokenworker-{role}") for role in ("reader", "reporter"))
    for read in (by_reader, by_async_reader):
        assert sandbox.verdict(read(reader)).works
    sandbox.revoke()
    with TokenReader(reporter, timeout=2) as reports:
        dead = reports.get_token(DEMO_APPID).access_token
        reports.reject(DEMO_APPID, dead)
        assert sandbox.verdict(reports.get_token(DEMO_APPID).access_token).works


def an_app_calls(servers: Servers, sandbox: Sandbox) -> None:
    url = servers.queue.url_of("tokenworker-client")
    done = subprocess.run([sys.executable, "-c", CALLER, url, url], capture_output=True, text=True, check=False)

    assert sandbox.verdict(done.stdout.strip()).works, done.stderr


def web_serves(stack: Stack, servers: Servers, sandbox: Sandbox) -> None:
    port = free_port()
    web = stack.web(port, **servers.environ("web"))
    wait_for(lambda: page(port, "/healthz"), timeout=20, pause=0.2)
    path = f"/v1/credentials/{DEMO_APPID}/access_token"
    dead = json.loads(wait_for(lambda: page(port, path)))["value"]
    sandbox.revoke()
    report = json.dumps({"value": dead}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}/reject", data=report, timeout=15) as answer:
        assert answer.status < 300
    assert sandbox.verdict(json.loads(wait_for(lambda: page(port, path)))["value"]).works
    assert "tokenworker_credential_ready" in page(port, "/metrics")
    for name in (f"/v1/status?account={DEMO_APPID}", "/", "/readyz"):
        wait_for(partial(page, port, name))
    web.terminate()
    assert web.wait(timeout=15) == 0


def flower_shows(port: int) -> None:
    assert "w0@test" in page(port, "/api/workers?refresh=1")
    assert "tokenworker.refresh_token" in page(port, "/api/tasks")
    for path, word in {"/workers": "w0@test", "/tasks": "Tasks", "/broker": "tokenworker"}.items():
        assert word in page(port, path), path


def a_message_that_a_dead_worker_took_comes_back(stack: Stack, servers: Servers) -> None:
    """As after a power cut: another worker gives back to the queue what was taken and not done."""
    stack.processes[0].kill()
    stack.processes[0].wait()
    with servers.queue.admin() as client:
        taken = '[{"body": "e30=", "headers": {}, "properties": {"delivery_info": {}}}, "", "tokenworker"]'
        client.hset("unacked", "lost", taken)
        client.zadd("unacked_index", {"lost": time.time() - 3600})
        stack.worker(**servers.environ("worker"))
        wait_for(lambda: not client.hexists("unacked", "lost"), timeout=20)


# What each can't do


def test_a_reader_reads_credentials_and_changes_nothing(together: GuardedServer) -> None:
    with together.admin() as admin, together.client_of("tokenworker-reader") as client:
        admin.set(KEY, "token")
        admin.lpush("tokenworker", "message")

        assert client.get(KEY) == b"token"
        for words in (("SET", KEY, "x"), ("DEL", KEY), ("HSET", f"{KEY}:state", "a", "b"), ("EVAL", "return 1", "0")):
            refused(client, *words)
        for words in (
            ("GET", "elsewhere"),
            ("LRANGE", "tokenworker", "0", "-1"),
            ("KEYS", "*"),
            ("CONFIG", "GET", "*"),
        ):
            refused(client, *words)


def test_a_reporter_puts_no_credential_of_its_own_there_and_sees_nothing_else(together: GuardedServer) -> None:
    with together.admin() as admin, together.client_of("tokenworker-reporter") as client:
        admin.set("elsewhere", "secret")
        admin.set("celery-task-meta-1", "a result with a token")

        script = "return redis.call('{}', KEYS[1], 'x')"
        for key in ("elsewhere", "celery-task-meta-1", "tokenworker", "tokenworker:names"):
            refused(client, "GET", key)
            refused(client, "EVAL", script.format("GET"), "1", key)
        refused(client, "SET", KEY, "x")
        refused(client, "EVAL", script.format("SET"), "1", KEY)
        refused(client, "DEL", KEY)


@pytest.mark.parametrize("role", ["beat", "flower", "client"])
def test_who_has_only_the_queue_reads_no_credential(together: GuardedServer, role: str) -> None:
    with together.admin() as admin, together.client_of(f"tokenworker-{role}") as client:
        admin.set(KEY, "token")

        refused(client, "GET", KEY)
        refused(client, "EVAL", "return redis.call('GET', KEYS[1])", "1", KEY)


def test_a_client_gives_no_orders_to_workers(together: GuardedServer) -> None:
    with together.client_of("tokenworker-client") as client:
        refused(client, "PUBLISH", "/0.celery.pidbox", "shutdown")
        refused(client, "LPUSH", "worker@host.celery.pidbox", "shutdown")


@pytest.mark.parametrize("user", [user for user in users("together.acl") if user != "admin"])
def test_nobody_manages_the_server(together: GuardedServer, user: str) -> None:
    with together.client_of(user) as client:
        for words in (("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("SHUTDOWN",)):
            refused(client, *words)


def refused(client: Any, *words: str) -> None:
    with pytest.raises((redis.exceptions.NoPermissionError, redis.ResponseError), match=r"permission|ACL"):
        client.execute_command(*words)


# The files


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("program", [str(server_binary()), which("redis-server")])
def test_servers_load_the_files_as_they_are_and_let_nobody_in(tmp_path: Path, name: str, program: str | None) -> None:
    if program is None:
        pytest.skip("no redis-server is on the PATH")
    server = RedisServer(tmp_path, program=Path(program))
    server.options = ("--aclfile", str(FOLDER / name))
    server.start()
    with redis.Redis(port=server.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    server.kill()


@pytest.mark.parametrize("name", FILES)
def test_no_password_is_in_the_files(name: str) -> None:
    lines = text(name).splitlines()

    assert lines[0] == "user default off"
    assert all(line.split()[2:4] == ["on", NOBODYS] for line in lines[1:])


def test_one_server_for_both_gives_each_what_it_has_on_two() -> None:
    both, apart = rights("together.acl"), [rights("store.acl"), rights("queue.acl")]

    assert {user: set().union(*(one.get(user, set()) for one in apart)) for user in both} == both


def rights(name: str) -> dict[str, set[str]]:
    return {line.split()[1]: set(line.split()[3:]) for line in text(name).splitlines()[1:]}


# Replicas and Sentinels


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[GuardedServer, GuardedServer]]:
    """A master and its replica, which log in at each other."""
    master, replica = pair = tuple(GuardedServer(tmp_path / name, "together.acl") for name in ("first", "second"))
    with ExitStack() as exits:
        for server in pair:
            login = ("--masteruser", "replica", "--masterauth", "replica"[::-1])
            server.options += (*login, "--repl-diskless-sync-delay", "0")
            exits.callback(server.kill)
            server.start()
        with master.admin() as there, replica.admin() as here:
            here.execute_command("REPLICAOF", "127.0.0.1", master.port)
            there.set(KEY, "token")
            wait_for(lambda: here.get(KEY) == b"token", timeout=20)
        yield master, replica


@pytest.fixture
def sentinel(tmp_path: Path, pair: tuple[GuardedServer, GuardedServer]) -> Iterator[int]:
    """One Sentinel that watches them; gives its port."""
    port, conf = free_port(), tmp_path / "sentinel.conf"
    conf.write_text(
        f'port {port}\nbind 127.0.0.1\ndir "{tmp_path}"\nsentinel monitor shop 127.0.0.1 {pair[0].port} 1\n'
        f"sentinel auth-user shop sentinel\nsentinel auth-pass shop {'sentinel'[::-1]}\n"
        "sentinel down-after-milliseconds shop 1000\nsentinel failover-timeout shop 3000\n"
    )
    process = subprocess.Popen([str(server_binary()), str(conf), "--sentinel"], stdout=subprocess.DEVNULL)
    wait_for(lambda: is_open(port))
    yield port
    process.terminate()
    process.wait()


def test_sentinels_put_a_replica_in_the_masters_place(pair: tuple[GuardedServer, GuardedServer], sentinel: int) -> None:
    with redis.Redis(port=sentinel) as asked, pair[1].admin() as second:
        asked.sentinel_set("shop", "down-after-milliseconds", 900)
        asked.execute_command("SENTINEL", "DEBUG", "INFO-PERIOD", "300")
        wait_for(lambda: asked.sentinel_slaves("shop"), timeout=20)
        wait_for(lambda: ordered(asked), timeout=20, pause=0.3)
        wait_for(lambda: second.info("replication")["role"] == "master", timeout=20)
        with pair[0].admin() as first:
            wait_for(lambda: first.info("replication").get("master_link_status") == "up", timeout=30)

    assert [refusal for server in pair for refusal in server.refusals()] == []


def ordered(sentinel: Any) -> bool:
    try:
        sentinel.execute_command("SENTINEL", "FAILOVER", "shop")
    except redis.ResponseError:
        return False  # it does not know the replica well yet
    return True


# A cluster


@pytest.mark.timeout(120)
def test_roles_do_their_part_on_a_cluster(
    tmp_path: Path, make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox
) -> None:
    with guarded_cluster(tmp_path) as cluster:
        elsewhere = {"CELERY_BROKER_URL": server.url, "CELERY_RESULT_BACKEND": server.url, "TOKENWORKER_REPLICAS": "1"}
        stack = make_stack(server, sandbox, REDIS_URL=as_user(cluster, "worker"), **elsewhere)
        stack.worker()
        stack.beat()
        reader, reporter = as_user(cluster, "reader"), as_user(cluster, "reporter")
        wait_for(lambda: has_token(reader), timeout=20, pause=0.2)
        sandbox.revoke()
        with TokenReader(reporter, timeout=2) as reports:
            reports.reject(DEMO_APPID, reports.get_token(DEMO_APPID).access_token)
            assert sandbox.verdict(reports.get_token(DEMO_APPID).access_token).works
        assert sandbox.verdict(by_async_reader(reader)).works
        stack.environ["REDIS_URL"] = as_user(cluster, "operator")
        assert faults(command(stack, "check")) == []
        wait_for(lambda: command(stack, "status").returncode == 0, timeout=20)

        logged = [entry for node in cluster.nodes for entry in log_of(node)]
        assert [entry for entry in logged if not entry.endswith(HARMLESS)] == []


@contextmanager
def guarded_cluster(folder: Path) -> Iterator[ClusterSet]:
    """A cluster whose nodes load the users; the tests' own may do all."""
    users = folder / "users.acl"
    users.write_text(with_passwords("store.acl").partition("\n")[2], encoding="utf-8")
    cluster = ClusterSet(folder / "set")
    for node in cluster.nodes:
        with (node.folder / "redis.conf").open("a") as conf:
            conf.write(f'aclfile "{users}"\n')
    with cluster:
        yield cluster


def as_user(cluster: ClusterSet, role: str) -> str:
    user = f"tokenworker-{role}"
    return cluster.url.replace("//", f"//{user}:{user[::-1]}@")


def has_token(url: str) -> bool:
    with suppress(TokenUnavailable, StoreUnavailable):
        return bool(by_reader(url))
    return False


def log_of(node: ClusterNode) -> list[str]:
    with node.admin() as client:
        return [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in client.acl_log()]
