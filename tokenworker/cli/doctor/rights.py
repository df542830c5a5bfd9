"""What the worker's user may do in Redis: tried with the keys and commands that a worker uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenworker.accounts.account import Account
from tokenworker.errors import StoreUnavailable
from tokenworker.store.records import TokenStore

#: Of many accounts with the same trouble, so many are named.
_NAMED = 3


def problems(store: TokenStore, accounts: Iterable[Account]) -> list[str]:
    """List what a worker could not do, each once."""
    found = [problem for account in accounts for problem in _of(store, account)]
    more = len(found) - _NAMED
    return [*found[:_NAMED], f"and {more} more like these"] if more > 0 else found


def _of(store: TokenStore, account: Account) -> Iterator[str]:
    try:
        store.trial(account.appid)
    except StoreUnavailable as error:
        refused = list(_refused(store, store.keys_of(account.appid)))
        yield f"{', '.join(refused)}: {error}" if refused else str(error)
    for key in _refused(store, [copy.key for copy in account.blank_copies]):
        yield f"{account.appid}: its copy {key} can't be written: give the worker's user the right to that key"


def _refused(store: TokenStore, keys: Iterable[str]) -> Iterator[str]:
    """Find out which of the keys the user may not touch."""
    for key in keys:
        try:
            store.touch(key)
        except StoreUnavailable:
            yield key
