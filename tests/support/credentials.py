"""Credentials that tests put into Redis, by the real store, as a worker that fetched them does."""

from __future__ import annotations

from typing import Any

import redis

from tokenworker.credential import ACCESS_TOKEN, Credential, CredentialId
from tokenworker.store.store import Store


def put(
    where: Store | redis.Redis,
    value: str = "token",
    life: float = 100,
    account: str = "wx1",
    name: str = ACCESS_TOKEN,
    **state: Any,
) -> None:
    """Make a value the account's credential for `life` seconds, and write such fields into its state."""
    records = (where if isinstance(where, Store) else Store(where)).records
    taken = records.lease(CredentialId(account, name), 5)
    assert taken
    lease, _ = taken
    credential = Credential(value, lease.taken_at + life)
    records.commit(lease, credential, refresh_at=lease.taken_at + life / 2, **state)
