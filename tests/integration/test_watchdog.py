"""The watchdog refreshes what everybody else left undone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from support.processes import RedisServer, wait_for
from support.targets import lease_of, look

from tokenworker.credential import Credential, CredentialId
from tokenworker.durations import Durations
from tokenworker.errors import WrongArgument
from tokenworker.refresh.turns import Limits
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Sandbox
from tokenworker.settings.config import Config
from tokenworker.worker import tasks
from tokenworker.worker.runtime import Runtime, runtime
from tokenworker.worker.status import Overview, survey
from tokenworker.worker.watchdog import Watchdog

DEMO, OTHER = CredentialId(DEMO_APPID), CredentialId("wx00000000000000bb")
KEY = f"tokenworker:{{{DEMO_APPID}}}:access_token"

ACCOUNT = f'[[account]]\nappid = "{DEMO_APPID}"\nsecret = "{DEMO_SECRET}"\n'
SECOND = f'[[account]]\nappid = "wx00000000000000bb"\nsecret = "{DEMO_SECRET}"\n'


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNT)
    return path


@pytest.fixture
def config(server: RedisServer, sandbox: Sandbox, accounts: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    for name in ("WECHAT_APPID", "WECHAT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    durations = replace(Durations(), second=1 / 60, watchdog_overdue=0.2, grace=1.0, fetch_timeout=1.0, pulse=0.1)
    return Config(redis_url=server.url, api_urls=(sandbox.url,), durations=durations, accounts_file=accounts)


@pytest.fixture
def held(config: Config) -> Runtime:
    return Runtime.from_config(config)


@pytest.fixture
def watchdog(held: Runtime) -> Watchdog:
    return Watchdog(held)


@pytest.fixture
def status(held: Runtime, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return the task of that name, in this worker."""
    monkeypatch.setattr(tasks, "runtime", lambda: held)
    return tasks.status


def claimed(held: Runtime) -> list[CredentialId]:
    """Claim what is due, as the tick does."""
    return [target.id for target in held.reconciler.claim(8)]


def keys_of(client: redis.Redis, appid: str) -> list[bytes]:
    """List the keys of an account, but for the note that it went."""
    keys = [key for key in cast("list[bytes]", client.keys("*")) if appid.encode() in key]
    return [key for key in keys if not (key.endswith(b":state") and client.hexists(key, "removed"))]


def test_it_fetches_the_first_token_without_beat_or_broker(watchdog: Watchdog, client: redis.Redis) -> None:
    assert watchdog.look() == [DEMO]
    assert client.exists(KEY)


def test_it_leaves_alone_what_is_fresh(watchdog: Watchdog, sandbox: Sandbox) -> None:
    watchdog.look()

    assert watchdog.look() == []
    assert sandbox.counts().fetches == 1


def test_it_gives_the_others_a_while_to_do_it(held: Runtime, watchdog: Watchdog) -> None:
    lease = lease_of(held.store, DEMO_APPID, 1)
    assert lease
    token = Credential("token", lease.taken_at + 60)
    held.store.records.commit(
        lease, token, refresh_at=lease.taken_at + 0.1, settings_tried=held.registry.account().settings_digest
    )
    time.sleep(0.2)
    assert watchdog.look() == []
    time.sleep(0.15)

    assert watchdog.look() == [DEMO]


def test_with_a_short_leeway_it_waits_for_a_quarter_of_it(config: Config) -> None:
    held = Runtime.from_config(replace(config, durations=replace(config.durations, watchdog_overdue=30.0)))
    lease = lease_of(held.store, DEMO_APPID, 1)
    assert lease
    token, revision = Credential("token", lease.taken_at + 2), held.registry.account().settings_digest
    held.store.records.commit(lease, token, refresh_at=lease.taken_at, settings_tried=revision)
    watchdog = Watchdog(held)
    assert watchdog.look() == []
    time.sleep(0.55)

    assert watchdog.look() == [DEMO]


def test_it_refreshes_what_the_tick_sent_and_nobody_did(watchdog: Watchdog, held: Runtime) -> None:
    held.reconciler.reconcile()
    assert held.store.schedule.claim(10, held.durations.grace) == [DEMO]

    assert watchdog.look() == [DEMO]


def test_it_brings_back_a_token_that_was_deleted(watchdog: Watchdog, client: redis.Redis) -> None:
    watchdog.look()
    client.delete(KEY)

    assert watchdog.look() == [DEMO]
    assert client.exists(KEY)


def test_it_brings_back_a_token_over_which_somebody_wrote_a_list(watchdog: Watchdog, client: redis.Redis) -> None:
    watchdog.look()
    client.delete(KEY)
    client.lpush(KEY, "theirs")

    assert watchdog.look() == [DEMO]
    assert client.type(KEY) == b"string"
    assert watchdog.look() == []


def test_after_flushall_every_account_comes_back(watchdog: Watchdog, client: redis.Redis) -> None:
    watchdog.look()
    client.flushall()

    assert watchdog.look() == [DEMO]
    assert client.exists(KEY)


def test_it_does_not_hammer_an_account_that_rests_after_a_failure(watchdog: Watchdog, sandbox: Sandbox) -> None:
    sandbox.add_account(DEMO_APPID, frozen=True)
    watchdog.look()

    assert [watchdog.look() for _ in range(3)] == [[], [], []]
    assert sandbox.counts().fetches == 1


def test_one_accounts_trouble_does_not_stop_the_others(watchdog: Watchdog, accounts: Path, client: redis.Redis) -> None:
    accounts.write_text(SECOND + ACCOUNT)

    assert watchdog.look() == [OTHER, DEMO]
    assert client.exists(KEY)


def test_without_redis_it_goes_on_watching(own_server: RedisServer, accounts: Path) -> None:
    own_server.kill()
    watchdog = Watchdog(Runtime.from_config(Config(redis_url=own_server.url, accounts_file=accounts)))

    assert watchdog.look() == []


def test_an_account_that_is_added_gets_a_token_at_the_next_look(
    watchdog: Watchdog, accounts: Path, client: redis.Redis, sandbox: Sandbox
) -> None:
    watchdog.look()
    sandbox.add_account("wx00000000000000bb", DEMO_SECRET)
    accounts.write_text(ACCOUNT + SECOND)

    assert watchdog.look() == [OTHER]
    assert client.exists("tokenworker:{wx00000000000000bb}:access_token")


def test_the_limits_follow_the_accounts_file(held: Runtime, accounts: Path) -> None:
    assert held.limits() == Limits(rate=20, concurrency=8)

    accounts.write_text("".join(ACCOUNT.replace(DEMO_APPID, f"wx{number:016x}") for number in range(27_000)))
    held.reconciler.reconcile()
    assert held.limits() == Limits(rate=30, concurrency=12)


def test_an_account_that_is_removed_is_gone_after_two_looks(
    watchdog: Watchdog, accounts: Path, client: redis.Redis, sandbox: Sandbox
) -> None:
    sandbox.add_account("wx00000000000000bb", DEMO_SECRET)
    accounts.write_text(ACCOUNT + SECOND)
    watchdog.look()
    accounts.write_text(ACCOUNT)
    watchdog.look()
    watchdog.look()

    assert keys_of(client, "wx00000000000000bb") == []
    assert client.zrange("tokenworker:due", 0, -1) == [str(DEMO).encode()]


def test_a_broken_accounts_file_keeps_the_accounts_and_shows_in_the_status(
    watchdog: Watchdog, status: Callable[..., dict[str, Any]], accounts: Path
) -> None:
    watchdog.look()
    accounts.write_text("[[account]\n")
    watchdog.look()
    told = status()

    assert told["credentials"][0]["state"] == "live"
    assert str(accounts) in told["accounts_error"]
    accounts.write_text(ACCOUNT)
    watchdog.look()
    assert status()["accounts_error"] is None


def test_a_corrected_secret_ends_the_rest(watchdog: Watchdog, accounts: Path, client: redis.Redis) -> None:
    accounts.write_text(ACCOUNT.replace(DEMO_SECRET, "f" * 32))
    watchdog.look()
    assert not client.exists(KEY)
    accounts.write_text(ACCOUNT)
    watchdog.look()

    assert client.exists(KEY)


def test_the_status_shows_no_token_and_no_secret(
    watchdog: Watchdog, status: Callable[..., dict[str, Any]], client: redis.Redis
) -> None:
    watchdog.look()
    shown = repr(dict(status()))

    token = client.get(KEY)
    assert isinstance(token, bytes)
    assert token.decode() not in shown
    assert DEMO_SECRET not in shown
    assert "fingerprint" in shown


def test_the_status_is_a_page_of_the_worst_with_counts_of_all(
    watchdog: Watchdog, status: Callable[..., dict[str, Any]], accounts: Path, sandbox: Sandbox, client: redis.Redis
) -> None:
    ids = many(accounts, sandbox, 12)
    watchdog.look()
    watchdog.look()
    store = watchdog._held.store
    client.delete(store.keys.value(ids[7]))
    client.hset(store.keys.state(ids[3]), mapping={"early_deaths": 4, "early_deaths_since": time.time() - 9})
    client.hset(store.keys.state(ids[5]), "error", "it broke")

    told = status()
    assert told["counts"] == {"live": 10, "missing": 1, "contested": 1}
    rows = [(row["account"], row["state"]) for row in told["credentials"]]
    worst = [(ids[7].account, "missing"), (ids[3].account, "contested"), (ids[5].account, "live")]
    assert rows[:3] == worst
    assert len(rows) == 12
    assert [row["account"] for row in status(limit=2, offset=1)["credentials"]] == [ids[3].account, ids[5].account]
    assert [row["account"] for row in status(state="missing")["credentials"]] == [ids[7].account]
    assert [row["account"] for row in status(account=ids[5].account)["credentials"]] == [ids[5].account]
    assert status(account=ids[5].account)["counts"] == {"live": 1, "missing": 0, "contested": 0}


@pytest.mark.parametrize(
    "wrong", [{"state": "dead"}, {"state": 1}, {"limit": -1}, {"limit": "9"}, {"offset": True}, {"account": 7}]
)
def test_a_wrong_argument_of_status_is_a_sentence(
    status: Callable[..., dict[str, Any]], wrong: dict[str, object]
) -> None:
    with pytest.raises(WrongArgument, match=f"^{next(iter(wrong))} was given as "):
        status(**wrong)


def test_a_glance_and_a_look_agree_on_the_state(held: Runtime, client: redis.Redis) -> None:
    """One is a script's, the other ours."""
    value, state, *_ = held.store.keys.of(DEMO)
    kinds: list[dict[Any, Any]] = [{}, {"early_deaths": 3}, {"early_deaths": 4}, {"early_deaths": "x"}, {"error": "no"}]
    for found in kinds:
        for since in (time.time() - 1, time.time() - 4000, time.time() + 60, "x"):
            for life in (None, -1, 60_000):
                client.flushall()
                told: dict[Any, Any] = {"early_deaths_since": since, **found}
                client.hset(state, mapping=told)
                if life:
                    client.set(value, "text", px=life if life > 0 else None)
                counts = Overview(held.store, held.durations, [DEMO]).counts
                assert counts[survey(held.store, held.durations, [DEMO])[0]["state"]] == 1


def test_an_account_that_was_exchanged_while_nobody_ran_gets_its_token_at_the_first_look(
    held: Runtime,
) -> None:
    held.store.schedule.set(OTHER, time.time() + 3600)
    held.reconciler.reconcile()

    assert claimed(held) == [DEMO]


def test_an_account_that_nobody_knows_is_forgotten_when_its_token_has_run_out(
    held: Runtime, client: redis.Redis
) -> None:
    held.reconciler.reconcile()
    lease = lease_of(held.store, "wx00000000000000bb", 1)
    assert lease
    held.store.records.commit(lease, Credential("token", lease.taken_at + 0.2), refresh_at=0)
    assert claimed(held) == [DEMO]
    assert held.store.schedule.ids() == [OTHER, DEMO]
    time.sleep(0.25)
    held.store.schedule.set(OTHER, 0)
    claimed(held)

    assert keys_of(client, "wx00000000000000bb") == []
    assert held.store.schedule.ids() == [DEMO]


# Names, and the sandbox's account.


def named(appid: str, name: str) -> str:
    return f'[[account]]\nappid = "{appid}"\nsecret = "{DEMO_SECRET}"\nname = "{name}"\n'


def test_the_names_of_the_accounts_are_there_for_all_and_follow_their_file(held: Runtime, accounts: Path) -> None:
    held.reconciler.reconcile()
    assert held.store.notes.names() == {}

    accounts.write_text(named(DEMO_APPID, "shop") + SECOND)
    held.reconciler.reconcile()
    assert held.store.notes.names() == {DEMO_APPID: "shop"}
    assert [row["name"] for row in survey(held.store, held.durations)] == ["", "shop"]

    accounts.write_text(named(DEMO_APPID, "官方旗舰店"))
    held.reconciler.reconcile()
    held.reconciler.reconcile()
    assert held.store.notes.names() == {DEMO_APPID: "官方旗舰店"}

    accounts.write_text(ACCOUNT)
    held.reconciler.reconcile()
    assert held.store.notes.names() == {}


def test_after_flushall_the_names_come_back(held: Runtime, accounts: Path, client: redis.Redis) -> None:
    accounts.write_text(named(DEMO_APPID, "shop"))
    held.reconciler.reconcile()
    client.flushall()
    held.reconciler.reconcile()

    assert held.store.notes.names() == {DEMO_APPID: "shop"}


def test_names_that_were_lost_alone_come_back_at_the_next_look(
    watchdog: Watchdog, held: Runtime, accounts: Path, client: redis.Redis
) -> None:
    accounts.write_text(accounts.read_text() + '\n[[account]]\nappid = "wx2"\nsecret = "s"\nname = "shop"\n')
    for _ in range(3):
        watchdog.look()
    assert not held.registry.reload().reread, "what was read just now would bring them back, too"
    client.delete("tokenworker:names")
    watchdog.look()

    assert held.store.notes.names() == {"wx2": "shop"}


def test_one_that_nobody_looks_at_any_more_is_looked_at_again_whatever_else_is_due(
    watchdog: Watchdog, held: Runtime, client: redis.Redis
) -> None:
    watchdog.look()
    client.zrem("tokenworker:due", str(DEMO))
    client.zadd("tokenworker:due", {"wx0123456789abcdff:access_token": 9e9})
    watchdog.look()

    assert DEMO in held.store.schedule.ids()


def test_a_real_account_takes_the_place_of_the_sandboxs_at_once_and_of_no_other(
    held: Runtime, accounts: Path, client: redis.Redis
) -> None:
    for appid in (DEMO_APPID, "wx00000000000000cc"):
        lease = lease_of(held.store, appid, 1)
        assert lease
        held.store.records.commit(lease, Credential("token", lease.taken_at + 7000), refresh_at=lease.taken_at + 6700)
        held.store.notes.rename({appid: "a name"})
    accounts.write_text(SECOND)
    held.reconciler.reconcile()

    assert held.store.schedule.ids() == [OTHER, CredentialId("wx00000000000000cc")]
    assert keys_of(client, DEMO_APPID) == []
    assert held.store.notes.names() == {"wx00000000000000cc": "a name"}


def test_the_sandboxs_account_stays_where_it_is_configured(watchdog: Watchdog, held: Runtime) -> None:
    watchdog.look()
    held.reconciler.reconcile()

    assert [row["sandbox"] for row in survey(held.store, held.durations)] == [True]


def test_a_worker_that_makes_tokens_up_says_so_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", server.url)
    for variables, times in (({"TOKENWORKER_SANDBOX": "http://127.0.0.1:8788"}, 1), ({"WECHAT_APPID": "wx1"}, 0)):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        caplog.clear()
        runtime.cache_clear()
        monkeypatch.setenv("WECHAT_SECRET", DEMO_SECRET if times == 0 else "")
        assert runtime() is runtime()
        records = [record for record in caplog.records if "SANDBOX" in record.getMessage()]
        assert [record.levelname for record in records] == ["WARNING"] * times
    runtime.cache_clear()


def test_an_account_that_comes_back_gets_its_token_at_once(
    watchdog: Watchdog, held: Runtime, config: Config, client: redis.Redis
) -> None:
    watchdog.look()
    held.store.records.clear(DEMO, 60)

    # A worker that starts now knows the account, and does not know that it was away.
    again = Watchdog(Runtime.from_config(config))
    assert again.look() == [DEMO]
    assert client.exists(KEY)


def test_a_new_secret_is_tried_within_one_look_though_the_token_is_fresh(
    watchdog: Watchdog, held: Runtime, accounts: Path, sandbox: Sandbox
) -> None:
    watchdog.look()
    sandbox.add_account(DEMO_APPID, "f" * 32)
    accounts.write_text(ACCOUNT.replace(DEMO_SECRET, "f" * 32))

    assert watchdog.look() == [DEMO]
    assert sandbox.counts().fetches == 2
    assert look(held.store, DEMO_APPID).error == ""
    assert watchdog.look() == []


def test_a_new_secret_that_is_wrong_is_seen_at_once_and_costs_nobody_the_token(
    watchdog: Watchdog, held: Runtime, accounts: Path, client: redis.Redis
) -> None:
    watchdog.look()
    before = client.get(KEY)
    accounts.write_text(ACCOUNT.replace(DEMO_SECRET, "f" * 32))
    watchdog.look()

    assert "40125" in look(held.store, DEMO_APPID).error
    assert client.get(KEY) == before


def test_a_secret_that_changed_while_nobody_ran_is_tried_at_the_start(
    watchdog: Watchdog, config: Config, accounts: Path, sandbox: Sandbox
) -> None:
    watchdog.look()
    sandbox.add_account(DEMO_APPID, "f" * 32)
    accounts.write_text(ACCOUNT.replace(DEMO_SECRET, "f" * 32))
    again = Watchdog(Runtime.from_config(config))

    assert again.look() == [DEMO]
    assert sandbox.counts().fetches == 2


def test_workers_with_different_settings_do_not_take_turns_at_fetching(
    watchdog: Watchdog, held: Runtime, config: Config, tmp_path: Path, accounts: Path, sandbox: Sandbox
) -> None:
    """While a new secret is rolled out, one worker has the old file."""
    old = tmp_path / "old.toml"
    old.write_text(ACCOUNT)
    other = Watchdog(Runtime.from_config(replace(config, accounts_file=old)))
    watchdog.look()
    other.look()
    sandbox.add_account(DEMO_APPID, "f" * 32)
    accounts.write_text(ACCOUNT.replace(DEMO_SECRET, "f" * 32))
    for _ in range(5):
        watchdog.look()
        other.look()

    assert sandbox.counts().fetches == 2
    assert look(held.store, DEMO_APPID).settings_accepted == held.registry.account().settings_digest


def test_redis_that_went_back_in_time_is_noticed_and_its_tokens_are_not_trusted(
    watchdog: Watchdog, held: Runtime, sandbox: Sandbox, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    watchdog.look()
    watchdog.check_memory()
    saved = {key: client.dump(key) for key in cast("list[bytes]", client.keys("*"))}
    watchdog.check_memory()
    time.sleep(0.25)
    sandbox.platform.mint_stable(DEMO_APPID, DEMO_SECRET, "client_credential", "127.0.0.1", force_refresh=True)
    for key, value in saved.items():
        client.restore(key, 60_000 if key.endswith(b"access_token") else 0, cast("bytes", value), replace=True)
    watchdog.check_memory()

    assert "went back in time" in caplog.text
    assert look(held.store, DEMO_APPID).in_doubt is not None
    assert watchdog.look() == [DEMO]
    assert sandbox.verdict(cast("bytes", client.get(KEY)).decode()).verdict == "current"


def test_redis_that_was_emptied_is_no_reason_to_doubt(
    watchdog: Watchdog, sandbox: Sandbox, client: redis.Redis
) -> None:
    watchdog.look()
    watchdog.check_memory()
    watchdog.check_memory()
    client.flushall()
    watchdog.look()
    watchdog.check_memory()
    watchdog.check_memory()

    assert watchdog.look() == []
    assert sandbox.counts().fetches == 2


def test_a_beat_that_is_silent_is_named_once_and_so_is_its_return(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    held = Runtime.from_config(replace(config, durations=replace(config.durations, silence=0.3)))
    watchdog = Watchdog(held)
    watchdog.look()
    assert "no tick" not in caplog.text, "beat may be about to start"
    held.store.notes.set_ticked()
    watchdog.look()
    time.sleep(0.35)
    for _ in range(3):
        watchdog.look()
    assert caplog.text.count("no tick for") == 1

    held.store.notes.set_ticked()
    for _ in range(3):
        watchdog.look()
    assert caplog.text.count("beat ticks again") == 1


def test_a_beat_that_never_was_is_named_too(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    watchdog = Watchdog(Runtime.from_config(replace(config, durations=replace(config.durations, silence=0.1))))
    watchdog.look()
    time.sleep(0.15)
    watchdog.look()

    assert caplog.text.count("no tick for") == 1


# Many accounts, and many workers


def test_the_pulse_goes_on_while_a_look_takes_its_time(config: Config, client: redis.Redis, sandbox: Sandbox) -> None:
    sandbox.fault("delay", seconds=0.9, times=None)
    watchdog = Watchdog(
        Runtime.from_config(replace(config, durations=replace(config.durations, watchdog_interval=0.2)))
    )
    watchdog.start()
    wait_for(lambda: client.exists("tokenworker:{limiter}:running"))
    before = int(cast("bytes", client.get("tokenworker:pulse")))
    time.sleep(0.5)
    watchdog.stop()

    assert int(cast("bytes", client.get("tokenworker:pulse"))) >= before + 3


def test_one_worker_looks_in_each_interval_and_another_when_that_one_died(config: Config) -> None:
    durations = replace(config.durations, watchdog_interval=1.0)
    first, second = (Watchdog(Runtime.from_config(replace(config, durations=durations))) for _ in range(2))
    assert first.look(takes_turns=True) == [DEMO]
    first._held.store.records.clear(DEMO, 0.01)
    time.sleep(0.02)
    first._held.store.schedule.add([DEMO])
    assert second.look(takes_turns=True) == []
    time.sleep(0.95)

    assert second.look(takes_turns=True) == [DEMO]


def many(accounts: Path, sandbox: Sandbox, count: int) -> list[CredentialId]:
    ids = [CredentialId(f"wx{number:016x}") for number in range(count)]
    for id_ in ids:
        sandbox.add_account(id_.account, DEMO_SECRET)
    accounts.write_text("".join(ACCOUNT.replace(DEMO_APPID, id_.account) for id_ in ids))
    return ids


def test_a_look_refreshes_no_more_than_may_be_fetched_in_an_interval_and_the_next_one_goes_on(
    config: Config, accounts: Path, sandbox: Sandbox
) -> None:
    ids = many(accounts, sandbox, 50)
    durations = replace(config.durations, watchdog_interval=2.0)
    watchdog = Watchdog(Runtime.from_config(replace(config, durations=durations, fetch_rate=10, fetch_concurrency=4)))
    began = time.monotonic()
    first = watchdog.look()
    assert len(first) <= 20
    assert time.monotonic() - began < 2.0 + config.durations.fetch_timeout
    second = watchdog.look()

    assert ids[: len(first)] == first
    assert not {*watchdog._held.store.bulk.missing(ids)}.intersection(first)
    assert {*second} - {*first}


def test_a_look_at_many_is_spread_over_most_of_an_interval(
    config: Config, accounts: Path, sandbox: Sandbox, client: redis.Redis
) -> None:
    ids = many(accounts, sandbox, 1000)
    held = Runtime.from_config(replace(config, durations=replace(config.durations, watchdog_interval=1.0)))
    watchdog = Watchdog(held)
    held.reconciler.reconcile()
    for id_ in ids:
        held.store.schedule.set(id_, time.time() + 3600)
    client.mset({held.store.keys.value(id_): "text" for id_ in ids})
    began = time.monotonic()

    assert watchdog.look() == []
    assert 0.4 < time.monotonic() - began < 1.0
