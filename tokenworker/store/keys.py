"""The names of the Redis keys, which services in other languages rely on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Keys:
    """The keys of one installation; the braces are literal and keep an account in one slot of a cluster."""

    prefix: str = "tokenworker"

    @property
    def due(self) -> str:
        """A sorted set of appids by the time to look at them next."""
        return f"{self.prefix}:due"

    @property
    def names(self) -> str:
        """A hash of the names that people gave the accounts, by appid."""
        return f"{self.prefix}:names"

    def token(self, appid: str) -> str:
        """The bare token of an account, which lives as long as it."""
        return f"{self.prefix}:{{{appid}}}:access_token"

    def state(self, appid: str) -> str:
        """A hash of everything else that is known of an account."""
        return f"{self.prefix}:{{{appid}}}:state"

    def lease(self, appid: str) -> str:
        """The name of the process that is at WeChat for an account."""
        return f"{self.prefix}:{{{appid}}}:lease"
