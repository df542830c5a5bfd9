"""What to ask Redis about an account, in plain commands, and what its answers mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tokenworker.credential import Credential
from tokenworker.errors import TokenUnavailable
from tokenworker.reading.steps import Command, Exchange, Refusal
from tokenworker.store.keys import Keys

#: What WeChat hands out is printable, and no JSON: that would be another program's, or another version's.
_TOKEN = re.compile(rb"(?![{\[\"])[!-~]{1,2048}")
_FIELDS = (
    *("error", "errcode", "hint", "failed_at", "retry_at", "fetched_at", "resolved", "in_doubt_since"),
    *("probed_alive", "probed_dead", "probed_at", "probe_error", "early_deaths"),
)
_NUMBER = re.compile(r"-?\d{1,15}(\.\d+)?", re.ASCII)
#: As many make an account contested.
_MANY_DEATHS = 3
_NEVER = "nobody keeps a token for this appid here; is it in the accounts, and does a worker run?"


@dataclass(frozen=True, slots=True)
class Found:
    """A live token and the seconds it had left when we asked, by our clock and by Redis's; or what is `wrong`."""

    asked_at: float
    token: Credential | None = None
    left: float = 0.0
    now: float = 0.0
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """What the state says; fields that are not there, nonsense, and what we may not read count as nothing."""

    fields: dict[str, str]

    @classmethod
    def of(cls, reply: Any) -> State:
        """Take the answer for the fields."""
        texts = zip(_FIELDS, reply if isinstance(reply, list) else [], strict=False)
        return cls({name: value.decode("utf-8", "replace") for name, value in texts if value})

    def number(self, name: str) -> float:
        """Return a field, or 0."""
        text = self.fields.get(name, "")
        return float(text) if _NUMBER.fullmatch(text) else 0.0

    @property
    def in_doubt(self) -> bool:
        """Say whether WeChat may replace the token at any moment, or did, so that each use needs a look."""
        return is_doubt(self.fields.get("in_doubt_since", "").encode())

    @property
    def version(self) -> tuple[float, float]:
        """Order tokens of an account: both numbers grow, and one of them goes on doing so whatever happens to Redis.

        The count of fetches begins anew when Redis was emptied, the time falls back with Redis's clock.
        """
        return self.number("resolved"), self.number("fetched_at")

    def rests_for(self, now: float) -> float:
        """Say how many seconds the next fetch is away, after a failure; 0 when nothing is known."""
        return max(0.0, self.number("retry_at") - now)

    def replaced_within(self, now: float, patience: float) -> float:
        """Say for how many seconds to wait for another token, since the last one was found dead just now."""
        left = self.number("probed_at") + patience - now
        # More than that means that the clock went back.
        return left if self.fields.get("probed_dead") and 0 < left <= patience else 0.0

    def vouches_for(self, fingerprint: str, now: float, interval: float) -> bool:
        """Say whether the worker tested a token less than `interval` seconds ago, and found that it works."""
        return self.fields.get("probed_alive") == fingerprint and 0 <= now - self.number("probed_at") < interval


def is_doubt(in_doubt_since: object) -> bool:
    """Say whether a `in_doubt_since` as Redis answers it means that WeChat may have replaced the token."""
    return isinstance(in_doubt_since, bytes) and in_doubt_since.strip(b"0.") != b""


@lru_cache(maxsize=1024)
def short_question(keys: Keys, appid: str) -> Exchange:
    """Ask for a token, its remaining life and any doubt, all one needs to know of a token that one knows already.

    The life comes first, so that no transaction is needed: when the token changes in between, the newer one
    is thought to have no more life than the older.
    """
    return Exchange.of(*_commands(keys, appid), ("HGET", keys.state(appid), "in_doubt_since"))


def question(keys: Keys, appid: str) -> Exchange:
    """Ask for the same, the time, and what the state says."""
    return Exchange.of(*_commands(keys, appid), ("TIME",), ("HMGET", keys.state(appid), *_FIELDS))


def _commands(keys: Keys, appid: str) -> tuple[Command, Command]:
    key = keys.token(appid)
    return ("PTTL", key), ("GET", key)


def read(replies: list[Any], key: str, asked_at: float) -> tuple[Found, State]:
    """Make a token and the state of the answers to `question`."""
    *answers, fields = replies
    state = State.of(fields)
    refusal = next((answer for answer in answers if isinstance(answer, Refusal)), None)
    if refusal:
        wrong = f"Redis does not let us read {key} with PTTL, GET and TIME: {refusal.reason}"
        return Found(asked_at, wrong=wrong), state
    left, value, (seconds, microseconds) = answers
    return _found(key, asked_at, left, value, int(seconds) + int(microseconds) / 1e6), state


def _found(key: str, asked_at: float, left: int, value: bytes | None, now: float) -> Found:
    if value is None:
        return Found(asked_at, now=now)
    if left == -1:
        return Found(asked_at, now=now, wrong=f"{key} never expires, so it is no worker that wrote it")
    if not _TOKEN.fullmatch(value):
        wrong = f"what {key} holds is no token: did another program or version write it?"
        return Found(asked_at, now=now, wrong=wrong)
    # Less than nothing: the key appeared between the commands.
    life = max(0, left) / 1000
    return Found(asked_at, Credential(value.decode(), now + life), life, now)


def unavailable(appid: str, found: Found, state: State) -> TokenUnavailable:
    """Say why there is no token that may be used."""
    fields = state.fields
    return TokenUnavailable(
        found.wrong or _refused(found, state) or fields.get("error") or _otherwise(state),
        appid,
        int(state.number("errcode")) or None,
        fields.get("hint", ""),
        state.number("failed_at") or None,
        state.rests_for(found.now) or None,
    )


def _refused(found: Found, state: State) -> str:
    """Say why a token that is there can't be used: only one that WeChat refused is that."""
    if found.token is None:
        return ""
    if state.fields.get("probe_error"):
        return f"WeChat refused it, and it can't be tested: {state.fields['probe_error']}"
    if state.number("early_deaths") > _MANY_DEATHS:
        return "WeChat refused it, and since so many died early, a worker tests it once in 10 minutes only"
    return "WeChat refused it, and no worker has tested or replaced it yet; does one run?"


def _otherwise(state: State) -> str:
    if state.fields.get("probed_dead"):
        return "WeChat refused it, and another one is on its way"
    return "it expired; does a worker run?" if "fetched_at" in state.fields else _NEVER
