"""Targets: what is kept fresh, one kind of credential of one account each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from tokenworker.accounts.account import Account
from tokenworker.credential import Credential, CredentialId
from tokenworker.credentials.kind import Kind, Quota
from tokenworker.publish.formats import Copy


@dataclass(frozen=True)
class Target:
    """A credential that an account keeps, and the rules for it."""

    account: Account
    kind: Kind

    @cached_property
    def id(self) -> CredentialId:
        """Its name in Redis, in messages and in logs."""
        return CredentialId(self.account.id, self.kind.name)

    @property
    def label(self) -> str:
        """What logs and errors call it."""
        return f"{self.account.id} {self.kind.name}"

    @property
    def settings_digest(self) -> str:
        """Digest of the settings that a fetch depends on, see `Account.settings_digest`."""
        return self.account.settings_digest

    @property
    def quota(self) -> Quota | None:
        """How many fetches WeChat allows it; the account may say so, by the day."""
        return Quota(self.account.quota) if self.account.quota else self.kind.quota

    @cached_property
    def blank_copies(self) -> tuple[Copy, ...]:
        """Its published copies, with empty values: for their names and keys."""
        return tuple(self.copies(Credential("", 0), 0))

    def copies(self, credential: Credential, fetched_at: float) -> list[Copy]:
        """Return the published copies of a credential fetched at `fetched_at`, in epoch seconds."""
        return self.account.copies(self.kind.name, credential, fetched_at)

    @cached_property
    def publish_digest(self) -> str:
        """Digest of its list of published copies, to notice a change of it; empty for none."""
        keys = "\n".join(copy.key for copy in self.blank_copies)
        return sha256(keys.encode()).hexdigest()[:8] if keys else ""
