"""Everything that tokenworker raises.

TokenWorkerError
├── ConfigError             the settings can't be used
├── UnknownAccount          nobody configured this account
├── UnknownCredential       the account does not keep that credential, or can't have it
├── WrongArgument           a task or a reader was called with what it can't take
├── StoreUnavailable        Redis can't be reached, or refuses
├── TokenUnavailable        there is no credential that works
└── FetchError              WeChat gave no credential
    ├── TransientError      it will pass: again in seconds
    │   ├── NetworkError    no answer came
    │   └── MalformedAnswer what came is no answer of WeChat's
    ├── MinuteLimit         too many calls in this minute
    ├── DayLimit            too many calls today
    └── OperatorError       a person must act

The one argument of each is its text: a sentence, and behind it, in brackets, the facts that a program may ask for.
So an error survives Celery's JSON results: an app that does not have this package reads the text, one that has it
finds the facts as attributes, and pickle keeps all of them. No error ever holds a credential or a secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Self

from tokenworker.redaction import discreet, masked

#: What brackets can hold: numbers, and texts such as an appid.
_FACT = r'[a-z_]+=(?:[\w.+-]+|"[\w./:-]+")'
_FACTS = re.compile(rf" \[({_FACT}(?: {_FACT})*)\]\Z", re.ASCII)


class TokenWorkerError(Exception):
    """The root of the tree; never raised itself."""

    def __init__(self, text: str, **facts: Any) -> None:
        sentence, found = _read(text, facts)
        self.__dict__.update(found)
        super().__init__(_written(sentence, found))
        self._sentence = sentence

    def __str__(self) -> str:
        return self._sentence

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._sentence!r})"


def _written(sentence: str, facts: dict[str, Any]) -> str:
    """Return a sentence with facts behind it, without those that say nothing or that brackets can't hold."""
    words = [f"{name}={json.dumps(value)}" for name, value in facts.items() if value]
    listed = " ".join(word for word in words if re.fullmatch(_FACT, word, re.ASCII))
    return f"{sentence} [{listed}]" if listed else sentence


def _read(text: str, facts: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the sentence, and `facts` with the values that stand behind it."""
    found = _FACTS.search(text)
    pairs = [word.split("=", 1) for word in found[1].split()] if found else []
    if found and all(name in facts for name, _ in pairs):
        return text[: found.start()], facts | {name: json.loads(value) for name, value in pairs}
    return text, facts


class ConfigError(TokenWorkerError):
    """The settings are missing, malformed or contradictory; `faults` lists all of them."""

    def __init__(self, faults: list[str] | str) -> None:
        if isinstance(faults, str):
            faults = [line.removeprefix(_ITEM) for line in faults.splitlines()[1:]]
        # What a setting or a file holds by mistake may be a secret, and a sentence may show it.
        faults = [discreet(fault) for fault in faults]
        super().__init__("\n".join((_CANNOT_START, *(_ITEM + fault for fault in faults))))
        self.faults = faults


_CANNOT_START = "tokenworker cannot start with these settings:"
_ITEM = "  - "


class UnknownAccount(TokenWorkerError):  # noqa: N818  it states a fact
    """Someone named an account that is not configured, or none where there are several; `configured` counts them."""

    appid: str | None
    configured: int

    def __init__(self, reason: str, appid: str | None = None, configured: int = 0) -> None:
        super().__init__(reason, appid=appid, configured=configured)


class UnknownCredential(TokenWorkerError):  # noqa: N818
    """Someone named a credential that an account does not keep, or can't have; the text says which it does."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class WrongArgument(TokenWorkerError):  # noqa: N818
    """A task or a reader was called with an argument of the wrong type; the text says what to pass instead."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)

    @classmethod
    def of(cls, name: str, value: object, wanted: str) -> Self:
        """Return the error that says what was given as `name`, by its type, and what to give."""
        # Not the value: it may hold a credential.
        return cls(f"{name} was given as {_KINDS.get(type(value), 'something else')}: give {wanted}")


#: Types in the words of whoever writes JSON.
_KINDS = {
    str: "a text", bytes: "bytes", bool: "true or false", int: "a number", float: "a number", list: "a list",
    dict: "an object", type(None): "nothing",
}  # fmt: skip


class StoreUnavailable(TokenWorkerError):  # noqa: N818
    """Redis can't be reached, or refuses what we ask of it; `reason` says which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = str(self)


class TokenUnavailable(TokenWorkerError):  # noqa: N818
    """There is no credential of that name that works for this account, and `reason` says why.

    `errcode` and `hint` are those of the last failed fetch; `since` is when it failed, in epoch seconds by
    Redis's clock; `retry_in` is how many seconds the next fetch is away.
    """

    appid: str
    errcode: int | None
    since: float | None
    retry_in: float | None

    def __init__(
        self,
        reason: str,
        appid: str = "",
        errcode: int | None = None,
        hint: str = "",
        since: float | None = None,
        retry_in: float | None = None,
        credential: str = "access_token",
    ) -> None:
        appid = masked(appid)  # somebody may have given a token in its place
        text = f"no {masked(credential)} for {appid}: {reason}" if appid else reason
        if hint:
            text += f" ({hint})"
        if retry_in is not None:
            text += f"; next attempt in {max(0, retry_in):.0f} s"
        super().__init__(text, appid=appid, errcode=errcode, since=since, retry_in=retry_in)
        self.reason = reason if appid else str(self)
        self.hint = hint


class FetchError(TokenWorkerError):
    """WeChat gave no credential.

    `errcode`, `errmsg` and `rid` are WeChat's; `hint` says what to do. `ambiguous` means that the request was
    sent and WeChat may have issued a credential that we never saw.
    """

    errcode: int | None
    rid: str
    ambiguous: bool
    #: Seconds until the next attempt; the keeper sets it, since it knows how many failed before.
    retry_in: float | None = None

    def __init__(
        self,
        reason: str,
        errcode: int | None = None,
        errmsg: str = "",
        rid: str = "",
        hint: str = "",
        ambiguous: bool = False,
    ) -> None:
        super().__init__(f"{reason}: {hint}" if hint else reason, errcode=errcode, rid=rid, ambiguous=ambiguous)
        self.reason = reason if hint else str(self)
        self.errmsg = errmsg
        self.hint = hint


class TransientError(FetchError):
    """It passes by itself: worth another fetch in seconds."""


class NetworkError(TransientError):
    """No answer came: the name, the connection, TLS or the deadline failed."""


class MalformedAnswer(TransientError):  # noqa: N818
    """What came back is no answer that WeChat documents; nothing of it is used."""


class MinuteLimit(FetchError):  # noqa: N818
    """WeChat's limit for this minute is reached (45011)."""


class DayLimit(FetchError):  # noqa: N818
    """WeChat's limit for this day is reached (45009)."""


class OperatorError(FetchError):
    """A person must act: wrong secret, IP not on the whitelist, account frozen."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came of."""
    while error:
        yield error
        error = error.__cause__ or error.__context__
