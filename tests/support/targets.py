"""Short ways to what most tests are about: the access token of an account."""

from __future__ import annotations

from tokenworker.accounts.account import Account
from tokenworker.credential import ACCESS_TOKEN, Credential, CredentialId
from tokenworker.credentials import target
from tokenworker.credentials.kind import Kind
from tokenworker.credentials.target import Target
from tokenworker.store.state import Lease, Snapshot
from tokenworker.store.store import Store


def token_of(account: Account) -> Target:
    """Return the access token that an account keeps."""
    return target(account, ACCESS_TOKEN)


def kind_of(account: Account) -> Kind:
    """Return the rules for the access token of an account."""
    return token_of(account).kind


def look(store: Store, account: str = "wx1") -> Snapshot:
    """Look at the access token of an account."""
    return store.records.look(CredentialId(account))


def lease_of(store: Store, account: str = "wx1", seconds: float = 5) -> Lease | None:
    """Take the lease of an account's access token, if nobody has it."""
    taken = store.records.lease(CredentialId(account), seconds)
    return taken[0] if taken else None


def read(store: Store, account: str = "wx1") -> Credential | None:
    """Return the access token of an account, if there is one."""
    return look(store, account).credential
