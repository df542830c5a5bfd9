"""`/metrics` says how everything is, by what stands in Redis at that moment."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from support.credentials import put
from support.processes import RedisServer, wait_for
from support.prometheus import program
from support.readers import BusyWorker, calls
from support.scraped import Samples, parsed, scraped
from support.web import Web, clients_file

from tokenworker.credential import CredentialId
from tokenworker.sandbox import DEMO_APPID, Sandbox
from tokenworker.store.store import Store
from tokenworker.web.metrics.exposition import Exposition, Metric, labels
from tokenworker.web.metrics.series import METRICS

TOKEN, OTHER = ("wx1", "access_token"), ("wx2", "access_token")


@pytest.fixture
def kept(store: Store) -> Store:
    """Keep two tokens: one that is there, and one that was never fetched."""
    put(store, life=100)
    store.schedule.add([CredentialId(*TOKEN), CredentialId(*OTHER)])
    return store


def metrics(server: RedisServer, **environ: str) -> Samples:
    with Web(server.url, **environ) as web:
        return scraped(web)


def note(client: redis.Redis, account: str = "wx1", **fields: object) -> None:
    client.hset(f"tokenworker:{{{account}}}:access_token:state", mapping={name: str(it) for name, it in fields.items()})


def count(client: redis.Redis, account: str, **fields: float) -> None:
    names: dict[Any, Any] = {name.replace("__", ":"): it for name, it in fields.items()}
    client.hset(f"tokenworker:{{{account}}}:access_token:counts", mapping=names)


# Credentials


def test_moments_are_told_and_not_the_seconds_that_are_left(server: RedisServer, kept: Store) -> None:
    before = kept.records.look(CredentialId(*TOKEN))
    samples = metrics(server)

    assert before.credential
    expires_at = samples["credential_expires_timestamp_seconds"]
    assert expires_at[TOKEN] == pytest.approx(before.credential.expires_at, abs=0.2)
    assert samples["credential_fetched_timestamp_seconds"][TOKEN] == pytest.approx(before.fetched_at, abs=0.001)
    assert samples["credential_refresh_timestamp_seconds"][TOKEN] == pytest.approx(before.refresh_at, abs=0.001)
    for moments in ("expires", "refresh", "fetched"):
        assert samples[f"credential_{moments}_timestamp_seconds"][OTHER] == 0


@pytest.mark.usefixtures("kept")
def test_the_end_of_a_credential_is_the_same_at_each_scrape(server: RedisServer) -> None:
    with Web(server.url) as web:
        ends = {scraped(web)["credential_expires_timestamp_seconds"][TOKEN] for _ in range(20)}

    assert max(ends) - min(ends) < 0.11
    assert len(ends) <= 2


def test_a_credential_is_ready_when_it_can_be_had(server: RedisServer, kept: Store, client: redis.Redis) -> None:
    client.lpush("tokenworker:{wx3}:access_token", "a list of somebody else's")
    client.set("tokenworker:{wx4}:access_token", "for ever, so that nobody knows how long it works")
    kept.schedule.add([CredentialId("wx3"), CredentialId("wx4")])
    samples = metrics(server)

    ready = {account: value for (account, _), value in samples["credential_ready"].items()}
    assert ready == {"wx1": 1, "wx2": 0, "wx3": 0, "wx4": 0}
    assert samples["credentials"] == {("live",): 1, ("missing",): 3, ("contested",): 0}


@pytest.mark.parametrize(
    ("account", "error", "errcode", "blocked"),
    [
        ("wx1", "WeChat answered 40164", 40164, 1),
        ("wx1", "WeChat answered 99999, which nobody knows", 99999, 1),
        ("wx1", "WeChat answered 45009", 45009, 0),
        ("wx1", "WeChat answered -1", -1, 0),
        ("wx1", "no answer came", "", 0),
        ("wx1", "", 40164, 0),
        ("ww1/1", "WeCom answered 301002", 301002, 1),
    ],
)
def test_one_is_blocked_when_only_a_person_can_mend_it(
    server: RedisServer, kept: Store, client: redis.Redis, account: str, error: str, errcode: object, blocked: int
) -> None:
    kept.schedule.add([CredentialId(account)])
    note(client, account, error=error, errcode=errcode, failures=3)
    samples = metrics(server)

    assert samples["credential_blocked"][account, "access_token"] == blocked
    assert samples["credential_failures"][account, "access_token"] == 3


@pytest.mark.parametrize(("deaths", "ago", "contested"), [(4, 60, 1), (3, 60, 0), (4, 3700, 0), (4, -3600, 0)])
@pytest.mark.usefixtures("kept")
def test_one_is_contested_when_many_died_early_of_late(
    server: RedisServer, client: redis.Redis, deaths: int, ago: float, contested: int
) -> None:
    note(client, early_deaths=deaths, early_deaths_since=time.time() - ago)
    samples = metrics(server)

    assert samples["credential_contested"][TOKEN] == contested
    assert samples["credentials"]["contested",] == contested


@pytest.mark.usefixtures("kept")
def test_nonsense_in_redis_counts_as_nothing(server: RedisServer, client: redis.Redis) -> None:
    note(client, failures="many", refresh_at="inf", fetched_at="nan", errcode='"\n', error="x")
    client.hset("tokenworker:{wx1}:access_token:state", "quota", b"\xff\xfe")
    count(client, "wx1", fetches=1, fetches__stale=2, reports=float("nan"), took__7=1, what=4)
    odd = 'fetches:"}\n:\\'
    client.hset("tokenworker:{wx1}:access_token:counts", odd, "3")
    samples = metrics(server)

    assert samples["credential_failures"][TOKEN] == 0
    assert samples["credential_refresh_timestamp_seconds"][TOKEN] == 0
    assert samples["reports_total"][TOKEN] == 0
    assert samples["fetches_total"] == {(*TOKEN, '"}\n', "\\"): 3}
    assert samples["fetch_seconds_count"][()] == 0


# Quotas


def test_the_quota_is_that_of_the_last_fetch(server: RedisServer, kept: Store) -> None:
    taken = kept.records.lease(CredentialId(*TOKEN), 5)
    assert taken
    begin = {"budget": 490, "forced_budget": 1, "quota": 500}
    assert kept.records.begin(taken[0], forced=False, **begin) == "ok"
    samples = metrics(server)

    assert samples["quota_used"] == {TOKEN: 1, OTHER: 0}
    # Before the first fetch, what WeChat allows where nobody says otherwise.
    assert samples["quota_allowed"] == {TOKEN: 500, OTHER: 500_000}


def test_a_quota_of_an_hour_is_new_after_it(server: RedisServer, kept: Store, client: redis.Redis) -> None:
    hour = time.time() // 3600 + 8
    for account, ago in ("ww1/1", 0), ("ww2/1", 1):
        id_ = CredentialId(account, "jsapi_ticket")
        kept.schedule.add([id_])
        fields: dict[Any, Any] = {"day": f"{hour - ago:.0f}", "fetches_today": 7, "quota": 400, "quota_period": 3600.0}
        client.hset(kept.keys.state(id_), mapping=fields)
    used = metrics(server)["quota_used"]

    assert used["ww1/1", "jsapi_ticket"] in (7, 0)  # the hour may end just now
    assert used["ww2/1", "jsapi_ticket"] == 0


def test_what_has_no_quota_is_allowed_any_number(server: RedisServer, kept: Store) -> None:
    kept.schedule.add([CredentialId("ww1/1")])
    samples = metrics(server)

    assert ("ww1/1", "access_token") in samples["quota_used"]
    assert ("ww1/1", "access_token") not in samples["quota_allowed"]


# What happened


def test_what_workers_did_is_counted(server: RedisServer, store: Store, sandbox: Sandbox) -> None:
    with BusyWorker(store, sandbox), Web(server.url) as web:
        end = time.monotonic() + 15
        samples = scraped(web)
        while not samples.get("fetches_total") and time.monotonic() < end:
            time.sleep(0.1)
            samples = scraped(web)

    assert samples["fetches_total"][DEMO_APPID, "access_token", "missing", "refreshed"] == 1
    for name in ("reports_total", "early_deaths_total", "rescues_total"):
        assert samples[name] == {(DEMO_APPID, "access_token"): 0}
    assert samples["fetch_seconds_count"][()] == samples["fetch_seconds_bucket"]["+Inf",] == 1
    assert 0 < samples["fetch_seconds_sum"][()] < 5
    assert samples["quota_used"][DEMO_APPID, "access_token"] == 1


@pytest.mark.usefixtures("kept")
def test_counts_stand_by_their_labels(server: RedisServer, client: redis.Redis) -> None:
    names = {"fetches__stale__failed": 2, "errors__40164": 1, "errors__network": 1, "probes__dead": 3}
    count(client, "wx1", **names, reports=4, early_deaths=3, rescues=1, took__0_5=0)
    samples = metrics(server)

    assert samples["fetches_total"] == {(*TOKEN, "stale", "failed"): 2}
    assert samples["fetch_errors_total"] == {(*TOKEN, "40164"): 1, (*TOKEN, "network"): 1}
    assert samples["probes_total"] == {(*TOKEN, "dead"): 3}
    assert samples["reports_total"] == {TOKEN: 4, OTHER: 0}
    assert samples["early_deaths_total"] == {TOKEN: 3, OTHER: 0}
    assert samples["rescues_total"] == {TOKEN: 1, OTHER: 0}


@pytest.mark.usefixtures("kept")
def test_the_buckets_of_fetch_times_add_up(server: RedisServer, client: redis.Redis) -> None:
    client.hset("tokenworker:{wx1}:access_token:counts", mapping={"took:0.1": 2, "took:5": 1, "took_sum": 3.25})
    client.hset("tokenworker:{wx2}:access_token:counts", mapping={"took:0.1": 1, "took:+Inf": 1, "took_sum": 12})
    samples = metrics(server)

    buckets = {bound: number for (bound,), number in samples["fetch_seconds_bucket"].items()}
    assert buckets == {"0.1": 3, "0.25": 3, "0.5": 3, "1": 3, "2.5": 3, "5": 4, "10": 4, "+Inf": 5}
    assert (samples["fetch_seconds_sum"][()], samples["fetch_seconds_count"][()]) == (15.25, 5)


# Beat, workers, rates, files


def test_ticks_and_workers_are_told(server: RedisServer, kept: Store) -> None:
    with Web(server.url) as web:
        before = scraped(web)
        kept.notes.set_ticked(42.5)
        kept.notes.pulse("host:1")
        kept.notes.pulse("host:2")
        after = scraped(web)

    assert (before["last_tick_timestamp_seconds"][()], before["workers"][()]) == (0, 0)
    assert after["last_tick_timestamp_seconds"][()] == pytest.approx(kept.now(), abs=2)
    assert after["workers"][()] == 2


def test_a_worker_without_a_sign_of_life_is_none(server: RedisServer, kept: Store, client: redis.Redis) -> None:
    kept.notes.pulse("host:1")
    client.zadd("tokenworker:workers", {"host:2": time.time() - 60})

    assert metrics(server)["workers"][()] == 1


def test_the_rate_in_force_is_what_workers_say(server: RedisServer, kept: Store) -> None:
    with Web(server.url, TOKENWORKER_FETCH_RATE="7") as web:
        assert scraped(web)["fetch_rate_limit"][()] == 7
        kept.notes.set_ticked(42.5)
        assert scraped(web)["fetch_rate_limit"][()] == 42.5


def test_the_rate_that_is_needed_follows_from_what_is_kept(
    server: RedisServer, store: Store, client: redis.Redis
) -> None:
    for account, (life, leeway) in {"wx1": (7200, 300), "wx2": (7200, 3600), "wx3": (400, 300)}.items():
        put(store, life=life, account=account)
        now = store.now()
        note(client, account, fetched_at=now, refresh_at=now + life - leeway)
    store.schedule.add([CredentialId(f"wx{number}") for number in (1, 2, 3, 4)])

    # The third came with a part of its life; the fourth will live as most do.
    needed = 1 / 6900 + 1 / 3600 + 1 / 6900 + 1 / 6905
    assert metrics(server)["fetch_rate_needed"][()] == pytest.approx(needed, rel=0.01)


def test_faults_of_files_are_told(server: RedisServer, kept: Store, tmp_path: Path) -> None:
    keys = clients_file(tmp_path, prometheus='scopes = ["status"]')
    with Web(server.url, TOKENWORKER_WEB_CLIENTS=str(tmp_path / "clients.toml")) as web:
        before = scraped(web, keys["prometheus"])
        kept.notes.set_accounts_error("accounts.toml: is not TOML", 60)
        (tmp_path / "clients.toml").write_text("[[client")
        web.held.clients.reload()
        after = scraped(web, keys["prometheus"])

    assert (before["accounts_error"][()], before["clients_error"][()]) == (0, 0)
    assert (after["accounts_error"][()], after["clients_error"][()]) == (1, 1)


# Totals


def test_totals_name_no_account(server: RedisServer, kept: Store, client: redis.Redis) -> None:
    put(kept, account="wx3", life=50)
    kept.schedule.add([CredentialId("wx3"), CredentialId("ww1/1")])
    for account in ("wx1", "wx3"):
        count(client, account, fetches__stale__refreshed=2, fetches__missing__refreshed=1, reports=1)
        note(client, account, failures=2, fetches_today=3, day=int((time.time() + 8 * 3600) / 86400))
    note(client, "wx3", quota=10, quota_period=86400.0)
    with Web(server.url, TOKENWORKER_METRICS="totals") as web:
        text = web.ask("/metrics").body.decode()
        samples = scraped(web)

    assert "wx" not in text
    assert samples["credential_ready"][()] == 2
    assert samples["credential_failures"][()] == 4
    assert samples["fetches_total"] == {("stale", "refreshed"): 4, ("missing", "refreshed"): 2}
    assert samples["reports_total"][()] == 2
    # Of moments the earliest, though some have none; of quotas the one that is used up most.
    assert 0 < samples["credential_expires_timestamp_seconds"][()] - time.time() < 51
    assert (samples["quota_used"][()], samples["quota_allowed"][()]) == (3, 10)


# The text


@pytest.mark.usefixtures("kept")
def test_every_metric_is_said_with_its_type_and_its_labels(server: RedisServer, client: redis.Redis) -> None:
    count(client, "wx1", fetches__stale__failed=2, errors__40164=1, probes__dead=3)
    client.hset("tokenworker:clients", "shop:reads", 1)
    samples = metrics(server)
    known = {metric.name.removeprefix("tokenworker_"): metric for metric in METRICS}

    assert set(known) <= {
        *samples,
        *(name.removesuffix("_count") for name in samples),
    }
    for name, found in samples.items():
        if name in known:
            assert {len(values) for values in found} == {len(known[name].labels)}, name


@pytest.mark.usefixtures("kept")
def test_promtool_finds_no_fault(server: RedisServer, client: redis.Redis) -> None:
    count(client, "wx1", fetches__stale__failed=2, errors__40164=1, probes__dead=3, took__5=1)
    with Web(server.url) as web:
        text = web.ask("/metrics").body
    found = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, check=False, timeout=20
    )

    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")


def test_whatever_stands_in_a_label_is_read_as_it_was() -> None:
    strange = 'a"b\\c\nd{}=,'
    exposition = Exposition([Metric("x_total", "counter", "Strange", ("name",))])
    exposition.add("x_total", 12345678901234, f"{{{labels(name=strange)}}}")

    assert parsed(exposition.text().decode()) == {"x_total": {(strange,): 12345678901234}}


# Who may ask, what it costs, and what happens without Redis


@pytest.mark.usefixtures("kept")
def test_who_scrapes_needs_a_key_with_the_scope_status_where_there_are_keys(
    server: RedisServer, tmp_path: Path
) -> None:
    keys = clients_file(tmp_path, prometheus='scopes = ["status"]', shop='scopes = ["read"]')
    with Web(server.url, TOKENWORKER_WEB_CLIENTS=str(tmp_path / "clients.toml")) as web:
        statuses = [web.ask("/metrics", key).status for key in ("", "tw_wrong", keys["shop"], keys["prometheus"])]

    assert statuses == [401, 403, 403, 200]


def test_a_client_sees_its_own_accounts(server: RedisServer, kept: Store, tmp_path: Path) -> None:
    kept.notes.rename({"wx2": "shop"})
    keys = clients_file(tmp_path, all='scopes = ["status"]', shop='accounts = ["shop"]\nscopes = ["status"]')
    with Web(server.url, TOKENWORKER_WEB_CLIENTS=str(tmp_path / "clients.toml")) as web:
        seen = {name: set(scraped(web, key)["credential_ready"]) for name, key in keys.items()}

    assert seen == {"all": {TOKEN, OTHER}, "shop": {OTHER}}


def test_what_clients_do_is_counted(server: RedisServer, kept: Store) -> None:
    kept.usage.add({("shop", "reads"): 3, ("shop", "refusals"): 1, ("crm", "reports"): 2})
    counted = metrics(server)["client_requests_total"]

    assert {labels: number for labels, number in counted.items() if number} == {
        ("shop", "read"): 3,
        ("shop", "refusal"): 1,
        ("crm", "report"): 2,
    }
    assert counted["crm", "sign"] == 0


def test_without_redis_it_says_just_that(own_server: RedisServer) -> None:
    with Web(own_server.url) as web:
        assert scraped(web)["up"][()] == 1
        own_server.kill()
        down = scraped(web)
        own_server.start()
        up = scraped(web)

    assert down == {"up": {(): 0}}
    assert up["up"][()] == 1


@pytest.mark.usefixtures("kept")
def test_scrapes_at_the_same_time_share_one_look(server: RedisServer, client: redis.Redis) -> None:
    with Web(server.url) as web:
        scraped(web)
        before, answers = calls(client, "evalsha"), []
        client.client_pause(60_000, all=False)  # what may write, as scripts may
        threads = [threading.Thread(target=lambda: answers.append(scraped(web)["up"][()])) for _ in range(8)]
        for thread in threads:
            thread.start()
        wait_for(lambda: web.held.load.underway == 8)
        client.client_unpause()
        for thread in threads:
            thread.join()
        alone = calls(client, "evalsha")
        scraped(web)

    assert answers == [1] * 8
    assert alone - before == calls(client, "evalsha") - alone


def test_no_look_holds_redis_for_long(store: Store, client: redis.Redis) -> None:
    store.schedule.add(CredentialId(f"wx{number:016x}") for number in range(2000))
    before = calls(client, "evalsha")
    gauges = list(store.gauges.of(store.schedule.ids()))

    assert len(gauges) == 2000
    assert calls(client, "evalsha") - before >= 40
