"""Redis brought in line with the settings: what is new is due, what changed too, what was taken out goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tokenworker.accounts.account import Account
from tokenworker.accounts.registry import AccountRegistry, Changes
from tokenworker.credential import CredentialId
from tokenworker.credentials import targets
from tokenworker.credentials.target import Target
from tokenworker.demo import DEMO_ACCOUNTS
from tokenworker.durations import Durations
from tokenworker.refresh.keeper import Keeper
from tokenworker.store.state import Snapshot
from tokenworker.store.store import Store


class Reconciler:
    """Brings Redis in line with the accounts in force; every method may raise `StoreUnavailable`."""

    def __init__(self, registry: AccountRegistry, store: Store, keeper: Keeper, durations: Durations) -> None:
        self._registry = registry
        self._store = store
        self._keeper = keeper
        self._durations = durations
        self._accounts: Mapping[str, Account] = {}
        self._targets: dict[CredentialId, Target] = {}

    @property
    def targets(self) -> Mapping[CredentialId, Target]:
        """All that the accounts in force keep."""
        accounts = self._registry.accounts
        if accounts is not self._accounts:
            every = [target for account in accounts.values() for target in targets(account).values()]
            self._accounts, self._targets = accounts, {target.id: target for target in every}
        return self._targets

    def reconcile(self) -> None:
        """Read the accounts again if they changed, and bring Redis in line with them."""
        changes = self._registry.reload()
        for account in changes.removed:
            self._forget_account(account)
        self._store.bulk.announce({target.id: target.settings_digest for target in self._news(changes)})
        if self._registry.error or changes.reread:
            self._store.notes.set_accounts_error(self._registry.error, 6 * self._durations.grace)
        if changes.reread:
            self._forget_demo()
        # Whatever is missing here, after a FLUSHALL for example, would never be looked at again.
        if changes.reread or len(self._store.schedule) < len(self.targets):
            self._store.notes.rename({account.id: account.name for account in self._registry.accounts.values()})
            self._store.schedule.add(self.targets)

    def _news(self, changes: Changes) -> list[Target]:
        """Return what may be new to Redis: at the first look, whatever has other settings than at the last fetch."""
        if not changes.first:
            return [target for account in changes.changed for target in targets(account).values()]
        accepted = self._store.bulk.accepted(self.targets)
        return [self.targets[id_] for id_, digest in accepted.items() if digest != self.targets[id_].settings_digest]

    def _forget_account(self, account: Account) -> None:
        for target in targets(account).values():
            self._clear(target.id)

    def _forget_demo(self) -> None:
        """Forget the sandbox's accounts once there is a real one, which is then meant where none is named."""
        accounts = self._registry.accounts
        if DEMO_ACCOUNTS.isdisjoint(accounts):
            for id_ in self._store.schedule.ids():
                if id_.account in DEMO_ACCOUNTS:
                    self._clear(id_)

    def mend_entries(self, ids: Iterable[CredentialId]) -> None:
        """Put back what Redis lost of these alone: when to look at them, and the names of their accounts."""
        kept = [id_ for id_ in ids if id_ in self.targets]
        self._store.schedule.add(kept)
        names = {id_.account: self.targets[id_].account.name for id_ in kept if self.targets[id_].account.name}
        known = self._store.notes.names_of(list(names))
        self._store.notes.rename({account: name for account, name in names.items() if account not in known})

    def mend_copies(self, ids: Iterable[CredentialId] | None = None) -> list[Snapshot]:
        """Write published copies that are gone once more, after an eviction for example, of these or of all.

        Returns how those are that lack a copy or have no value.
        """
        keys = {id_: self._copies_of(id_) for id_ in (self.targets if ids is None else ids) if id_ in self.targets}
        lacking = list(self._store.bulk.look(self._store.bulk.incomplete(keys)))
        for snapshot in lacking:
            self._keeper.publish(self.targets[snapshot.id], snapshot)
        return lacking

    def _copies_of(self, id_: CredentialId) -> list[str]:
        return [copy.key for copy in self.targets[id_].blank_copies]

    def claim(self, most: int) -> list[Target]:
        """Claim what is due, no more than `most`."""
        due = self._store.schedule.claim(most, self._durations.grace)
        for id_ in due:
            if id_ not in self.targets:
                self._forget(id_)
        return [self.targets[id_] for id_ in due if id_ in self.targets]

    def _forget(self, id_: CredentialId) -> None:
        """Forget what was taken out while nobody looked, once it has expired.

        Not before: a worker with newer settings may know it.
        """
        if self._store.records.look(id_).credential is None:
            self._clear(id_)

    def _clear(self, id_: CredentialId) -> None:
        self._store.records.clear(id_, self._durations.lease + self._durations.grace)
        if id_.account not in self._registry.accounts:
            self._store.notes.rename({id_.account: ""})
