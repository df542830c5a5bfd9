"""What is kept, as this process knows it: which credentials of which accounts, and what people call those."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tokenworker.credential import CredentialId, public_id
from tokenworker.errors import StoreUnavailable
from tokenworker.redaction import excerpt
from tokenworker.store.store import Store
from tokenworker.web.problems import Problem

#: Seconds between two looks, when nobody asks for what we don't know, and when somebody does.
_CALM = 15.0
HASTE = 1.0


class Kept:
    """The ids in Redis's schedule and the accounts' names, read again from time to time, and for what is unknown.

    So nobody can have workers look for accounts that there are none of.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self.ids: frozenset[CredentialId] = frozenset()
        self.names: dict[str, str] = {}
        self._accounts: dict[str, str] = {}
        self._applications: dict[str, list[str]] = {}
        self._looked = -_CALM
        self._look: asyncio.Task[None] | None = None
        self._problem = "Redis was not asked yet"

    def account(self, given: str) -> str:
        """Return the id of an account that is named by its name, or what was given."""
        return self._accounts.get(given, given)

    def applications(self, corpid: str) -> list[str]:
        """Return the ids of a corp's applications."""
        return self._applications.get(corpid, [])

    def check_known(self) -> None:
        """Raise `StoreUnavailable` before the first look: nobody knows then whose name is whose."""
        if self._problem:
            raise StoreUnavailable(self._problem)

    async def check(self, id_: CredentialId) -> None:
        """Raise the problem of one that is not kept here; `StoreUnavailable` when nobody knows."""
        if id_ not in self.ids:
            await self.refresh(HASTE)
            if id_ not in self.ids:
                raise Problem(404, self._absence(id_))

    async def refresh(self, age: float = _CALM) -> None:
        """Look again if the last look is so many seconds ago, once for all who ask; raises `StoreUnavailable`."""
        if self._look is None and self._clock() - self._looked < age:
            return
        self._look = self._look or asyncio.create_task(self._read())
        await asyncio.shield(self._look)

    async def _read(self) -> None:
        try:
            ids, names = await asyncio.to_thread(lambda: (self._store.schedule.ids(), self._store.notes.names()))
        except StoreUnavailable as error:
            self._problem = self._problem and error.reason
            raise
        finally:
            self._look = None
        self._problem = ""
        accounts = dict.fromkeys(id_.account for id_ in ids)
        self._applications = {}
        for account in accounts:
            self._applications.setdefault(public_id(account), []).append(account)
        self._accounts = _by_name(names, accounts)
        self.names, self.ids, self._looked = names, frozenset(ids), self._clock()

    def _absence(self, id_: CredentialId) -> str:
        kept = sorted(other.name for other in self.ids if other.account == id_.account)
        account, name = excerpt(id_.account), excerpt(id_.name)
        if kept:
            return f"{account} keeps {', '.join(kept)}, and no {name}: add it to `keep` of this account"
        return f"{account!r} is no account that is kept here: give an id or a name that `tokenworker status` shows"


def _by_name(names: dict[str, str], accounts: dict[str, None]) -> dict[str, str]:
    """Return ids by names; a name that two have, or that is the id of another, is none."""
    ids: dict[str, str] = {}
    twice = set()
    for account, name in names.items():
        if name in ids:
            twice.add(name)
        ids[name] = account
    return {name: account for name, account in ids.items() if name not in twice and name not in accounts}
