"""What the worker's user may do in Redis: tried with the keys and commands that a worker uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tokenworker.accounts.account import Account
from tokenworker.credentials import targets
from tokenworker.errors import StoreUnavailable
from tokenworker.store.inspection import Inspection

#: So many accounts are tried: what goes for these goes for all, and each costs a question or two.
SAMPLE = 200

#: The most problems that are listed, since many accounts may have the same.
_NAMED = 3

#: How a refusal begins that is about rights; any other concerns all keys alike.
_RIGHTS = "this user lacks"


def problems(inspection: Inspection, accounts: Sequence[Account]) -> list[str]:
    """Return a sentence for each thing that a worker could not do; after a few, how many more there are.

    `accounts` are tried one by one, so there should be no more than `SAMPLE`.
    """
    found = list(_found(inspection, accounts))
    more = len(found) - _NAMED
    return [*found[:_NAMED], f"and {more} more like these"] if more > 0 else found


def _found(inspection: Inspection, accounts: Sequence[Account]) -> Iterator[str]:
    yield from _refused(inspection, inspection.shared_keys())
    for account in accounts:
        try:
            for target in targets(account).values():
                inspection.trial(target.id)
        except StoreUnavailable as error:
            yield from _explained(inspection, account, error)
            if _RIGHTS not in str(error):
                return
    owners = {copy.key: account.id for account in accounts for copy in account.blank_copies}
    for key in inspection.refused(owners):
        yield f"{owners[key]}: its published copy {key} can't be written: give the worker's user the right to that key"


def _explained(inspection: Inspection, account: Account, error: StoreUnavailable) -> list[str]:
    """Name the keys, where it is for them that a trial was refused."""
    keys = [key for target in targets(account).values() for key in inspection.keys_of(target.id)]
    return list(_refused(inspection, keys)) or [str(error)]


def _refused(inspection: Inspection, keys: Iterable[str]) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for key, reason in inspection.refused(keys).items():
        reasons.setdefault(reason, []).append(key)
    yield from (f"{', '.join(named)}: {reason}" for reason, named in reasons.items())
