"""What callers hand to a reader: as it should be, or a sentence about what to pass instead."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tokenworker.credential import CredentialId, fingerprint
from tokenworker.errors import WrongArgument
from tokenworker.redaction import excerpt

#: The name of a ticket is its type with this ending.
_TICKET = "_ticket"


@lru_cache(maxsize=1024)
def identify(account: Any, name: Any) -> CredentialId:
    """Return an id, the same object each time: a dict finds it in half the time of an equal one."""
    of = _text("account", account, "the id of the account as a text, such as 'wx0123456789abcdef'")
    return CredentialId(of, _text("name", name, "the name of a credential as a text, such as 'access_token'"))


def ticket_name(type_: Any) -> str:
    """Return the name of the ticket of that type, as in `keep`; raises `WrongArgument` for a name in its place."""
    given = _text("type", type_, "the type of a ticket as a text, such as 'jsapi'")
    if given.endswith(_TICKET):
        raise WrongArgument(f"{excerpt(given)!r} is no type of ticket: write {excerpt(given.removesuffix(_TICKET))!r}")
    return given + _TICKET


def rejected_name(value: Any) -> str:
    """Return the fingerprint of a value that WeChat refused."""
    return fingerprint(_text("value", value, "the credential that WeChat refused, as a text"))


def redis_place(url: Any) -> str:
    """Return the URL of Redis, as a setting would be read."""
    return _text("redis_url", url, "the URL of Redis as a text, such as 'redis://127.0.0.1:6379/0'").strip()


def _text(name: str, value: Any, wanted: str) -> str:
    if isinstance(value, str):
        return value
    raise WrongArgument.of(name, value, wanted)
