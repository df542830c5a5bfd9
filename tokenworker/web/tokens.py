"""Tokens: whose an access token is that somebody shows us, by its fingerprint."""

from __future__ import annotations

import time
from collections.abc import Callable

from tokenworker.credential import ACCESS_TOKEN, CredentialId
from tokenworker.store.store import Store
from tokenworker.web.kept import HASTE, Kept
from tokenworker.web.shared import Shared

#: No look for a token that we don't know comes sooner than so many seconds, and so many times the last one's length,
#: after the last: who shows made-up tokens must not keep Redis busy.
_PAUSE = 1.0
_SHARE = 20


class Tokens:
    """Remembers the tokens that were read here, and looks in Redis for the others.

    `overlap` is for how many seconds one works that was replaced.
    """

    def __init__(self, store: Store, kept: Kept, overlap: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._kept = kept
        self._overlap = overlap
        self._clock = clock
        self._shared = Shared(self._look)
        self._next_look = 0.0
        #: Whose each is, and until when it works though it is not the account's newest.
        self._owners: dict[str, tuple[str, float]] = {}
        self._by_account: dict[str, list[str]] = {}

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
        if fingerprint not in self._owners and self._clock() >= self._next_look:
            await self._kept.refresh(HASTE)
            for id_, found in await self._shared.answer():
                if found not in self._owners:
                    self.note(id_.account, found, works=False)
        owner = self._owners.get(fingerprint)
        return owner[0] if owner else None

    def works_still(self, fingerprint: str) -> bool:
        """Return whether one that may not be the newest works all the same."""
        owner = self._owners.get(fingerprint)
        return owner is not None and self._clock() < owner[1]

    def _look(self) -> list[tuple[CredentialId, str]]:
        """Look at all tokens, in a thread."""
        began = self._clock()
        try:
            return list(self._store.fingerprints.of_each(id_ for id_ in self._kept.ids if id_.name == ACCESS_TOKEN))
        finally:
            self._next_look = self._clock() + max(_PAUSE, _SHARE * (self._clock() - began))
