"""The whole path on real parts: beat, queue, worker, HTTP, Redis, reader."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from celery import Celery
from celery.exceptions import TimeoutError as NoResult
from support.processes import RedisServer, Stack, wait_for

from tokenworker import TokenReader
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Rules, Sandbox

KEY = f"tokenworker:{{{DEMO_APPID}}}:access_token"
STATE = f"{KEY}:state"


def foreign_app(url: str) -> Celery:
    """An app that knows nothing of tokenworker but the names of its tasks and queue."""
    app = Celery("foreign", broker=url, backend=url)
    app.conf.broker_connection_retry_on_startup = True
    return app


def token_bytes(client: redis.Redis) -> bytes:
    value = wait_for(lambda: client.get(KEY))
    assert isinstance(value, bytes)
    return value


@contextmanager
def watched_events(app: Celery) -> Iterator[list[dict[str, Any]]]:
    """Collect Celery's events, as Flower does."""
    events: list[dict[str, Any]] = []
    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": events.append})
        thread = threading.Thread(target=lambda: receiver.capture(limit=None, timeout=None, wakeup=True))
        thread.start()
        # The heartbeats that it wakes up show that it is subscribed.
        wait_for(lambda: events)
        yield events
        receiver.should_stop = True
        thread.join()


def test_over_ten_lives_a_reader_never_misses_and_never_reads_a_dead_token(
    make_stack: Callable[..., Stack], server: RedisServer, client: redis.Redis
) -> None:
    life, lives = 2.0, 10
    with Sandbox(Rules(life=life, overlap=0.8)) as sandbox:
        stack = make_stack(server, sandbox, TOKENWORKER_TIME_SCALE=str(0.79 / 295), TOKENWORKER_TICK="0.1")
        stack.worker()
        stack.beat()
        wait_for(lambda: client.get(KEY))
        reads, bad, end = 0, [], time.monotonic() + life * lives
        while time.monotonic() < end:
            value = client.get(KEY)
            assert isinstance(value, bytes | None)
            verdict = sandbox.verdict(value.decode()).verdict if value else "missing"
            reads += 1
            if verdict not in ("current", "overlap"):
                bad.append(verdict)
            time.sleep(0.01)
        fetches = sandbox.counts().fetches
    # Each token is replaced 0.8 s before its end, so ten lives of 2 s take a little more than 10 tokens.
    spans = life * lives / (life - 0.8)
    print(f"{reads} reads, {len(bad)} bad, {fetches} fetches in {spans:.1f} spans")
    assert not bad
    assert fetches <= spans + 1


def test_the_first_token_is_there_before_beat_ticks(stack: Stack, client: redis.Redis) -> None:
    stack.worker()

    wait_for(lambda: client.get(KEY), timeout=2)


def test_an_app_that_does_not_import_this_package_gets_a_token(
    stack: Stack, server: RedisServer, sandbox: Sandbox
) -> None:
    stack.worker()
    code = (
        "import sys\n"
        "from celery import Celery\n"
        f"app = Celery(broker={server.url!r}, backend={server.url!r})\n"
        "result = app.send_task('tokenworker.get_token', queue='tokenworker').get(timeout=10)\n"
        "assert not [name for name in sys.modules if name.startswith('tokenworker')]\n"
        "print(result['appid'], result['expires_in'], result['access_token'])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/").stdout
    appid, expires_in, token = output.split()

    assert appid == DEMO_APPID
    assert 0 < int(expires_in) <= 20
    assert sandbox.verdict(token).verdict == "current"


def test_get_token_fetches_when_there_is_none(stack: Stack, server: RedisServer, client: redis.Redis) -> None:
    stack.worker()
    wait_for(lambda: client.get(KEY))
    client.delete(KEY)
    with foreign_app(server.url) as app:
        result = app.send_task("tokenworker.get_token", queue="tokenworker").get(timeout=10)

    value = client.get(KEY)
    assert isinstance(value, bytes)
    assert result["access_token"] == value.decode()


def test_no_token_and_no_secret_shows_in_logs_events_or_results_meant_for_people(
    stack: Stack, server: RedisServer
) -> None:
    stack.worker("--loglevel=DEBUG", WECHAT_ENDPOINT="token")
    stack.beat()
    with foreign_app(server.url) as app, watched_events(app) as events:
        token = app.send_task("tokenworker.get_token", kwargs={"rejected": "x" * 136}, queue="tokenworker").get(
            timeout=10
        )["access_token"]
        for misplaced in ({"args": [token]}, {"kwargs": {"appid": DEMO_SECRET}}):
            call = app.send_task("tokenworker.get_token", queue="tokenworker", **misplaced)
            assert "a token goes into rejected" in str(call.get(timeout=10, propagate=False))
        app.send_task("tokenworker.refresh_token", kwargs={"early": True}, queue="tokenworker").get(timeout=10)
        status = app.send_task("tokenworker.status", queue="tokenworker").get(timeout=10)
        wait_for(lambda: [event for event in events if event["type"] == "task-succeeded" and "fresh" in repr(event)])

    names = {event.get("name") for event in events}
    assert "tokenworker.get_token" in names
    assert "tokenworker.refresh_due_tokens" not in names
    for shown in (stack.logs(), repr(events), repr(status)):
        assert token not in shown
        assert DEMO_SECRET not in shown
        assert "x" * 136 not in shown


def test_a_wrong_secret_says_what_to_do_and_spares_wechat(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox
) -> None:
    stack = make_stack(server, sandbox, WECHAT_SECRET="f" * 32)
    stack.worker()
    with foreign_app(server.url) as app:
        result = app.send_task("tokenworker.get_token", queue="tokenworker")
        with pytest.raises(Exception, match="invalid appsecret") as caught:
            result.get(timeout=10)

    assert type(caught.value).__name__ == "TokenUnavailable"
    assert "check the AppSecret" in str(caught.value)
    assert sandbox.counts().fetches == 1
    assert "f" * 32 not in stack.logs() + str(caught.value)


def test_an_ip_off_the_whitelist_is_named(stack: Stack, client: redis.Redis, sandbox: Sandbox) -> None:
    sandbox.add_account(DEMO_APPID, whitelist=["203.0.113.9"])
    stack.worker()

    hint = wait_for(lambda: client.hget(STATE, "hint"))
    assert b"add 127.0.0.1 to the IP whitelist" in hint


def test_what_worked_goes_on_working_while_wechat_is_down(stack: Stack, client: redis.Redis, sandbox: Sandbox) -> None:
    stack.worker(TOKENWORKER_TIME_SCALE="0.001")
    before = token_bytes(client)
    time.sleep(0.3)
    sandbox.fault("status", status=502, times=None)
    with foreign_app(stack.environ["REDIS_URL"]) as app:
        app.send_task("tokenworker.refresh_token", kwargs={"early": True}, queue="tokenworker")
        wait_for(lambda: client.hget(STATE, "error"))

        assert client.get(KEY) == before
        assert int(client.pttl(KEY)) > 10_000

        sandbox.clear_faults()
        sandbox.revoke()
        fresh = app.send_task("tokenworker.get_token", kwargs={"rejected": before.decode()}, queue="tokenworker")
        assert sandbox.verdict(fresh.get(timeout=10)["access_token"]).works


def test_a_worker_without_an_account_says_everything_that_is_missing_and_ends(stack: Stack) -> None:
    process = stack.worker(WECHAT_SECRET="", REDIS_URL="http://nonsense", TOKENWORKER_TICK="soon")

    assert process.wait(5) != 0
    log = stack.log(0)
    assert "WECHAT_SECRET" in log
    assert "REDIS_URL" in log
    assert "TOKENWORKER_TICK" in log
    assert "Traceback" not in log


def test_tokens_stay_fresh_after_redis_was_killed_and_came_back(
    make_stack: Callable[..., Stack], own_server: RedisServer, sandbox: Sandbox
) -> None:
    stack = make_stack(own_server, sandbox)
    stack.worker()
    stack.beat()
    with own_server.client() as client:
        before = wait_for(lambda: client.get(KEY))
    own_server.kill()
    time.sleep(0.5)
    own_server.start()
    with own_server.client() as client:
        assert client.get(KEY) == before
        client.delete(KEY)
        wait_for(lambda: client.get(KEY), timeout=20)


def test_beat_may_die_for_good_and_no_reader_notices(stack: Stack, client: redis.Redis) -> None:
    with Sandbox(Rules(life=3, overlap=1.5)) as quick:
        stack.environ["WECHAT_API_URL"] = quick.url
        stack.environ["TOKENWORKER_TIME_SCALE"] = str(1.4 / 295)
        stack.worker()
        first = wait_for(lambda: client.get(KEY))
        end = time.monotonic() + 4
        while time.monotonic() < end:
            value = client.get(KEY)
            assert isinstance(value, bytes)
            assert quick.verdict(value.decode()).verdict in ("current", "overlap")
            time.sleep(0.05)
        assert value != first


def test_two_beats_and_a_message_sent_a_hundred_times_make_one_fetch(
    stack: Stack, client: redis.Redis, server: RedisServer, sandbox: Sandbox
) -> None:
    stack.worker()
    stack.beat()
    stack.beat()
    wait_for(lambda: client.get(KEY))
    with foreign_app(server.url) as app:
        sent = [app.send_task("tokenworker.refresh_token", queue="tokenworker") for _ in range(100)]
        outcomes = [result.get(timeout=10)["outcome"] for result in sent]

    assert set(outcomes) <= {"fresh", "busy"}
    assert sandbox.counts().fetches == 1


def test_tasks_load_into_somebody_elses_app(stack: Stack, server: RedisServer, client: redis.Redis) -> None:
    (stack.folder / "theirs.py").write_text(
        "from celery import Celery\n"
        f"app = Celery('theirs', broker={server.url!r}, backend={server.url!r})\n"
        "app.conf.include = ['tokenworker.worker.tasks', 'tokenworker.worker.watchdog']\n"
        "app.conf.beat_schedule = {'tokenworker': {'task': 'tokenworker.refresh_due_tokens', 'schedule': 0.2,"
        " 'options': {'ignore_result': True}}}\n"
    )
    stack.run("celery", "--app=theirs", "worker", "-B", "-P", "threads", "-Q", "celery,tokenworker", "--loglevel=INFO")

    wait_for(lambda: client.get(KEY))
    with foreign_app(server.url) as app:
        assert app.send_task("tokenworker.get_token", queue="tokenworker").get(timeout=10)["appid"] == DEMO_APPID


def test_a_foreign_worker_on_another_queue_leaves_our_tasks_alone(stack: Stack, server: RedisServer) -> None:
    (stack.folder / "theirs.py").write_text(
        f"from celery import Celery\napp = Celery('theirs', broker={server.url!r}, backend={server.url!r})\n"
    )
    stack.run("celery", "--app=theirs", "worker", "-P", "solo", "--loglevel=INFO")
    wait_for(lambda: " ready." in stack.log(0))
    with foreign_app(server.url) as app:
        result = app.send_task("tokenworker.get_token", queue="tokenworker")
        with pytest.raises(NoResult):
            result.get(timeout=0.5)
        stack.worker()

        assert result.get(timeout=10)["appid"] == DEMO_APPID


def test_the_leak_command_kills_a_leaked_token(
    make_stack: Callable[..., Stack], server: RedisServer, client: redis.Redis
) -> None:
    with Sandbox(Rules(life=20, overlap=10, force_interval=0.3)) as sandbox:
        stack = make_stack(server, sandbox, TOKENWORKER_TIME_SCALE="0.01")
        stack.worker()
        leaked = token_bytes(client).decode()
        process = stack.run("tokenworker.cli", "leak")

        assert process.wait(20) == 0
        assert "The leaked token is dead" in stack.log(1)
        assert sandbox.verdict(leaked).verdict == "superseded"
        assert sandbox.verdict(token_bytes(client).decode()).verdict == "current"


def test_redis_may_be_reached_through_a_socket_file(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox
) -> None:
    url = f"unix://{server.folder}/redis.sock?db=1"
    stack = make_stack(server, sandbox, REDIS_URL=url)
    stack.worker()
    refresh = stack.run("tokenworker.cli", "refresh")

    assert refresh.wait(20) == 0
    with TokenReader(url) as reader:
        assert sandbox.verdict(reader.get_token(DEMO_APPID).access_token).works
