"""What we keep: the table of kinds. A new kind is a file here, its row below, and an issuer in the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

from tokenworker.accounts.account import Account, Endpoint, Type
from tokenworker.credential import CredentialId
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


def kinds_for(account: Account) -> Mapping[str, Kind]:
    """Return the kinds that an account can have, by name."""
    return _kinds(account.type, account.endpoint)


@cache
def _kinds(type_: Type, endpoint: Endpoint) -> Mapping[str, Kind]:
    return {kind.name: kind for kind in KINDS if kind.belongs_to(type_, endpoint)}


@lru_cache(maxsize=200_000)
def targets(account: Account) -> dict[str, Target]:
    """Return what an account keeps, by name, and what that is made from; raises `UnknownCredential`."""
    kinds = kinds_for(account)
    return {name: Target(account, kinds[name]) for name in complete(account.type, account.endpoint, account.keep)}


@lru_cache
def complete(type_: Type, endpoint: Endpoint, keep: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of what is kept, and of what that is made from; raises `UnknownCredential`."""
    kept: dict[str, None] = {}
    for name in keep:
        _add(kept, type_, endpoint, name)
    return tuple(kept)


def _add(kept: dict[str, None], type_: Type, endpoint: Endpoint, name: str) -> None:
    kinds = _kinds(type_, endpoint)
    if name not in kinds:
        raise UnknownCredential(f"an account of the type {type_} has no {masked(name)}: use {', '.join(kinds)}")
    for need in kinds[name].needs:
        _add(kept, type_, endpoint, need)
    kept.setdefault(name)


def kind_of(id_: CredentialId) -> Kind | None:
    """Return the rules for a credential, as far as its name tells them: not which endpoint its account chose."""
    return _KINDS.get(("wecom" if "/" in id_.account else "wechat", id_.name))


_KINDS = {(type_, kind.name): kind for kind in reversed(KINDS) for type_ in kind.on}


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
