"""What happened to each credential stands in Redis: the events of a day, and how often each thing happened."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from support.processes import RedisServer, wait_for

from tokenworker import TokenReader
from tokenworker.credential import Credential, CredentialId, fingerprint
from tokenworker.credentials.target import Target
from tokenworker.durations import Durations
from tokenworker.errors import DayLimit, FetchError, OperatorError, TransientError
from tokenworker.refresh.causes import Cause, Demand
from tokenworker.refresh.events import Asked, refreshed
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Sandbox
from tokenworker.settings.config import Config
from tokenworker.store.history import Event
from tokenworker.store.keys import Keys
from tokenworker.store.store import Store
from tokenworker.worker.runtime import Runtime
from tokenworker.worker.watchdog import Watchdog

DEMO = CredentialId(DEMO_APPID)
HISTORY, COUNTS = Keys().history(DEMO), Keys().counts(DEMO)

DURATIONS = replace(
    Durations(),
    second=1 / 60,
    overlap=5.0,
    fetch_timeout=1.0,
    transient_wait=0.1,
    operator_wait=0.1,
    report_interval=0.1,
    pulse=0.1,
)


@pytest.fixture
def held(server: RedisServer, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    for name in ("WECHAT_APPID", "WECHAT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(f'[[account]]\nappid = "{DEMO_APPID}"\nsecret = "{DEMO_SECRET}"\n')
    config = Config(redis_url=server.url, api_urls=(sandbox.url,), durations=DURATIONS, accounts_file=accounts)
    return Runtime.from_config(config)


@pytest.fixture
def target(held: Runtime) -> Target:
    return held.target(DEMO_APPID)


def events(store: Store) -> list[Event]:
    return store.history.of(DEMO)


def counts(store: Store) -> dict[str, float]:
    return {name: number for name, number in dict(store.history.counts([DEMO]))[DEMO].items() if "took" not in name}


def without_times(event: Event) -> dict[str, object]:
    return {name: value for name, value in event.items() if name not in ("at", "took", "expires_at")}


def test_a_refresh_is_noted_with_its_cause_and_what_it_brought(held: Runtime, target: Target) -> None:
    held.keeper.refresh(target)
    credential, now = held.keeper.get(target)

    [event] = events(held.store)
    assert without_times(event) == {
        "event": "refreshed",
        "cause": "missing",
        "outcome": "committed",
        "fingerprint": credential.fingerprint,
    }
    assert event["at"] == pytest.approx(now, abs=5)
    assert event["expires_at"] == pytest.approx(credential.expires_at, abs=0.01)
    assert 0 < event["took"] < 1
    assert counts(held.store) == {"fetches:missing:refreshed": 1}


def test_the_time_of_each_fetch_counts_in_one_bucket(held: Runtime, target: Target, sandbox: Sandbox) -> None:
    sandbox.fault("delay", seconds=0.3)
    held.keeper.refresh(target)

    found = dict(held.store.history.counts([DEMO]))[DEMO]
    assert found["took:0.5"] == 1
    assert found["took_sum"] == pytest.approx(0.3, abs=0.19)
    assert not any(name in found for name in ("took:0.1", "took:0.25", "took:1"))


def test_a_failure_is_noted_with_what_to_do(held: Runtime, target: Target, sandbox: Sandbox) -> None:
    sandbox.fault("errcode", errcode=40164)
    with pytest.raises(OperatorError) as raised:
        held.keeper.refresh(target)

    [event] = events(held.store)
    assert without_times(event) == {
        "event": "failed",
        "cause": "missing",
        "errcode": 40164,
        "error": raised.value.reason,
        "hint": raised.value.hint,
    }
    assert counts(held.store) == {"fetches:missing:failed": 1, "errors:40164": 1}


def test_no_answer_counts_as_a_fault_of_the_network(held: Runtime, target: Target, sandbox: Sandbox) -> None:
    sandbox.fault("reset")
    with pytest.raises(TransientError):
        held.keeper.refresh(target)

    assert counts(held.store)["errors:network"] == 1


def test_a_fetch_that_the_quota_forbids_is_noted_but_counts_as_none(
    held: Runtime, client: redis.Redis, target: Target
) -> None:
    held.keeper.refresh(target)
    client.hset(f"{Keys().state(DEMO)}", mapping={"fetches_today": 10**6, "refresh_at": 1})
    with pytest.raises(DayLimit, match="no fetches left"):
        held.keeper.refresh(target)

    assert "quota" in events(held.store)[0]["error"]
    assert counts(held.store) == {"fetches:missing:refreshed": 1}


def test_reports_of_many_are_one_and_what_the_probe_found_follows(
    held: Runtime, server: RedisServer, target: Target, sandbox: Sandbox
) -> None:
    held.keeper.refresh(target)
    before, _ = held.keeper.get(target)
    sandbox.revoke(DEMO_APPID)
    with TokenReader(server.url) as reader:
        for _ in range(5):
            reader.reject(DEMO_APPID, before.value)
    held.keeper.refresh(target)

    refreshed, probed, reported, _ = [without_times(event) for event in events(held.store)]
    assert reported == {"event": "reported", "fingerprint": before.fingerprint}
    assert probed == {
        "event": "probed",
        "cause": "rejected",
        "outcome": "dead",
        "early": True,
        "fingerprint": before.fingerprint,
    }
    assert refreshed["cause"] == "dead"
    assert counts(held.store) == {
        "fetches:missing:refreshed": 1,
        "fetches:dead:refreshed": 1,
        "reports": 1,
        "probes:dead": 1,
        "early_deaths": 1,
    }


def test_a_wrong_report_is_noted_with_the_probe_that_clears_it(held: Runtime, target: Target) -> None:
    held.keeper.refresh(target)
    held.keeper.refresh(target, Demand(rejected=held.keeper.get(target)[0].fingerprint))

    assert [(event["event"], event.get("outcome")) for event in events(held.store)] == [
        ("probed", "alive"),
        ("reported", None),
        ("refreshed", "committed"),
    ]


def test_what_a_watchdog_had_to_do_is_counted(held: Runtime) -> None:
    assert Watchdog(held).look() == [DEMO]

    assert counts(held.store) == {"fetches:missing:refreshed": 1, "rescues": 1}


def test_a_commit_that_somebody_overtook_is_noted_as_refused(
    held: Runtime, target: Target, client: redis.Redis
) -> None:
    taken = held.store.records.lease(DEMO, 0.05)
    assert taken is not None
    wait_for(lambda: not client.exists(Keys().lease(DEMO)))
    held.keeper.refresh(target)
    late = Credential("late", held.store.now() + 10)
    note = refreshed(Asked(Cause.STALE, 0.2), late)
    assert held.store.records.commit(taken[0], late, refresh_at=0, note=note).result == "refused"

    assert events(held.store)[0]["outcome"] == "refused"
    assert counts(held.store)["fetches:stale:refused"] == 1


def test_a_history_holds_two_hundred_events_of_a_day(held: Runtime, client: redis.Redis, target: Target) -> None:
    day_ago = held.store.now() - 86_400
    old = json.dumps({"at": round(day_ago - 60, 3), "event": "refreshed"}, separators=(",", ":"))
    for _ in range(300):
        client.rpush(HISTORY, old)
    held.keeper.refresh(target)
    assert client.llen(HISTORY) == 200 - 3

    for _ in range(80):
        held.store.records.reject(DEMO, held.keeper.get(target)[0].fingerprint)
        client.hdel(Keys().state(DEMO), "rejected")
    assert len(events(held.store)) == 81
    assert client.ttl(HISTORY) > 86_000


def test_what_others_wrote_there_is_passed_over(held: Runtime, client: redis.Redis, target: Target) -> None:
    client.set(HISTORY, "a string")
    client.set(COUNTS, "a string")
    held.keeper.refresh(target)
    client.lpush(HISTORY, "nonsense", "[]", '{"at": "noon"}', b"\xff")
    client.hset(COUNTS, "reports", "many")

    assert [event["event"] for event in events(held.store)] == ["refreshed"]
    assert counts(held.store) == {"fetches:missing:refreshed": 1}


def test_no_value_and_no_secret_stands_in_it(
    held: Runtime, client: redis.Redis, target: Target, sandbox: Sandbox
) -> None:
    held.keeper.refresh(target)
    value = held.keeper.get(target)[0].value
    answer = {"errcode": 40001, "errmsg": f"invalid credential {value} {DEMO_SECRET}"}
    sandbox.fault("body", body=json.dumps(answer))
    client.hset(Keys().state(DEMO), "refresh_at", "1")
    with pytest.raises(FetchError):
        held.keeper.refresh(target)

    text = repr(client.lrange(HISTORY, 0, -1)) + repr(client.hgetall(COUNTS))
    assert fingerprint(value) in text
    assert value not in text
    assert DEMO_SECRET not in text


def test_it_goes_with_the_account(held: Runtime, client: redis.Redis, target: Target) -> None:
    held.keeper.refresh(target)
    held.store.records.clear(DEMO)

    assert client.exists(HISTORY, COUNTS) == 0


def test_each_worker_shows_that_it_lives(held: Runtime, client: redis.Redis) -> None:
    client.zadd("tokenworker:workers", {"gone:1": held.store.now() - 700, "ahead:1": held.store.now() + 700})
    watchdog = Watchdog(held)
    watchdog.start()
    [(name, ago)] = wait_for(held.store.notes.workers).items()
    watchdog.stop()

    assert name.endswith(f":{os.getpid()}")
    assert ago < 5
    wait_for(lambda: held.store.notes.workers() == {})


def test_an_account_that_is_not_kept_leaves_no_history(held: Runtime, client: redis.Redis) -> None:
    held.store.records.reject(CredentialId("wx00000000000000ee"), "0123456789abcdef")

    assert client.keys("*wx00000000000000ee*") == []
