"""`/healthz` and `/readyz`: whether the process lives, and whether all can be had; in time, whatever Redis does."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.credentials import put
from support.processes import RedisServer
from support.readers import calls
from support.web import Answer, Web, clients_file

from tokenworker.credential import CredentialId
from tokenworker.store.store import Store

#: The patience of half a second, and what a busy machine adds to it; a store without patience takes 6.
SOON = 4.0


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def keep(store: Store, *accounts: str, missing: tuple[str, ...] = ()) -> None:
    """Keep tokens, and have ticks come."""
    for account in accounts:
        put(store, account=account)
    store.schedule.add(CredentialId(account) for account in (*accounts, *missing))
    store.notes.set_ticked(20)


def test_it_lives_since_when_it_began(server: RedisServer) -> None:
    with Web(server.url) as web:
        told = web.ask("/healthz").json

    assert told["live"] is True
    assert 0 <= told["uptime"] < 3600
    assert told["since"].endswith("+00:00")


def test_it_lives_without_redis(own_server: RedisServer) -> None:
    with Web(own_server.url) as web:
        assert web.ask("/healthz").status == 200
        own_server.send_signal(signal.SIGSTOP)
        with within(SOON):
            assert web.ask("/healthz").status == 200
        own_server.send_signal(signal.SIGCONT)


def test_all_is_ready_when_each_credential_is_there_and_ticks_come(server: RedisServer, store: Store) -> None:
    keep(store, "wx1", "wx2")
    with Web(server.url) as web:
        answer = web.ask("/readyz")

    assert answer.status == 200
    assert answer.json.pop("ticked_ago") < 60
    assert answer.json | {"ticked_ago": 0} == {
        "ready": True,
        "faults": [],
        "ticked_ago": 0,
        "credentials": 2,
        "missing": 0,
        "named": [],
    }


def test_what_is_missing_is_named(server: RedisServer, store: Store) -> None:
    keep(store, "wx1", missing=("wx2", "wx3"))
    with Web(server.url) as web:
        answer = web.ask("/readyz")

    assert answer.status == 503
    assert answer.json["ready"] is False
    assert answer.json["faults"] == ["2 of 3 credentials are missing: `tokenworker status` says why"]
    assert answer.json["named"] == [{"account": f"wx{number}", "credential": "access_token"} for number in (2, 3)]


def test_of_many_that_are_missing_some_are_named(server: RedisServer, store: Store) -> None:
    keep(store, missing=tuple(f"wx{number}" for number in range(300)))
    with Web(server.url) as web:
        told = web.ask("/readyz").json

    assert (told["missing"], len(told["named"])) == (300, 20)


def test_nobody_without_a_key_learns_which_accounts_there_are(
    server: RedisServer, store: Store, tmp_path: Path
) -> None:
    keep(store, missing=("wx2",))
    keys = clients_file(tmp_path, ops='scopes = ["status"]', shop='scopes = ["read"]')
    with Web(server.url, TOKENWORKER_WEB_CLIENTS=str(tmp_path / "clients.toml")) as web:
        answers = {key: web.ask("/readyz", key) for key in ("", keys["shop"], keys["ops"])}

    assert {answer.status for answer in answers.values()} == {503}
    assert ["wx2" in answer.body.decode() for answer in answers.values()] == [False, False, True]


@pytest.mark.parametrize("ticked", ["never", "long ago"])
def test_without_ticks_it_is_not_ready(server: RedisServer, store: Store, ticked: str) -> None:
    keep(store, "wx1")
    with server.client() as client, Web(server.url) as web:
        if ticked == "never":
            client.delete("tokenworker:ticked")
        else:
            client.pexpire("tokenworker:ticked", 86_400_000 - 90_000)
        answer = web.ask("/readyz")

    since = "for a day" if ticked == "never" else "for 90 s"
    assert answer.status == 503
    assert answer.json["faults"] == [
        f"no tick came through {since}: does beat run, and a worker take from the queue tokenworker?"
    ]


def test_where_nothing_is_kept_nothing_is_ready(server: RedisServer, store: Store) -> None:
    store.notes.set_ticked(20)
    with Web(server.url) as web:
        answer = web.ask("/readyz")

    assert answer.status == 503
    assert answer.json["faults"] == ["no credential is kept: does a worker run, and does it have accounts?"]


@pytest.mark.parametrize("how", ["frozen", "gone"])
def test_it_answers_in_time_when_redis_does_not(own_server: RedisServer, how: str) -> None:
    with own_server.client() as client:
        keep(Store(client), "wx1")
    with Web(own_server.url) as web:
        assert web.ask("/readyz").status == 200
        if how == "gone":
            own_server.kill()
        else:
            own_server.send_signal(signal.SIGSTOP)
        answers = [_asked_in_time(web) for _ in range(3)]
        if how == "gone":
            own_server.start()
        else:
            own_server.send_signal(signal.SIGCONT)

    assert {answer.status for answer in answers} == {503}
    assert answers[0].json == {"ready": False, "faults": ["Redis does not answer: `tokenworker check` says why"]}


def _asked_in_time(web: Web) -> Answer:
    with within(SOON):
        return web.ask("/readyz")


def test_a_look_that_takes_long_is_answered_with_the_one_before(server: RedisServer, store: Store) -> None:
    keep(store, "wx1")
    with Web(server.url) as web:
        look = web.held.store.schedule.ids

        def slow() -> list[CredentialId]:
            time.sleep(1)
            return look()

        web.held.store.schedule.ids = slow  # type: ignore[method-assign]
        first = web.ask("/readyz")
        time.sleep(1)
        second = web.ask("/readyz")

    assert first.json["faults"] == ["the look at all credentials took longer than 0.5 s: ask again"]
    assert second.status == 200


def test_monitors_may_ask_for_the_head_alone(server: RedisServer, store: Store) -> None:
    keep(store, missing=("wx1",))
    with Web(server.url) as web:
        answers = [web.ask(path, method="HEAD") for path in ("/healthz", "/readyz")]

    assert [(answer.status, answer.body) for answer in answers] == [(200, b""), (503, b"")]


def test_a_look_costs_little(server: RedisServer, store: Store) -> None:
    keep(store, *(f"wx{number}" for number in range(20)))
    with server.client() as client, Web(server.url) as web:
        web.ask("/readyz")
        before = calls(client, "evalsha")
        web.ask("/readyz")

        assert calls(client, "evalsha") - before == 1
