"""TokenReader: how a Python service reads tokens. It never fetches, and needs no AppSecret and no Celery."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from tokenworker.durations import Durations
from tokenworker.errors import StoreUnavailable, TokenUnavailable
from tokenworker.store import Snapshot, TokenStore, connect
from tokenworker.tokens import AccessToken, fingerprint


@dataclass(frozen=True)
class _Copy:
    """A token as we last read it, and when, by this process's monotonic clock."""

    token: AccessToken = field(repr=False)
    read_at: float
    expires_at: float


class TokenReader:
    """Reads tokens from Redis and keeps the last good one of each account; safe to share between threads.

    Asked again within a second it answers from its copy; while Redis is away it goes on with the copy until
    30 s before the token expires.
    """

    def __init__(
        self,
        redis_url: str,
        prefix: str = "tokenworker",
        durations: Durations | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = connect(redis_url, timeout=0.4, retries=0)
        self._store = TokenStore(self._client, prefix)
        self._durations = durations or Durations()
        self._clock = clock
        self._copies: dict[str, _Copy] = {}

    def get_token(self, appid: str) -> AccessToken:
        """Return a token that works; raises `TokenUnavailable` with the reason when there is none."""
        copy = self._copies.get(appid)
        now = self._clock()
        if copy and now - copy.read_at < self._durations.reader_copy and now < copy.expires_at:
            return copy.token
        try:
            token, redis_now = self._store.read(appid)
        except StoreUnavailable as error:
            reason = str(error)
        else:
            return self._keep(appid, token, redis_now) if token else self._missing(appid)
        if copy and now < copy.expires_at - self._durations.reader_margin:
            return copy.token
        raise TokenUnavailable(appid, reason)

    def reject(self, appid: str, access_token: str) -> None:
        """Report that WeChat refused a token (40001, 40014, 42001): a new one is on its way, if it was ours.

        Raises `StoreUnavailable`.
        """
        self._copies.pop(appid, None)
        self._store.reject(appid, fingerprint(access_token))

    def close(self) -> None:
        """Close the connections to Redis."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self, appid: str, token: AccessToken, redis_now: float) -> AccessToken:
        now = self._clock()
        self._copies[appid] = _Copy(token, now, now + token.expires_in(redis_now))
        return token

    def _missing(self, appid: str) -> AccessToken:
        self._copies.pop(appid, None)
        raise _unavailable(self._store.look(appid))


def _unavailable(snapshot: Snapshot) -> TokenUnavailable:
    never = "nobody keeps a token for this appid here; is it in the accounts, and does a worker run?"
    return TokenUnavailable(
        snapshot.appid,
        snapshot.error or ("it expired; does a worker run?" if snapshot.fetched_at else never),
        snapshot.errcode,
        snapshot.hint,
        snapshot.failed_at or None,
        snapshot.retry_at - snapshot.now if snapshot.retry_at > snapshot.now else None,
    )
