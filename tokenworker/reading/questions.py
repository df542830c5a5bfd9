"""What to ask Redis about a credential, in plain commands, and what its answers mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis

from tokenworker.credential import Credential, CredentialId, fingerprint, looks_issued, sure_for
from tokenworker.errors import StoreUnavailable, TokenUnavailable
from tokenworker.reading.link import Link
from tokenworker.store.exchange import Prepared, Words
from tokenworker.store.keys import Keys
from tokenworker.store.refusals import refusal
from tokenworker.store.scripts import source
from tokenworker.store.state import MANY_DEATHS

_FIELDS = (
    *("error", "errcode", "hint", "failed_at", "retry_at", "fetched_at", "resolved", "in_doubt_since"),
    *("probed_alive", "probed_dead", "probed_at", "probe_error", "early_deaths", "ends_at", "trusted_until"),
    "sure_until",
)
_NUMBER = re.compile(r"-?\d{1,15}(\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """All that Redis says of a credential: a live one and the seconds it has left, or what is `wrong`; its state.

    `asked_at` is by our clock, `now` by Redis's. Fields of the state that are not there, nonsense, and what we may not
    read count as nothing.
    """

    id: CredentialId
    fields: dict[str, str]
    asked_at: float
    now: float = 0.0
    credential: Credential | None = None
    left: float = 0.0
    wrong: str = ""

    def text(self, name: str) -> str:
        """Return a field of the state, or ""."""
        return self.fields.get(name, "")

    def number(self, name: str) -> float:
        """Return a field of the state, or 0."""
        return float(self.text(name)) if _NUMBER.fullmatch(self.text(name)) else 0.0

    @property
    def in_doubt(self) -> bool:
        """Whether WeChat may replace the credential at any moment, or did, so that each use needs a look."""
        return is_doubt(self.text("in_doubt_since").encode())

    @property
    def version(self) -> tuple[float, float]:
        """What orders the values of a credential: both grow, and one goes on doing so whatever happens to Redis.

        The count of fetches begins anew when Redis was emptied, the time falls back with Redis's clock.
        """
        return self.number("resolved"), self.number("fetched_at")

    def sure_for(self, overlap: float) -> float:
        """Return the seconds for which a caller may keep the credential, whatever is fetched meanwhile."""
        return sure_for(self.left, self.number("sure_until"), self.now, overlap)

    def cooldown(self) -> float:
        """Return the seconds until the next fetch, after a failure; 0 when nothing is known."""
        return max(0.0, self.number("retry_at") - self.now)

    def replaced_within(self, patience: float) -> float:
        """Return for how many seconds to wait for another one, since the last one was found dead, or ended, just now.

        WeCom makes a new token when the one before has ended, and not sooner.
        """
        gone_at = self.number("probed_at" if self.text("probed_dead") else "ends_at")
        left = gone_at + patience - self.now
        # More than that means that it has not ended, or that the clock went back.
        return left if 0 < left <= patience else 0.0

    def probed_alive(self, interval: float) -> bool:
        """Return whether a worker found less than `interval` seconds ago that it works, or a report changes nothing."""
        if self.credential is None or self.text("probed_alive") != self.credential.fingerprint:
            return False
        # More than twice that means that the clock went back.
        trusted = 0 < self.number("trusted_until") - self.now <= 2 * interval
        return trusted or 0 <= self.now - self.number("probed_at") < interval

    def unavailable(self) -> TokenUnavailable:
        """Return the error that says why there is none that may be used."""
        return unavailable(
            self.id,
            self.wrong or self._refused() or self.text("error") or self._absent(),
            errcode=int(self.number("errcode")) or None,
            hint=self.text("hint"),
            since=self.number("failed_at") or None,
            retry_in=self.cooldown() or None,
        )

    def _refused(self) -> str:
        """Return why one that is there can't be used: only one that WeChat refused is that."""
        if self.credential is None:
            return ""
        if self.text("probe_error"):
            return f"WeChat refused it, and it can't be tested: {self.text('probe_error')}"
        if self.number("early_deaths") > MANY_DEATHS:
            return "WeChat refused it, and since so many died early, a worker tests it once in 10 minutes only"
        return "WeChat refused it, and no worker has tested or replaced it yet; does one run?"

    def _absent(self) -> str:
        if self.text("probed_dead"):
            return "WeChat refused it, and another one is on its way"
        if self.text("fetched_at"):
            return "it expired; does a worker run?"
        asked = "is it in the accounts and their `keep`, is this its id and no name, and does a worker run?"
        return f"nobody keeps one for this account here; {asked}"


def unavailable(id_: CredentialId, reason: str, **facts: Any) -> TokenUnavailable:
    """Return the error that says why there is no such credential."""
    return TokenUnavailable(reason, id_.account, credential=id_.name, **facts)


def is_doubt(in_doubt_since: object) -> bool:
    """Return whether WeChat may have replaced the credential, by the field `in_doubt_since` as Redis answers it."""
    return isinstance(in_doubt_since, bytes) and in_doubt_since.strip(b"0.") != b""


class Questions:
    """What a reader asks and reports; every method raises `StoreUnavailable`."""

    def __init__(self, link: Link, keys: Keys, clock: Callable[[], float]) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock

    def glance(self, id_: CredentialId) -> tuple[Any, float, bool]:
        """Return all one needs to know of a value that one knows: itself, its life in s, and whether it is in doubt."""
        life, value, in_doubt_since = self._link.ask(glance_at(self._keys, id_))
        return value, life / 1000 if isinstance(life, int) else 0.0, is_doubt(in_doubt_since)

    def look(self, id_: CredentialId) -> Answer:
        """Return all that is known."""
        asked_at = self._clock()
        *answers, fields = self._link.ask(look_at(self._keys, id_))
        return _read(id_, self._keys.value(id_), asked_at, answers, _texts(fields))

    def report(self, id_: CredentialId, rejected: str) -> None:
        """Note in its state that WeChat refused the one with this fingerprint, and have a worker look at it."""
        value, state, _, _, history, counts = self._keys.of(id_)
        ask = ("EVAL", source("reject"), 4, value, state, history, counts, rejected)
        noted, live = self._link.ask([ask, ("GET", value)])
        # What another program wrote is not in our state; a worker has to look at it all the same.
        if noted == 1 or _is(live, rejected):
            [noted] = self._link.ask([self._due(id_)])
        if isinstance(noted, redis.ResponseError):
            raise StoreUnavailable(refusal(noted))

    def doubt(self, id_: CredentialId) -> None:
        """Note that Redis holds an older credential than it did, if we may; a worker probes it, or fetches another."""
        value, state = self._keys.value(id_), self._keys.state(id_)
        self._link.ask([("EVAL", source("doubt"), 2, value, state, 1, 0), self._due(id_)])

    def _due(self, id_: CredentialId) -> Words:
        return "ZADD", self._keys.due, 0, str(id_)


@lru_cache(maxsize=1024)
def glance_at(keys: Keys, id_: CredentialId) -> Prepared:
    """Return the commands for a value, its remaining life and any doubt.

    The life comes first, so that no transaction is needed: when the value changes in between, the newer one
    is thought to have no more life than the older.
    """
    value = keys.value(id_)
    return Prepared([("PTTL", value), ("GET", value), ("HGET", keys.state(id_), "in_doubt_since")])


def look_at(keys: Keys, id_: CredentialId) -> list[Words]:
    """Return the commands for a value, its remaining life, the time, and what the state says."""
    value = keys.value(id_)
    return [("PTTL", value), ("GET", value), ("TIME",), ("HMGET", keys.state(id_), *_FIELDS)]


def _read(id_: CredentialId, key: str, asked_at: float, answers: list[Any], fields: dict[str, str]) -> Answer:
    refused = next((answer for answer in answers if isinstance(answer, redis.ResponseError)), None)
    if refused:
        wrong = f"Redis does not let us read {key} with PTTL, GET and TIME: {refusal(refused)}"
        return Answer(id_, fields, asked_at, wrong=wrong)
    life, value, (seconds, microseconds) = answers
    now = int(seconds) + int(microseconds) / 1e6
    wrong = _fault(key, life, value)
    if value is None or wrong:
        return Answer(id_, fields, asked_at, now, wrong=wrong)
    # Less than nothing: the key appeared between the commands.
    left = max(0, life) / 1000
    return Answer(id_, fields, asked_at, now, Credential(value.decode(), now + left), left)


def _texts(fields: Any) -> dict[str, str]:
    texts = zip(_FIELDS, fields if isinstance(fields, list) else [], strict=False)
    return {name: value.decode("utf-8", "replace") for name, value in texts if value}


def _fault(key: str, life: int, value: bytes | None) -> str:
    if value is None:
        return ""
    if life == -1:
        return f"{key} never expires, so it is no worker that wrote it"
    if not looks_issued(value.decode("ascii", "replace")):
        return f"what {key} holds is nothing of WeChat's: did another program or version write it?"
    return ""


def _is(value: object, name: str) -> bool:
    return isinstance(value, bytes) and fingerprint(value.decode("utf-8", "surrogateescape")) == name
