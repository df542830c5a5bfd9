"""Others who meddle with the account, and of whom nobody tells us."""

from __future__ import annotations

from contextlib import suppress

import redis

from model.record import DURATIONS, Record
from model.upstream import Upstream
from tokenworker.credential import CredentialId
from tokenworker.errors import FetchError
from tokenworker.refresh.turns import Limits
from tokenworker.sandbox import DEMO_APPID
from tokenworker.store.store import Store


class Strangers:
    """Programs that write to our Redis, or have our AppSecret, and people at WeChat's console."""

    def __init__(self, store: Store, client: redis.Redis, upstream: Upstream, record: Record) -> None:
        self._store = store
        self._client = client
        self._upstream = upstream
        self._record = record

    def overwrite(self) -> None:
        """Write under the token's key."""
        self._client.set(self._store.keys.value(CredentialId(DEMO_APPID)), "theirs", px=7_000_000)
        self._record.causes.append("the token was overwritten")

    def crowd(self) -> None:
        """Take all the room for calls to WeChat, for other accounts."""
        for number in range(Limits().concurrency):
            self._store.limiter.acquire(
                CredentialId(f"wx{number}"), rate=1000, concurrency=1000, seconds=DURATIONS.lease
            )

    def fetch(self) -> None:
        """Fetch a token."""
        with suppress(FetchError):
            self._upstream.fetch(force=False)

    def force(self) -> None:
        """Fetch a token and end the one before."""
        with suppress(FetchError):
            self._upstream.fetch(force=True)

    def revoke(self) -> None:
        """End all tokens."""
        self._upstream.revoke(still_handed_out=False)

    def revoke_and_hand_out(self) -> None:
        """End all tokens, and yet hand out the dead one to all who ask."""
        self._upstream.revoke(still_handed_out=True)
