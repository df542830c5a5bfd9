"""What services in Python read with."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
import redis
from conftest import RedisServer

from tokenworker import Durations, TokenReader, TokenUnavailable
from tokenworker.store import TokenStore
from tokenworker.tokens import AccessToken, fingerprint


def put(store: TokenStore, text: str = "token", life: float = 100) -> None:
    lease = store.take_lease("wx1", 5)
    assert lease
    store.commit(lease, AccessToken(text, lease.taken_at + life), refresh_at=lease.taken_at + life / 2)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_reader_gets_the_live_token(store: TokenStore, server: RedisServer) -> None:
    put(store)
    with TokenReader(server.url) as reader:
        token = reader.get_token("wx1")

    assert token.access_token == "token"
    assert "token" not in repr(token).replace("AccessToken", "")


def test_asked_again_within_a_second_it_answers_without_the_network(store: TokenStore, server: RedisServer) -> None:
    put(store)
    clock = Clock()
    with TokenReader(server.url, clock=clock) as reader:
        reader.get_token("wx1")
        put(store, "newer")
        clock.now = 0.999
        assert reader.get_token("wx1").access_token == "token"
        clock.now = 1.0
        assert reader.get_token("wx1").access_token == "newer"


def test_its_copy_ends_with_the_token(store: TokenStore, server: RedisServer) -> None:
    put(store, life=0.3)
    with TokenReader(server.url, durations=Durations(reader_copy=60)) as reader:
        reader.get_token("wx1")
        time.sleep(0.32)
        with pytest.raises(TokenUnavailable, match="expired"):
            reader.get_token("wx1")


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_while_redis_is_away_it_goes_on_until_30_seconds_before_the_end(own_server: RedisServer, fault: str) -> None:
    with own_server.client() as client:
        put(TokenStore(client))
    clock = Clock()
    with TokenReader(own_server.url, clock=clock) as reader:
        reader.get_token("wx1")
        if fault == "killed":
            own_server.kill()
        else:
            own_server.send_signal(signal.SIGSTOP)
        clock.now = 69.0
        began = time.monotonic()
        assert reader.get_token("wx1").access_token == "token"
        assert time.monotonic() - began < 0.6
        clock.now = 70.5
        with pytest.raises(TokenUnavailable, match="does not answer"):
            reader.get_token("wx1")


def test_without_redis_and_without_a_copy_it_says_so_quickly(own_server: RedisServer) -> None:
    own_server.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    with TokenReader(own_server.url) as reader, pytest.raises(TokenUnavailable, match="wx1"):
        reader.get_token("wx1")

    assert time.monotonic() - began < 0.6


def test_it_says_why_there_is_no_token(store: TokenStore, server: RedisServer) -> None:
    lease = store.take_lease("wx1", 5)
    assert lease
    store.fail(lease, retry_at=9e9, error="WeChat answered 40164", errcode=40164, hint="add it")
    with TokenReader(server.url) as reader, pytest.raises(TokenUnavailable, match="add it") as caught:
        reader.get_token("wx1")

    assert caught.value.errcode == 40164
    assert caught.value.since == pytest.approx(time.time(), abs=5)


def test_of_an_account_that_nobody_keeps_it_says_that(server: RedisServer, client: redis.Redis) -> None:
    with TokenReader(server.url) as reader, pytest.raises(TokenUnavailable, match="nobody keeps a token"):
        reader.get_token("wx9")

    assert client.keys("*") == []


def test_a_reported_token_is_looked_at_next(store: TokenStore, server: RedisServer) -> None:
    put(store)
    with TokenReader(server.url) as reader:
        reader.reject("wx1", "another")
        assert store.look("wx1").rejected == ""
        reader.reject("wx1", "token")

    assert store.look("wx1").rejected == fingerprint("token")
    assert store.take_due(1, 60) == ["wx1"]


def test_the_prefix_is_a_setting(server: RedisServer, client: redis.Redis) -> None:
    put(TokenStore(client, "other"))
    with TokenReader(server.url, prefix="other") as reader:
        assert reader.get_token("wx1").access_token == "token"


def test_reading_needs_neither_celery_nor_requests() -> None:
    code = (
        "import sys, tokenworker\n"
        "tokenworker.TokenReader('redis://127.0.0.1:1/0')\n"
        "print([name for name in ('celery', 'kombu', 'requests', 'urllib3', 'tornado', 'rich') if name in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
