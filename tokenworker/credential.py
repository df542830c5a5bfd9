"""The access token as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256


def fingerprint(access_token: str) -> str:
    """Name a token without showing it: the first 16 hex digits of its SHA-256."""
    return sha256(access_token.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True)
class Credential:
    """A token that works until `expires_at`, in epoch seconds by Redis's clock."""

    access_token: str = field(repr=False)
    expires_at: float

    @property
    def fingerprint(self) -> str:
        """The token's name in logs and reports."""
        return fingerprint(self.access_token)

    def expires_in(self, now: float) -> float:
        """Say how many seconds are left at `now`; negative when it has expired."""
        return self.expires_at - now


@dataclass(frozen=True)
class Issued:
    """A token as WeChat hands it out: `expires_in` seconds, counted from an unknown moment."""

    access_token: str = field(repr=False)
    expires_in: float
