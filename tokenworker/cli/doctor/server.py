"""The Redis that holds the credentials: whether a worker can do there all that it has to."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing

from tokenworker.accounts.account import Account
from tokenworker.cli.doctor.finding import Finding, fault, note, ok
from tokenworker.cli.doctor.rights import problems
from tokenworker.cli.kept import absence
from tokenworker.errors import StoreUnavailable
from tokenworker.settings.config import Config
from tokenworker.store.connect import connect
from tokenworker.store.inspection import Inspection
from tokenworker.store.store import Store

_SUBJECT = "Redis"

#: Seconds by which the clock of this machine may differ from Redis's without harm.
_SKEW = 5.0


def examine(config: Config, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Look at the server, and try what a worker does there."""
    with closing(connect(config.redis_url)) as client:
        store, inspection = Store(client, config.prefix), Inspection(client, config.prefix)
        try:
            before, now, after = time.time(), store.now(), time.time()
            facts = inspection.facts()
        except StoreUnavailable as error:
            yield fault(_SUBJECT, absence() or str(error))
            return
        yield from _clock(now, before, after)
        yield from _facts(facts)
        yield from _rights(inspection, accounts)
        yield from _beat(store, config)


def _clock(now: float, before: float, after: float) -> Iterator[Finding]:
    """Compare clocks: SDKs judge a token's end by their own, and Celery's retries come late or early."""
    ahead = max(before - now, now - after, 0.0)
    if ahead > _SKEW:
        yield fault("clock", f"this machine's clock and Redis's differ by {ahead:.0f} s: set both by NTP")


def _facts(facts: Mapping[str, str]) -> Iterator[Finding]:
    if not facts:
        yield note(_SUBJECT, "this user may not call INFO, so version, memory and role could not be looked at")
        return
    kind = "Valkey" if "valkey_version" in facts else "Redis"
    version = facts.get("valkey_version") or facts.get("redis_version", "of unknown version")
    yield ok(_SUBJECT, f"{kind} {version} answers")
    if facts.get("role") == "slave":
        yield fault(_SUBJECT, "this server is a replica, which takes no writes: name its master in REDIS_URL")
    if facts.get("cluster_enabled") == "1":
        yield fault(_SUBJECT, "this server is a node of a Redis Cluster: write cluster://host:port in REDIS_URL")
    yield from _memory(facts)


def _memory(facts: Mapping[str, str]) -> Iterator[Finding]:
    policy, limit = facts.get("maxmemory_policy", "noeviction"), int(facts.get("maxmemory", 0))
    if policy == "noeviction":
        return
    sentence = f"maxmemory-policy is {policy}: when memory is full it throws away live tokens; set it to noeviction"
    yield fault(_SUBJECT, sentence) if limit else note(_SUBJECT, f"{sentence} (maxmemory is 0, so not now)")


def _rights(inspection: Inspection, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    found = problems(inspection, accounts.values())
    yield from (fault(_SUBJECT, problem) for problem in found)
    if not found:
        yield ok(_SUBJECT, "scripts run, and every key can be written")


def _beat(store: Store, config: Config) -> Iterator[Finding]:
    """Judge beat by what it leaves behind: that holds for every scheduler, in every app."""
    try:
        age = store.notes.ticked_ago()
    except StoreUnavailable:
        return  # said above
    patience = 3 * config.durations.tick + config.durations.grace
    if age is None:
        yield fault("beat", "no tick has come yet: start beat, and a worker that takes from the queue")
    elif age > patience:
        yield fault("beat", f"the last tick came {age:.0f} s ago: do beat and a worker run?")
    else:
        yield ok("beat", f"the last tick came {age:.0f} s ago")
