"""What is wrong between accounts."""

from __future__ import annotations

from collections.abc import Mapping

from tokenworker.accounts.account import Account
from tokenworker.publish import formats


def conflicts(
    accounts: Mapping[str, Account], copies: Mapping[str, tuple[formats.Copy, ...]], faults: list[str]
) -> None:
    """Add a fault for what is wrong between accounts: an account or a name twice, a key for two credentials.

    Accounts, and the copies that they publish, are by the place where an account is configured.
    """
    named = {place: account for place, account in accounts.items() if account.id}
    _check_unique("account", [(account.id, account.id, place) for place, account in named.items()], faults)
    _check_names(named, faults)
    keys = [
        (copy.key, copy.name, place)
        for place, published in copies.items()
        for copy in published
        # The key of a format is not known without an id.
        if place in named or not formats.is_format(copy.name)
    ]
    _check_unique("the key of publish or WECHAT_TOKEN_KEY,", keys, faults)


def _check_names(accounts: Mapping[str, Account], faults: list[str]) -> None:
    """Add a fault for each name that leaves open whom a command means."""
    names = [(account.name, account.name, place) for place, account in accounts.items() if account.name]
    _check_unique("name", names, faults)
    ids = {account.id: place for place, account in accounts.items()}
    faults.extend(
        f"{place}: name is the id of {ids[name]}: choose another"
        for name, _, place in names
        if ids.get(name, place) != place
    )


def _check_unique(what: str, values: list[tuple[str, str, str]], faults: list[str]) -> None:
    """Add a fault for each value that stands twice; `values` are triples of it, its name for people, and its place."""
    seen: dict[str, str] = {}
    for value, name, place in values:
        if value in seen:
            faults.append(f"{what} {name} stands twice: {seen[value]}, and {place}")
        seen.setdefault(value, place)
