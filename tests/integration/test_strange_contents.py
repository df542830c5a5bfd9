"""Whatever somebody writes under our keys: who looks at it sees what is right, and no fault of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import redis
from support.credentials import put
from support.processes import RedisServer
from support.web import Web

from tokenworker.credential import CredentialId
from tokenworker.store.keys import Keys
from tokenworker.store.store import Store

WX1 = CredentialId("wx1")
HISTORY, COUNTS, STATE = Keys().history(WX1), Keys().counts(WX1), Keys().state(WX1)

GOOD = {"at": 1.5, "event": "refreshed", "cause": "stale", "outcome": "committed", "fingerprint": "0" * 16}
HUGE = "1" + "0" * 400

ODD: list[Any] = [5, [], {}, None, [[[]]], "\ud800"]
EVENTS: list[str | bytes] = [
    "nonsense",
    "[" * 100_000,
    "null",
    '{"event": "refreshed"}',
    b'{"at": 1, "event": "\xff"}',
    *(f'{{"at": {at}, "event": "refreshed"}}' for at in ("NaN", "Infinity", "1e300", HUGE, "true", '"noon"', "-1")),
    *(f'{{"at": 1, "event": {event}}}' for event in ("[]", "{}", "5", "null", '"unheard of"')),
    *(json.dumps(GOOD | {name: value}) for name in GOOD for value in ODD),
    *(json.dumps(GOOD)[:-1] + f', "expires_at": {end}}}' for end in ("NaN", "Infinity", "-1e20", "1e20", HUGE, '"x"')),
    *(json.dumps(GOOD | {"event": "failed"})[:-1] + f', "errcode": {code}}}' for code in (HUGE, "true", "[]", "1.5")),
    '{"at": 1, "event": "failed", "error": ' + "[" * 2000 + "]" * 2000 + "}",
]


@pytest.fixture
def kept(store: Store, client: redis.Redis) -> redis.Redis:
    put(store, "the-token")
    client.lpush(HISTORY, json.dumps(GOOD))
    return client


def run(server: RedisServer, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {"REDIS_URL": server.url, "PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "tokenworker.cli", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def assert_all_look(server: RedisServer) -> None:
    with Web(server.url) as web:
        answers = {path: web.ask(path) for path in ("/", "/metrics", "/v1/status", "/readyz")}
        assert [path for path, answer in answers.items() if answer.status == 500] == []
        found = json.loads(answers["/v1/status"].body, parse_constant=pytest.fail)
        assert [row["account"] for row in found["credentials"]] == ["wx1"]
    for words in (("events",), ("events", "--json"), ("status",), ("status", "--json"), ("metrics",)):
        assert "Traceback" not in run(server, *words).stderr


def test_events_that_are_none_are_passed_over_and_fields_that_do_not_fit_are_left_out(
    server: RedisServer, store: Store, kept: redis.Redis
) -> None:
    kept.lpush(HISTORY, *EVENTS)

    assert store.history.of(WX1)[-1] == GOOD
    assert all(event["event"] in ("refreshed", "failed") for event in store.history.of(WX1))
    assert_all_look(server)


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "9" * 400, "1e300", "many", ""])
def test_a_state_with_what_is_no_number_counts_as_one_without(
    server: RedisServer, kept: redis.Redis, number: str
) -> None:
    names = ("quota_period", "fetched_at", "refresh_at", "failed_at", "retry_at", "probed_at", "fetches_today", "day")
    kept.hset(STATE, mapping=dict.fromkeys(names, number))

    assert_all_look(server)


def test_bytes_that_are_no_text_are_shown_as_such(server: RedisServer, kept: redis.Redis) -> None:
    kept.hset("tokenworker:names", "wx1", b"\xff\xfe")
    kept.hset("tokenworker:clients", b"\xff:reads", 5)
    kept.set("tokenworker:accounts_error", b"\xff")
    kept.set("tokenworker:ticked", "1.2.3.4", ex=60)
    kept.hset(STATE, "error", b"\xff")
    kept.hset(COUNTS, mapping={b"\xff": b"\xfe", b"fetches:\xff:x": b"1", b"took:0.1": b"-3", b"errors:\xff": b"2"})

    assert_all_look(server)
