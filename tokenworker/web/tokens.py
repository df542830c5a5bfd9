"""Tokens: whose an access token is that somebody shows us, by its fingerprint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tokenworker.credential import ACCESS_TOKEN, CredentialId
from tokenworker.store.store import Store

#: No look for a token that we don't know comes sooner than so many seconds, and so many times the last one's length,
#: after the last: who shows made-up tokens must not keep Redis busy.
_PAUSE = 1.0
_SHARE = 20


class Tokens:
    """Remembers the tokens that were read here, and looks in Redis for the others.

    `overlap` is for how many seconds one works that was replaced.
    """

    def __init__(self, store: Store, overlap: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._overlap = overlap
        self._clock = clock
        #: Whose each is, and until when it works though it is not the account's newest.
        self._owners: dict[str, tuple[str, float]] = {}
        self._by_account: dict[str, list[str]] = {}
        self._next_look = 0.0
        self._look: asyncio.Task[None] | None = None

    def note(self, account: str, fingerprint: str, *, works: bool = True) -> None:
        """Remember that this is the account's token now; `works` says that it was just read."""
        until = self._clock() + self._overlap if works else 0.0
        if fingerprint not in self._owners:
            theirs = [fingerprint, *self._by_account.get(account, ())]
            for old in theirs[2:]:
                self._owners.pop(old, None)
            self._by_account[account] = theirs[:2]
        self._owners[fingerprint] = account, until

    async def account(self, fingerprint: str) -> str | None:
        """Return whose it is; None when no account has, or just had, such a token. Raises `StoreUnavailable`."""
        if fingerprint not in self._owners and (self._look or self._clock() >= self._next_look):
            self._look = self._look or asyncio.create_task(self._find_all())
            await asyncio.shield(self._look)
        owner = self._owners.get(fingerprint)
        return owner[0] if owner else None

    def works_still(self, fingerprint: str) -> bool:
        """Return whether one that may not be the newest works all the same."""
        owner = self._owners.get(fingerprint)
        return owner is not None and self._clock() < owner[1]

    async def _find_all(self) -> None:
        began = self._clock()
        try:
            found = await asyncio.to_thread(self._read)
        finally:
            self._look = None
            self._next_look = self._clock() + max(_PAUSE, _SHARE * (self._clock() - began))
        for id_, fingerprint in found:
            self.note(id_.account, fingerprint, works=False)

    def _read(self) -> list[tuple[CredentialId, str]]:
        ids = [id_ for id_ in self._store.schedule.ids() if id_.name == ACCESS_TOKEN]
        return list(self._store.fingerprints.of_each(ids))
