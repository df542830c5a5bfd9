"""Tokens: whose an access token is that somebody shows us, by its fingerprint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from tokenworker.credential import ACCESS_TOKEN, Credential, CredentialId
from tokenworker.store.store import Store
from tokenworker.web.kept import HASTE, Kept
from tokenworker.web.shared import Shared

#: No look for a token that we don't know comes sooner than so many seconds, and so many times the last one's length,
#: after the last: who shows made-up tokens must not keep Redis busy.
_PAUSE = 1.0
_SHARE = 20


@dataclass
class _Token:
    """A token of an account, and when it was last read here as the account's own."""

    account: str
    fingerprint: str
    credential: Credential | None = None
    seen_at: float = -math.inf


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
        self._by_fingerprint: dict[str, _Token] = {}
        #: The newest of each account, after the one before.
        self._by_account: dict[str, list[_Token]] = {}

    def note(self, account: str, credential: Credential) -> None:
        """Remember that this is the account's token now."""
        theirs = self._by_account.get(account)
        newest = theirs[-1] if theirs else None
        if newest is None or newest.credential is not credential:
            newest = self._renew(newest, account, credential)
        newest.seen_at = self._clock()

    async def account(self, fingerprint: str) -> str | None:
        """Return whose it is; None when no account has, or just had, such a token. Raises `StoreUnavailable`."""
        if fingerprint not in self._by_fingerprint and self._clock() >= self._next_look:
            await self._kept.refresh(HASTE)
            for id_, found in await self._shared.answer():
                if found not in self._by_fingerprint:
                    self._add(_Token(id_.account, found))
        token = self._by_fingerprint.get(fingerprint)
        return token.account if token else None

    def works_still(self, fingerprint: str) -> bool:
        """Return whether it was an account's so lately that it works, though it may not be the newest."""
        token = self._by_fingerprint.get(fingerprint)
        return token is not None and self._clock() < token.seen_at + self._overlap

    def _renew(self, newest: _Token | None, account: str, credential: Credential) -> _Token:
        """Return the newest, which may be the same one, read once more."""
        named = credential.fingerprint
        if newest is None or newest.fingerprint != named:
            newest = self._add(_Token(account, named))
        newest.credential = credential
        return newest

    def _add(self, token: _Token) -> _Token:
        """Keep one with the one before."""
        theirs = [*self._by_account.get(token.account, ()), token]
        for old in theirs[:-2]:
            self._by_fingerprint.pop(old.fingerprint, None)
        self._by_fingerprint[token.fingerprint] = token
        self._by_account[token.account] = theirs[-2:]
        return token

    def _look(self) -> list[tuple[CredentialId, str]]:
        """Look at all tokens, in a thread."""
        began = self._clock()
        try:
            return list(self._store.fingerprints.of_each(id_ for id_ in self._kept.ids if id_.name == ACCESS_TOKEN))
        finally:
            self._next_look = self._clock() + max(_PAUSE, _SHARE * (self._clock() - began))
