"""Services with nothing but HTTP, on a whole stack: they report and get, and parts of it die in the middle."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from support.credentials import put
from support.processes import RedisServer, Stack, free_port, wait_for
from support.web import Answer, Web, ask, clients_file

from tokenworker.sandbox import DEMO_APPID, Rules, Sandbox

#: Where workers refresh, and where the test puts what there is.
PATH = f"/v1/credentials/{DEMO_APPID}/access_token"
TOKEN, TICKET = "/v1/credentials/wx1/access_token", "/v1/credentials/wx1/jsapi_ticket"
#: A token lives a minute, and an overlap is 15 s.
SCALE = "0.05"


class PatientWeb(Web):
    """With shrunk times, a busy machine would take longer than a reader waits."""

    patience = 10.0


pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="services with curl need curl")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Rules(life=60, overlap=15)) as sandbox:
        yield sandbox


@pytest.fixture
def running(make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox, client: redis.Redis) -> Stack:
    stack = make_stack(server, sandbox, TOKENWORKER_TIME_SCALE=SCALE)
    stack.worker()
    stack.beat()
    wait_for(lambda: client.get(f"tokenworker:{{{DEMO_APPID}}}:access_token"), timeout=20)
    return stack


@contextmanager
def serving(stack: Stack, **environ: str) -> Iterator[str]:
    """Run a web process, and yield its URL."""
    port = free_port()
    process = stack.web(port, **environ)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    assert process.wait(15) == 0


def curl(*arguments: str) -> Any:
    result = subprocess.run(["curl", "-sS", "-m", "20", *arguments], capture_output=True, text=True, check=True)  # noqa: S607
    return json.loads(result.stdout)


def test_a_service_with_only_curl_gets_reports_and_gets_again(running: Stack, sandbox: Sandbox, tmp_path: Path) -> None:
    key = clients_file(tmp_path, php="")["php"]
    bearer = f"Authorization: Bearer {key}"
    with serving(running, TOKENWORKER_WEB_CLIENTS=str(tmp_path / "clients.toml")) as url:
        first = curl("-H", bearer, url + PATH)["value"]
        sandbox.revoke(DEMO_APPID)
        before = sandbox.counts().fetches
        report = curl("-H", bearer, "--json", json.dumps({"value": first}), f"{url}{PATH}/reject")
        second = curl("-H", bearer, url + PATH)["value"]
        shaped = curl(f"{url}/cgi-bin/token?grant_type=client_credential&appid={DEMO_APPID}&secret={key}")

    assert report["name"] == "access_token"
    assert second != first
    assert sandbox.verdict(second).works
    assert shaped["access_token"] == second
    assert sandbox.counts().fetches == before + 1
    assert key not in running.logs()
    assert first not in running.logs()


@pytest.mark.usefixtures("running")
def test_thirty_two_clients_with_a_revoked_token_cause_one_fetch(server: RedisServer, sandbox: Sandbox) -> None:
    with PatientWeb(server.url, TOKENWORKER_TIME_SCALE=SCALE) as web:
        dead = web.ask(PATH).json["value"]
        sandbox.revoke(DEMO_APPID)
        before = sandbox.counts().fetches

        def again(_: int) -> tuple[int, str]:
            reported = web.ask(f"{PATH}/reject", body={"value": dead})
            return reported.status, web.ask(PATH).json["value"]

        with ThreadPoolExecutor(32) as clients:
            answers = set(clients.map(again, range(32)))

    assert len(answers) == 1
    [(status, value)] = answers
    assert status == 202
    assert value != dead
    assert sandbox.verdict(value).works
    assert sandbox.counts().fetches == before + 1


@pytest.mark.usefixtures("running")
def test_a_forced_refresh_by_many_that_have_a_dead_token_causes_one_fetch(
    server: RedisServer, sandbox: Sandbox
) -> None:
    claim = {"grant_type": "client_credential", "appid": DEMO_APPID, "secret": "any", "force_refresh": True}
    with PatientWeb(server.url, TOKENWORKER_TIME_SCALE=SCALE) as web:
        dead = web.ask(PATH).json["value"]
        before = sandbox.counts().fetches
        alive = web.ask("/cgi-bin/stable_token", body=claim).json
        assert (alive["access_token"], sandbox.counts().fetches) == (dead, before)
        # No longer than that is it believed that a token works which was tested.
        time.sleep(30 * float(SCALE) + 0.2)
        sandbox.revoke(DEMO_APPID)
        with ThreadPoolExecutor(16) as clients:
            answers = list(clients.map(lambda _: web.ask("/cgi-bin/stable_token", body=claim).json, range(16)))

    assert {sandbox.verdict(answer["access_token"]).works for answer in answers} == {True}
    assert sandbox.counts().fetches == before + 1


# Parts that die


def until_back(question: Callable[[], Answer]) -> float:
    """Ask until there is a credential, and return the seconds that it took."""
    began = time.monotonic()
    wait_for(lambda: question().status == 200)
    return time.monotonic() - began


def test_a_web_process_that_was_killed_is_back_when_it_is_started(stack: Stack, client: redis.Redis) -> None:
    put(client, "the-token", account=DEMO_APPID)
    port = free_port()
    for _ in range(2):
        process = stack.web(port)
        took = until_back(lambda: ask(f"http://127.0.0.1:{port}{PATH}"))
        process.kill()
        process.wait()

    print(f"answered {took:.3f} s after it listened again")
    assert took < 2


@pytest.fixture
def filled(own_server: RedisServer) -> RedisServer:
    """A server of the test's own that holds a token and a ticket."""
    with own_server.client() as client:
        put(client, "the-token")
        put(client, "the-ticket", name="jsapi_ticket")
    return own_server


def test_while_its_redis_is_away_it_says_so_or_goes_on_with_what_it_has(filled: RedisServer) -> None:
    with Web(filled.url) as web:
        assert web.ask(TOKEN).status == 200
        filled.kill()
        time.sleep(1.1)
        began = time.monotonic()
        had, missing = web.ask(TOKEN), web.ask(TICKET)
        forms = [
            web.ask(f"/cgi-bin/ticket/getticket?type=jsapi&access_token={had.json['value']}"),
            web.ask("/v1/status"),
        ]
        took = time.monotonic() - began
        alive = web.ask("/healthz")
        filled.start()
        back = until_back(lambda: web.ask(TICKET))

    assert (had.status, had.json["value"], alive.status) == (200, "the-token", 200)
    assert missing.status == 503
    assert missing.json["reason"].startswith("Redis does not answer (")
    assert int(missing.headers["Retry-After"]) >= 1
    assert forms[0].json["errcode"] == -1
    assert "Redis does not answer" in forms[0].json["errmsg"]
    assert forms[1].status == 503
    print(f"answers while Redis is away: {took:.2f} s for four; back after {back:.2f} s")
    assert back < 2


def test_while_its_redis_is_frozen_nobody_waits_long(filled: RedisServer) -> None:
    paths = [TOKEN, TICKET, "/v1/credentials/wx2/access_token"]
    with Web(filled.url) as web:
        web.ask(TOKEN)
        time.sleep(1.1)
        filled.send_signal(signal.SIGSTOP)
        with ThreadPoolExecutor(30) as clients:
            began = time.monotonic()
            answers = list(clients.map(lambda path: (web.ask(path).status, time.monotonic()), paths * 10))
        filled.send_signal(signal.SIGCONT)
        back = until_back(lambda: web.ask(TICKET))

    assert {status for status, _ in answers[::3]} == {200}
    assert {status for status, _ in answers} == {200, 503}
    token, others = (max(at - began for _, at in some) for some in (answers[::3], answers))
    print(f"the token after {token:.2f} s, the others after {others:.2f} s; back after {back:.2f} s")
    assert others < 4
    assert back < 2


def test_it_starts_while_redis_is_away(own_server: RedisServer) -> None:
    own_server.kill()
    with Web(own_server.url) as web:
        alive, missing = web.ask("/healthz"), web.ask("/v1/credentials/shop/access_token")
        own_server.start()
        with own_server.client() as client:
            put(client, "the-token")
            client.hset("tokenworker:names", "wx1", "shop")
        back = until_back(lambda: web.ask("/v1/credentials/shop/access_token"))

    assert (alive.status, missing.status) == (200, 503)
    assert missing.json["reason"].startswith("Redis does not answer (")
    print(f"back after {back:.2f} s")
    assert back < 2


def test_without_its_broker_it_reads_and_reports_and_says_why_it_can_have_nothing_fetched(
    server: RedisServer, own_server: RedisServer, client: redis.Redis
) -> None:
    put(client, "the-token")
    client.zadd("tokenworker:due", {f"wx1:{name}": time.time() + 1000 for name in ("jsapi_ticket", "sdk_ticket")})
    settings = {"CELERY_BROKER_URL": own_server.url, "TOKENWORKER_TIME_SCALE": "0.1"}
    with Web(server.url, **settings) as web:
        own_server.kill()
        read, report = web.ask(TOKEN), web.ask(f"{TOKEN}/reject", body={"fingerprint": "0" * 16})
        began = time.monotonic()
        missing = web.ask(TICKET)
        took = time.monotonic() - began
        own_server.start()
        began = time.monotonic()
        web.ask("/v1/credentials/wx1/sdk_ticket")
        with own_server.client() as broker:
            wait_for(lambda: broker.llen("tokenworker") == 1, timeout=2)
        back = time.monotonic() - began

    assert (read.status, report.status) == (200, 202)
    assert missing.status == 503
    assert "the task tokenworker.refresh_token can't be sent" in missing.json["reason"] or (
        "the broker does not take the task" in missing.json["reason"]
    )
    print(f"said after {took:.2f} s; a worker is asked {back:.2f} s after the broker is back")
    assert back < 2


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("config set maxmemory 1", "Redis refuses: its memory is full: raise maxmemory"),
        ("replicaof 127.0.0.1 1", "Redis refuses: it is a replica, which takes no writes: name its master"),
    ],
)
def test_a_report_that_redis_refuses_is_a_problem_that_says_why(filled: RedisServer, command: str, reason: str) -> None:
    with Web(filled.url) as web:
        assert web.ask(TOKEN).status == 200
        with filled.client() as client:
            client.execute_command(*command.split())
        answer = web.ask(f"{TOKEN}/reject", body={"value": "the-token"})

    assert answer.status == 503
    assert answer.json["detail"].startswith(reason)
