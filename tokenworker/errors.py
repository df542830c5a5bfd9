"""Everything that tokenworker raises.

TokenWorkerError
├── ConfigError             the settings can't be used
├── UnknownAccount          nobody configured this appid
├── StoreUnavailable        Redis can't be reached, or refuses
├── TokenUnavailable        there is no token that works
└── FetchError              WeChat gave no token
    ├── TransientError      it will pass: again in seconds
    │   ├── NetworkError    no answer came
    │   └── MalformedAnswer what came is no answer of WeChat's
    ├── MinuteLimit         too many calls in this minute
    ├── DayLimit            too many calls today
    └── OperatorError       a person must act

Every argument goes to ``super().__init__``, so that an error survives pickle and Celery's JSON results
with all its facts; the text is made in ``__str__``. No error ever holds a token or an AppSecret.
"""

from __future__ import annotations


class TokenWorkerError(Exception):
    """The root of the tree; never raised itself."""


class ConfigError(TokenWorkerError):
    """The settings are missing, malformed or contradictory; `faults` lists all of them."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "tokenworker cannot start with these settings:\n" + "\n".join(f"  - {f}" for f in self.faults)


class UnknownAccount(TokenWorkerError):  # noqa: N818  it states a fact
    """Someone named an appid that is not configured, or none where there are several."""

    def __init__(self, appid: str | None, configured: int) -> None:
        super().__init__(appid, configured)
        self.appid = appid
        self.configured = configured

    def __str__(self) -> str:
        if self.appid is None:
            return f"{self.configured} accounts are configured: say which appid you mean"
        return (
            f"{self.appid!r} is not among the {self.configured} configured accounts: add it to the accounts"
            " file, or check the appid"
        )


class StoreUnavailable(TokenWorkerError):  # noqa: N818
    """Redis can't be reached, or refuses what we ask of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the token store does not answer: {self.reason}"


class TokenUnavailable(TokenWorkerError):  # noqa: N818
    """There is no token that works for this account, and `reason` says why.

    `errcode` and `hint` are those of the last failed fetch; `since` is when it failed, in epoch seconds by
    Redis's clock; `retry_in` is how many seconds the next fetch is away.
    """

    def __init__(
        self,
        appid: str,
        reason: str,
        errcode: int | None = None,
        hint: str = "",
        since: float | None = None,
        retry_in: float | None = None,
    ) -> None:
        super().__init__(appid, reason, errcode, hint, since, retry_in)
        self.appid = appid
        self.reason = reason
        self.errcode = errcode
        self.hint = hint
        self.since = since
        self.retry_in = retry_in

    def __str__(self) -> str:
        text = f"no token for {self.appid}: {self.reason}"
        if self.hint:
            text += f" ({self.hint})"
        if self.retry_in is not None:
            text += f"; next attempt in {max(0, self.retry_in):.0f} s"
        return text


class FetchError(TokenWorkerError):
    """WeChat gave no token.

    `errcode`, `errmsg` and `rid` are WeChat's; `hint` says what to do. `ambiguous` means that the request was
    sent and WeChat may have issued a token that we never saw.
    """

    #: Seconds until the next attempt; the refresher sets it, since it knows how many failed before.
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
        super().__init__(reason, errcode, errmsg, rid, hint, ambiguous)
        self.reason = reason
        self.errcode = errcode
        self.errmsg = errmsg
        self.rid = rid
        self.hint = hint
        self.ambiguous = ambiguous

    def __str__(self) -> str:
        return f"{self.reason}: {self.hint}" if self.hint else self.reason


class TransientError(FetchError):
    """It passes by itself: worth another try in seconds."""


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
