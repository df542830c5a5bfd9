"""The Redis that holds the credentials: whether a worker can do there all that it has to."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice

from tokenworker.accounts.account import Account
from tokenworker.cli.doctor import replicas, sentinels
from tokenworker.cli.doctor.finding import Finding, fault, note, ok
from tokenworker.cli.doctor.rights import SAMPLE, problems
from tokenworker.cli.kept import absence
from tokenworker.errors import StoreUnavailable
from tokenworker.settings.config import Config
from tokenworker.settings.servers import Servers, Topology
from tokenworker.store.connect import connect
from tokenworker.store.inspection import Inspection, ServerFacts
from tokenworker.store.store import Store

_SUBJECT = "Redis"

#: Seconds by which the clock of this machine may differ from another without harm.
SKEW = 5.0

#: The oldest Redis on which credentials were seen to be kept.
_OLDEST = 5


def examine(config: Config, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Look at the servers, and try what a worker does there."""
    hops = list(sentinels.examine(config.redis_url)) if _topology(config) == "sentinel" else []
    yield from hops
    with closing(connect(config.redis_url)) as client:
        store, inspection = Store(client, config.prefix), Inspection(client, config.prefix)
        try:
            yield from _servers(config, inspection)
        except _Useless as useless:
            yield fault(_SUBJECT, str(useless))
            return
        except StoreUnavailable as error:
            if not any(hop.level == "fault" for hop in hops):
                yield fault(_SUBJECT, absence() or str(error))
            return
        yield from _clock(store)
        yield from _rights(inspection, list(islice(accounts.values(), SAMPLE)), len(accounts))
        yield from _beat(store, config)


def _topology(config: Config) -> Topology:
    return Servers.of(config.redis_url).topology


class _Useless(Exception):  # noqa: N818  it states a fact
    """A server that can't keep credentials: the sentence says why, and what to write."""


def _servers(config: Config, inspection: Inspection) -> Iterator[Finding]:
    servers = inspection.facts()
    if not servers:
        yield note(_SUBJECT, "this user may not call INFO, so version, memory and role could not be looked at")
        return
    topology = _topology(config)
    for server in servers:
        if sentence := _mistaken(server, topology):
            raise _Useless(sentence)
    found = [finding for server in servers for finding in _facts(config, inspection, server)]
    yield from dict.fromkeys(found)
    if topology == "cluster":
        yield from _slots(inspection.cluster())


def _mistaken(server: ServerFacts, topology: Topology) -> str:
    """Return why a server is none to keep credentials on; "" where it is one."""
    if "sentinel" in (server.get("redis_mode"), server.get("server_mode")):  # Redis's word, Valkey's
        return (
            "this is a Sentinel, which keeps nothing: write sentinel://host:26379/SERVICE in REDIS_URL, with what the"
            " Sentinels call the master"
        )
    if server.get("cluster_enabled") == "1" and topology != "cluster":
        return "this server is a node of a Redis Cluster: write cluster://host:port in REDIS_URL"
    if server.get("role") == "slave":
        return "this server is a replica, which takes no writes: name its master in REDIS_URL"
    version = server.get("redis_version", "")
    if version.partition(".")[0].isdigit() and int(version.partition(".")[0]) < _OLDEST:
        return f"Redis {version} is too old: credentials need {_OLDEST}.0 or newer, or Valkey"
    return ""


def _facts(config: Config, inspection: Inspection, server: ServerFacts) -> Iterator[Finding]:
    kind = "Valkey" if "valkey_version" in server else "Redis"
    version = server.get("valkey_version") or server.get("redis_version", "of unknown version")
    yield ok(_SUBJECT, f"{kind} {version} answers")
    yield from _memory(server)
    yield from replicas.examine(config, server)
    yield from replicas.on_disk(inspection, server)


def _memory(server: ServerFacts) -> Iterator[Finding]:
    policy, limit = server.get("maxmemory_policy", "noeviction"), int(server.get("maxmemory", 0))
    if policy == "noeviction":
        return
    sentence = f"maxmemory-policy is {policy}: when memory is full it throws away live tokens; set it to noeviction"
    yield fault(_SUBJECT, sentence) if limit else note(_SUBJECT, f"{sentence} (maxmemory is 0, so not now)")


def _slots(cluster: ServerFacts) -> Iterator[Finding]:
    """Look whether the nodes have all the slots between them."""
    if cluster.get("cluster_state", "ok") != "ok":
        yield fault(
            _SUBJECT,
            f"the cluster does not serve all keys: {cluster.get('cluster_slots_ok')} of 16384 slots are well; bring its"
            " nodes back, or see `redis-cli --cluster check`",
        )


def _clock(store: Store) -> Iterator[Finding]:
    try:
        before, now, after = time.time(), store.now(), time.time()
    except StoreUnavailable as error:
        yield fault(_SUBJECT, str(error))
        return
    yield from _skew(now, before, after)


def _skew(now: float, before: float, after: float) -> Iterator[Finding]:
    """Compare clocks: SDKs judge a token's end by their own, and Celery's retries come late or early."""
    ahead = max(before - now, now - after, 0.0)
    if ahead > SKEW:
        yield fault("clock", f"this machine's clock and Redis's differ by {ahead:.0f} s: set both by NTP")


def _rights(inspection: Inspection, tried: Sequence[Account], count: int) -> Iterator[Finding]:
    try:
        found = problems(inspection, tried)
    except StoreUnavailable as error:
        found = [str(error)]
    yield from (fault(_SUBJECT, problem) for problem in found)
    if not found:
        which = f"the keys of the first {len(tried)} of {count} accounts" if len(tried) < count else "every key"
        yield ok(_SUBJECT, f"scripts run, and {which} can be written")


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
