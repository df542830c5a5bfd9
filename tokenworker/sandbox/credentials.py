"""Credentials as WeChat's side sees them: tokens and tickets."""

import secrets
from dataclasses import dataclass, field
from typing import Literal, Self

from tokenworker.credential import fingerprint
from tokenworker.sandbox.state import CredentialState


def random_text(length: int, prefix: str = "") -> str:
    """Make up a value of `length` characters in the alphabet that WeChat uses, [A-Za-z0-9_-]."""
    return (prefix + secrets.token_urlsafe(length))[:length]


@dataclass(frozen=True)
class Grant:
    """What a caller gets; `expires_in` is relative seconds, as WeChat says it."""

    value: str = field(repr=False)
    expires_in: float

    @property
    def access_token(self) -> str:
        """The value, as WeChat calls it where it is a token."""
        return self.value


@dataclass(frozen=True)
class Verdict:
    """How a credential stands: `current` and `overlap` are accepted, the others are not.

    `appid` is whose it is: an appid, a corpid for what a whole corp has, or CORPID/AGENT.
    """

    verdict: Literal["current", "overlap", "expired", "superseded", "unknown"]
    appid: str | None = None
    seconds_left: float = 0
    #: Which of the owner's credentials it is, such as `access_token` or `jsapi_ticket`.
    name: str | None = None

    @property
    def works(self) -> bool:
        """Whether it is accepted."""
        return self.verdict in ("current", "overlap")


@dataclass(frozen=True)
class Mint:
    """One line of the log of new credentials; `minted_at` is epoch seconds."""

    fingerprint: str
    endpoint: str
    minted_at: float
    forced: bool
    name: str


@dataclass
class IssuedCredential:
    """A credential and its end; all times are epoch seconds."""

    value: str = field(repr=False)
    mint: Mint
    #: Natural end.
    expires_at: float
    #: Real end: earlier than `expires_at` once it is superseded or revoked.
    ends_at: float
    #: The credential that it dies with, if there is one.
    parent: "IssuedCredential | None" = None

    @classmethod
    def of(cls, state: CredentialState) -> Self:
        """Make one again from plain data, but for its parent, which may not be there yet."""
        value, name = state["value"], state["name"]
        mint = Mint(fingerprint(value), state["endpoint"], state["minted_at"], state["forced"], name)
        return cls(value, mint, state["expires_at"], state["ends_at"])

    def state(self) -> CredentialState:
        """Return it as plain data."""
        return {
            "value": self.value,
            "endpoint": self.mint.endpoint,
            "name": self.mint.name,
            "minted_at": self.mint.minted_at,
            "forced": self.mint.forced,
            "expires_at": self.expires_at,
            "ends_at": self.ends_at,
            "parent": self.parent.mint.fingerprint if self.parent else None,
        }

    def cut(self, moment: float) -> None:
        """End it at `moment`, never later than it would end anyway."""
        self.ends_at = min(self.ends_at, moment)

    def works(self, now: float) -> bool:
        """Return whether it is accepted at `now`."""
        return now < self.ends_at and (self.parent is None or self.parent.works(now))

    def is_expired(self, now: float) -> bool:
        """Return whether it lived out its time, and was not ended before."""
        return self.ends_at == self.expires_at <= now


def whole_seconds(seconds: float) -> float:
    """Round down to the integer that WeChat would send; below 1 s that would be 0, so keep the fraction."""
    return int(seconds) or seconds
