"""Access tokens as WeChat's side sees them."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Literal, get_args

Endpoint = Literal["token", "stable_token"]
ENDPOINTS: tuple[Endpoint, ...] = get_args(Endpoint)

# WeChat's prefixes are integers that rose through the years.
_PREFIX = "97_"


def fingerprint(access_token: str) -> str:
    """Name a token without showing it: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(access_token.encode(errors="surrogatepass")).hexdigest()[:16]


def new_access_token(length: int) -> str:
    """Make up a token of `length` characters that looks like WeChat's."""
    return (_PREFIX + secrets.token_urlsafe(length))[:length]


@dataclass(frozen=True)
class Grant:
    """What a caller gets; `expires_in` is relative seconds, as WeChat says it."""

    access_token: str = field(repr=False)
    expires_in: float


@dataclass(frozen=True)
class Verdict:
    """How a token stands: `current` and `overlap` work on business calls, the others do not."""

    verdict: Literal["current", "overlap", "expired", "superseded", "unknown"]
    appid: str | None = None
    seconds_left: float = 0

    @property
    def works(self) -> bool:
        """Tell whether business calls take the token."""
        return self.verdict in ("current", "overlap")


@dataclass(frozen=True)
class Mint:
    """One line of the log of new tokens; `minted_at` is epoch seconds."""

    fingerprint: str
    endpoint: Endpoint
    minted_at: float
    forced: bool


@dataclass
class IssuedToken:
    """A token and its end; all times are epoch seconds."""

    access_token: str = field(repr=False)
    mint: Mint
    #: Natural end.
    expires_at: float
    #: Real end: earlier than `expires_at` once the token is superseded.
    ends_at: float

    def cut(self, moment: float) -> None:
        """End the token at `moment`, never later than it would end anyway."""
        self.ends_at = min(self.ends_at, moment)

    def works(self, now: float) -> bool:
        """Tell whether business calls take the token."""
        return now < self.ends_at


def whole_seconds(seconds: float) -> float:
    """Round down to the integer that WeChat would send; below 1 s that would be 0, so keep the fraction."""
    return int(seconds) or seconds
