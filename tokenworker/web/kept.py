"""What is kept, as this process knows it: which credentials of which accounts, and what people call those."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tokenworker.credential import CredentialId, public_id
from tokenworker.errors import StoreUnavailable
from tokenworker.redaction import excerpt
from tokenworker.store.store import Store
from tokenworker.web.problems import Problem
from tokenworker.web.shared import Shared

#: Seconds between two looks, when nobody asks for what we don't know, and when somebody does.
_CALM = 15.0
HASTE = 1.0
#: Looks take no more than so little of the time: that for 100,000 accounts takes a second or two.
_SHARE = 1 / 20


@dataclass(frozen=True)
class Sight:
    """What one look at Redis found."""

    ids: frozenset[CredentialId] = frozenset()
    #: The names of accounts by id, and the other way round.
    names: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    #: The ids of a corp's applications.
    applications: Mapping[str, list[str]] = field(default_factory=dict)
    took: float = 0.0


class Kept:
    """The ids in Redis's schedule and the accounts' names, read again from time to time, and for what is unknown.

    So nobody can have workers look for accounts that there are none of.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._shared = Shared(self._look)
        self._seen = Sight()
        self._looked = -_CALM
        #: Why nothing was ever seen.
        self._problem = "Redis was not asked yet"

    @property
    def ids(self) -> frozenset[CredentialId]:
        """All that is kept."""
        return self._seen.ids

    @property
    def names(self) -> Mapping[str, str]:
        """The names of the accounts that have one, by id."""
        return self._seen.names

    def account(self, given: str) -> str:
        """Return the id of an account that is named by its name, or what was given."""
        return self._seen.accounts.get(given, given)

    def applications(self, corpid: str) -> list[str]:
        """Return the ids of a corp's applications."""
        return self._seen.applications.get(corpid, [])

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
        if self._clock() - self._looked < max(age, self._seen.took / _SHARE):
            return
        try:
            self._seen = await self._shared.answer()
        except StoreUnavailable as error:
            self._problem = self._problem and error.reason
            raise
        self._problem, self._looked = "", self._clock()

    def _look(self) -> Sight:
        """Look, in a thread: it may take seconds, in which others are answered."""
        began = self._clock()
        ids, names = self._store.schedule.ids(), self._store.notes.names()
        known = dict.fromkeys(id_.account for id_ in ids)
        applications: dict[str, list[str]] = {}
        for account in known:
            applications.setdefault(public_id(account), []).append(account)
        return Sight(frozenset(ids), names, _by_name(names, known), applications, self._clock() - began)

    def _absence(self, id_: CredentialId) -> str:
        kept = sorted(other.name for other in self.ids if other.account == id_.account)
        account, name = excerpt(id_.account), excerpt(id_.name)
        if kept:
            return f"{account} keeps {', '.join(kept)}, and no {name}: add it to `keep` of this account"
        return f"{account!r} is no account that is kept here: give an id or a name that `tokenworker status` shows"


def _by_name(names: Mapping[str, str], accounts: Mapping[str, None]) -> dict[str, str]:
    """Return ids by names; a name that two have, or that is the id of another, is none."""
    ids: dict[str, str] = {}
    twice = set()
    for account, name in names.items():
        if name in ids:
            twice.add(name)
        ids[name] = account
    return {name: account for name, account in ids.items() if name not in twice and name not in accounts}
