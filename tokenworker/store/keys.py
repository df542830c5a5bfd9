"""The names of the Redis keys, which services in other languages rely on."""

from __future__ import annotations

from dataclasses import dataclass

from tokenworker.credential import CredentialId


@dataclass(frozen=True)
class Keys:
    """The keys of one installation; the braces are literal and keep an account in one slot of a cluster."""

    prefix: str = "tokenworker"

    @property
    def due(self) -> str:
        """A sorted set of credential ids, as `ACCOUNT:NAME`, by the time to look at them next."""
        return f"{self.prefix}:due"

    @property
    def names(self) -> str:
        """A hash of the names that people gave the accounts, by account."""
        return f"{self.prefix}:names"

    def value(self, id_: CredentialId) -> str:
        """The bare credential, which lives as long as it."""
        return f"{self.prefix}:{{{id_.account}}}:{id_.name}"

    def state(self, id_: CredentialId) -> str:
        """A hash of everything else that is known of a credential."""
        return f"{self.value(id_)}:state"

    def lease(self, id_: CredentialId) -> str:
        """The name of the process that is at WeChat for a credential."""
        return f"{self.value(id_)}:lease"

    def copies(self, id_: CredentialId) -> str:
        """A hash of the keys of its published copies, each with the SHA-1 of what was written there."""
        return f"{self.value(id_)}:copies"
