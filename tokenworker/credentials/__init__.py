"""What we keep: the table of kinds. A new kind is a file here, its row below, and an issuer in the sandbox."""

from __future__ import annotations

from functools import lru_cache

from tokenworker.accounts.account import Account
from tokenworker.credentials import access_token, ticket, wecom
from tokenworker.credentials.kind import Kind, Repeat
from tokenworker.credentials.target import Target
from tokenworker.errors import UnknownCredential
from tokenworker.redaction import masked

KINDS: tuple[Kind, ...] = (
    *access_token.KINDS,
    *ticket.KINDS,
    *wecom.KINDS,
)


def kinds_for(account: Account) -> dict[str, Kind]:
    """Return the kinds that an account can have, by name."""
    return {kind.name: kind for kind in KINDS if kind.belongs_to(account)}


@lru_cache(maxsize=200_000)
def targets(account: Account) -> dict[str, Target]:
    """Return what an account keeps, by name, and what that is made from; raises `UnknownCredential`."""
    kept: dict[str, Target] = {}
    for name in account.keep:
        _add(kept, account, name)
    return kept


def _add(kept: dict[str, Target], account: Account, name: str) -> None:
    kinds = kinds_for(account)
    if name not in kinds:
        raise UnknownCredential(f"an account of the type {account.type} has no {masked(name)}: use {', '.join(kinds)}")
    for need in kinds[name].needs:
        _add(kept, account, need)
    kept.setdefault(name, Target(account, kinds[name]))


def harmless(account: Account) -> Kind:
    """Return the kind by which to check an account: one more fetch of it replaces nothing."""
    return next(kind for kind in KINDS if account.type in kind.on and kind.repeat is Repeat.SAME and not kind.needs)


def target(account: Account, name: str) -> Target:
    """Return one credential that an account keeps; raises `UnknownCredential`."""
    kept = targets(account)
    if name in kept:
        return kept[name]
    can = ", ".join(kinds_for(account))
    advice = "add it to `keep` of this account" if name in kinds_for(account) else f"it can have {can}"
    raise UnknownCredential(f"{account.id} keeps {', '.join(kept)}, and no {masked(name)}: {advice}")
