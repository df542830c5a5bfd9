"""Credentials with a day behind them, written into Redis as workers would have: nobody waits a day for a test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import redis

from tokenworker.credential import CredentialId, fingerprint
from tokenworker.durations import BEIJING, DAY
from tokenworker.store.keys import Keys
from tokenworker.store.usage import Action

KEYS = Keys()
HOUR = 3600.0
#: What a `stable_token` lives, and when the next one comes.
LIFE, PERIOD = 7200.0, 6905.0
IP = "120.208.99.249"
NOT_ALLOWED: dict[str, Any] = {
    "error": f"WeChat answered 40164 invalid ip {IP} ipv6 ::ffff:{IP}, not in whitelist rid: 6aa2f516-18f315ad",
    "errcode": 40164,
    "hint": f"add {IP} to the IP whitelist of this account in WeChat's console",
}
SILENT: dict[str, Any] = {"error": "no answer from qyapi.weixin.qq.com within 8 s"}


class Ago(float):
    """A moment, by how many seconds it is ago; less than none lies ahead."""


#: An event with how many seconds it is ago; moments in it are `Ago`.
Told = tuple[float, dict[str, Any]]


@dataclass
class Lived:
    """A credential: what happened to it, its state, and how many seconds it works yet, if there is one."""

    account: str
    name: str = ""
    credential: str = "access_token"
    left: float | None = None
    events: list[Told] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)

    #: How many fetches WeChat allows in a day; 0: any number.
    quota: int = 500_000

    @property
    def id(self) -> CredentialId:
        return CredentialId(self.account, self.credential)

    @property
    def value(self) -> str:
        """What must be seen nowhere."""
        return f"made-up-{self.account.replace('/', '-')}-{self.credential}-{'Zq7' * 20}"

    def write(self, pipe: Any, now: float) -> None:
        """Write it down."""
        pipe.zadd(KEYS.due, {str(self.id): now + 60})
        if self.name:
            pipe.hset(KEYS.names, self.account, self.name)
        if self.left is not None:
            pipe.set(KEYS.value(self.id), self.value, px=int(self.left * 1000))
            self.state.setdefault("fingerprint", fingerprint(self.value))
        pipe.hset(KEYS.state(self.id), mapping={**_ledger(self.quota, now), **_dated(self.state, now)})
        told = sorted(self.events, key=lambda it: -it[0])
        lines = [json.dumps({"at": round(now - ago, 3), **_dated(event, now)}) for ago, event in told]
        if lines:
            pipe.lpush(KEYS.history(self.id), *lines)


def _ledger(quota: int, now: float) -> dict[str, Any]:
    return {"fencing": 0, "day": int((now + BEIJING) // DAY), "quota": quota, "quota_period": DAY}


def _dated(facts: Mapping[str, Any], now: float) -> dict[str, Any]:
    return {name: round(now - it, 3) if isinstance(it, Ago) else it for name, it in facts.items()}


def write(
    client: redis.Redis, credentials: Iterable[Lived], workers: Mapping[str, float] | None = None, ticked: float = 2.0
) -> None:
    """Write all down, with workers by how long ago they gave a sign, and a tick so long ago."""
    seconds, microseconds = client.time()
    now = seconds + microseconds / 1e6
    pipe = client.pipeline(transaction=False)
    for each in credentials:
        each.write(pipe, now)
    for worker, ago in (workers or {}).items():
        pipe.zadd(KEYS.workers, {worker: now - ago})
    pipe.set(KEYS.ticked, "1", px=int(86_400_000 - ticked * 1000))
    pipe.execute()


# What happened


def refreshed(ago: float, dice: Random, cause: str = "stale") -> Told:
    event = {
        "event": "refreshed",
        "cause": cause,
        "outcome": "committed",
        "fingerprint": f"{dice.getrandbits(64):016x}",
    }
    return ago, event | {"took": round(0.08 + dice.random() / 4, 3), "expires_at": Ago(ago - LIFE)}


def lives(seed: int, until: float = 0.0, period: float = PERIOD) -> list[Told]:
    """Return the refreshes of a day, newest first, the last one less than a period before `until` seconds ago."""
    dice = Random(seed)  # noqa: S311  a made-up day
    first, count = until + dice.random() * period, int((23.8 * HOUR - until) / period)
    return [refreshed(first + place * period, dice) for place in range(count)]


def failures(since: float, until: float, every: float, said: Mapping[str, Any]) -> list[Told]:
    """Return the failures from so many seconds ago until so many."""
    count = int((since - until) / every)
    return [
        (since - place * every, {"event": "failed", "cause": "stale", "took": 0.1, **said}) for place in range(count)
    ]


# Credentials


def healthy(account: str, name: str, seed: int, credential: str = "access_token") -> Lived:
    """Return one with which all is well."""
    events = lives(seed)
    ago, last = events[0]
    state = {"fetched_at": Ago(ago), "refresh_at": Ago(ago - PERIOD), "fingerprint": last["fingerprint"]}
    quota = 0 if "/" in account else 500_000 if credential == "access_token" else 10_000
    return Lived(account, name, credential, LIFE - ago, events, {**state, "fetches_today": 12 - seed % 4}, quota)


def refused() -> Lived:
    """Return one that is missing, since WeChat does not let the server in."""
    events = lives(3, until=6 * HOUR) + failures(5.9 * HOUR, 0.2 * HOUR, 1800, NOT_ALLOWED)
    state = {
        "fetched_at": Ago(7.6 * HOUR),
        "failures": 12,
        "failed_at": Ago(720),
        "retry_at": Ago(-1080),
        "fetches_today": 19,
        **NOT_ALLOWED,
    }
    return Lived("wx7c1f0a52be90d344", "Members' club", events=events, state=state)


def contested() -> Lived:
    """Return one that another program ends again and again."""
    dice = Random(4)  # noqa: S311
    events = lives(8, until=8 * HOUR, period=3600)
    for ago in (7.4 * HOUR, 5.8 * HOUR, 3.1 * HOUR, 3200, 2500, 1900, 1300, 700):
        dead = {"event": "probed", "cause": "rejected", "outcome": "dead", "early": True}
        events += [refreshed(ago, dice, "dead"), (ago + 5, dead), (ago + 6, {"event": "reported"})]
    state = {"fetched_at": Ago(700), "refresh_at": Ago(-2900), "early_deaths": 5, "early_deaths_since": Ago(3200)}
    state |= {"fetches_today": 1731}
    return Lived("wx2d84cc61f3a07b19", "Mini shop", left=6500, events=events, state=state, quota=2000)


def unanswered() -> Lived:
    """Return one that works, while WeCom does not answer."""
    events = lives(12, until=1.5 * HOUR) + failures(2400, 30, 240, SILENT)
    state = {"fetched_at": Ago(events[0][0]), "failures": 10, "failed_at": Ago(25), "retry_at": Ago(-11), **SILENT}
    state |= {"fetches_today": 17}
    return Lived("ww5e80c2d9a14f7b36/1000002", "Field service", left=1260, events=events, state=state, quota=0)


def firm() -> list[Lived]:
    """Return the credentials of a firm in which something is wrong: what the page is for."""
    ticket = healthy("wx9b3e6d10a7c852f4", "Flagship store", 21, "jsapi_ticket")
    ticket.events.append((5.2 * HOUR, {"event": "reported"}))
    token = healthy("wx9b3e6d10a7c852f4", "Flagship store", 22)
    alive = {"event": "probed", "cause": "rejected", "outcome": "alive"}
    token.events += [(3.3 * HOUR + 1, {"event": "reported"}), (3.3 * HOUR, alive)]
    others = [healthy("wx41aa7f0be2d96c83", "Press office", 31), healthy("ww5e80c2d9a14f7b36/1000005", "Warehouse", 41)]
    return [refused(), contested(), unanswered(), ticket, token, *others]


def many(count: int) -> list[Lived]:
    """Return those of so many accounts, each with a whole day behind it; some are in trouble."""
    found = [healthy(f"wx{place:016x}", f"Branch {place}", place) for place in range(count)]
    for place in range(0, count, 10):
        found[place].events += failures(6 * HOUR, 0, 130, SILENT)
        found[place].state |= {"failures": 3, "failed_at": Ago(20), "retry_at": Ago(-10), **SILENT}
        if place % 30 == 0:
            found[place].left = None
    return found


#: Who read, reported, asked for signatures and was refused, how often.
READ: dict[tuple[str, Action], int] = {
    ("shop-php", "reads"): 48_211,
    ("shop-php", "reports"): 3,
    ("h5-pages", "reads"): 9_630,
    ("h5-pages", "signatures"): 21_874,
    ("crm-java", "reads"): 5_127,
    ("crm-java", "refusals"): 2,
}
