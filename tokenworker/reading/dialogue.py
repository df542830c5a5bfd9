"""What a reader says to Redis, and that it says nothing while Redis does not answer."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

from tokenworker.credential import Credential, fingerprint
from tokenworker.errors import StoreUnavailable
from tokenworker.reading.answers import Found, State, is_doubt, question, read, short_question
from tokenworker.reading.copies import Copies
from tokenworker.reading.steps import Exchange, Refusal, Steps
from tokenworker.store.keys import Keys


class Dialogue:
    """Questions and reports of one reader; every method raises `StoreUnavailable`."""

    def __init__(self, keys: Keys, copies: Copies, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._copies = copies
        self._clock = clock

    def confirm(self, appid: str) -> Steps[Credential | None]:
        """Ask whether the token that we have is still the one; None when it is not, or we have none."""
        asked_at = self._clock()
        left, value, in_doubt_since = yield from self._exchange(short_question(self._keys, appid))
        if not isinstance(left, int):
            return None
        return self._copies.renew(appid, value, left / 1000, asked_at, in_doubt=is_doubt(in_doubt_since))

    def look(self, appid: str) -> Steps[tuple[Found, State]]:
        """Ask for all that is known of an account."""
        asked_at = self._clock()
        replies = yield from self._exchange(question(self._keys, appid))
        return read(replies, self._keys.token(appid), asked_at)

    def report(self, appid: str, name: str) -> Steps[None]:
        """Note in the account's state that WeChat refused the token with this fingerprint."""
        key = self._keys.token(appid)
        script = "EVAL", _script("reject"), 2, key, self._keys.state(appid), name
        noted, value = yield from self._exchange(Exchange.of(script, ("GET", key)))
        # Another program's token is in no state; the worker has to look at it all the same.
        if noted == 1 or _holds(value, name):
            [noted] = yield from self._exchange(Exchange.of(("ZADD", self._keys.due, 0, appid)))
        if isinstance(noted, Refusal):
            raise StoreUnavailable(noted.reason)

    def doubt(self, appid: str) -> Steps[None]:
        """Tell the workers that Redis holds an older token than it did, if we may; they test it, or fetch another."""
        script = "EVAL", _script("doubt"), 2, self._keys.token(appid), self._keys.state(appid), 1, 0
        yield from self._exchange(Exchange.of(script, ("ZADD", self._keys.due, 0, appid)))

    def _exchange(self, exchange: Exchange) -> Steps[list[Any]]:
        reason = self._copies.silence()
        if reason:
            raise StoreUnavailable(reason)
        replies: list[Any] | StoreUnavailable = yield exchange
        if isinstance(replies, StoreUnavailable):
            self._copies.note_silence(replies.reason)
            raise replies
        self._copies.note_answer()
        return replies


def _holds(value: object, name: str) -> bool:
    return isinstance(value, bytes) and fingerprint(value.decode("utf-8", "surrogateescape")) == name


def _script(name: str) -> str:
    return resources.files("tokenworker.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
