"""What the worker's user may do in Redis: tried with the keys and commands that a worker uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenworker.accounts.account import Account
from tokenworker.credentials import targets
from tokenworker.errors import StoreUnavailable
from tokenworker.store.inspection import Inspection

#: The most problems that are listed, since many accounts may have the same.
_NAMED = 3


def problems(inspection: Inspection, accounts: Iterable[Account]) -> list[str]:
    """Return a sentence for each thing that a worker could not do; after a few, how many more there are."""
    found = [problem for account in accounts for problem in _of(inspection, account)]
    more = len(found) - _NAMED
    return [*found[:_NAMED], f"and {more} more like these"] if more > 0 else found


def _of(inspection: Inspection, account: Account) -> Iterator[str]:
    ids = [target.id for target in targets(account).values()]
    try:
        for id_ in ids:
            inspection.trial(id_)
    except StoreUnavailable as error:
        keys = dict.fromkeys(key for id_ in ids for key in inspection.keys_of(id_))
        refused = list(_refused(inspection, keys))
        yield f"{', '.join(refused)}: {error}" if refused else str(error)
    for key in _refused(inspection, [copy.key for copy in account.blank_copies]):
        yield f"{account.id}: its published copy {key} can't be written: give the worker's user the right to that key"


def _refused(inspection: Inspection, keys: Iterable[str]) -> Iterator[str]:
    """Yield the keys that the user may not touch."""
    for key in keys:
        try:
            inspection.touch(key)
        except StoreUnavailable:
            yield key
