"""What a platform knows, as plain data that JSON holds; times are epoch seconds, credentials go by fingerprint."""

import sys
from functools import cache
from types import UnionType
from typing import Any, TypedDict, get_args, get_origin, get_type_hints, is_typeddict


class CredentialState(TypedDict):
    """A credential; `parent` is the one that it dies with."""

    value: str
    endpoint: str
    name: str
    minted_at: float
    forced: bool
    expires_at: float
    ends_at: float
    parent: str | None


class QuotaState(TypedDict):
    """What is spent of the window of that number."""

    window: int
    used: int


class SlotState(TypedDict):
    """A slot; `named` holds its `current` credential and the like, `moments` what else its kind remembers."""

    issued: list[str]
    named: dict[str, str]
    moments: dict[str, float]
    hands_out_revoked: bool
    tally: dict[str, int]
    quotas: list[QuotaState]


class BanState(TypedDict):
    """Bad calls, and the end of the ban that they earned."""

    bad: list[float]
    until: float | None


class HolderState(TypedDict):
    """A holder's own slots, by endpoint and name; a corp has a ban, too."""

    slots: dict[str, SlotState]
    ban: BanState | None


class PlatformState(TypedDict):
    """All credentials that are still of interest, oldest first, and whose they are."""

    credentials: list[CredentialState]
    holders: dict[str, HolderState]


def fits(value: Any, form: Any) -> bool:
    """Return whether plain data, wherever it comes from, has the form that a type says."""
    kind, parts = get_origin(form), get_args(form)
    if is_typeddict(form):
        hints = _hints(form)
        return isinstance(value, dict) and value.keys() == hints.keys() and all(fits(value[n], hints[n]) for n in hints)
    if kind is list:
        return isinstance(value, list) and all(fits(each, parts[0]) for each in value)
    if kind is dict:
        return isinstance(value, dict) and all(fits(each, form) for each, form in _pairs(value, *parts))
    if kind is UnionType:
        return any(fits(value, part) for part in parts)
    return _is_plain(value, form)


@cache
def _hints(form: Any) -> dict[str, Any]:
    return get_type_hints(form)


def _pairs(value: dict[Any, Any], key: Any, content: Any) -> list[tuple[Any, Any]]:
    return [*((each, key) for each in value), *((each, content) for each in value.values())]


def _is_plain(value: Any, form: Any) -> bool:
    if form in (int, float):
        # Nothing holds of NaN, and beyond the largest float arithmetic fails.
        return type(value) in (int, form) and abs(value) <= sys.float_info.max
    # All that we write is ASCII; JSON can hold halves of characters, which nothing else can.
    return type(value) is form and (form is not str or value.isascii())
