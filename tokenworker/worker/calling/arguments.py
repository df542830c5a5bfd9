"""What callers hand to the tasks, from any language: as it should be, or a sentence about what to pass instead."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, cast, get_args

from tokenworker.credential import ACCESS_TOKEN, fingerprint
from tokenworker.errors import WrongArgument
from tokenworker.redaction import masked
from tokenworker.worker.status import State

_APPID = "the appid or the name of an account as a text, such as 'wx0123456789abcdef', or nothing"
_NAME = "the name of a credential as a text, such as 'jsapi_ticket', or nothing"
_URL = "the address of the page as the browser shows it, as a text"
_REJECTED = "the credential that WeChat refused as a text, or the first 16 hex digits of its SHA-256"
_FINGERPRINT = re.compile("[0-9a-f]{16}")


def check_taken(task: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise `WrongArgument` unless a task takes these arguments: one too few, one too many, one of another name."""
    taken = _signature(task)
    try:
        taken.bind(*args, **kwargs)
    except TypeError as error:
        # A name that somebody else chose may be anything, also a credential.
        reason = masked(str(error))
    else:
        return
    raise WrongArgument(f"{reason}: this task takes {', '.join(taken.parameters) or 'nothing'}")


@cache
def _signature(task: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(task)


def account_named(account: Any, argument: str = "appid") -> str | None:
    """Return the appid, id or name that was given, if any; raises `WrongArgument`."""
    return _text(argument, account, _APPID)


def credential_named(name: Any) -> str:
    """Return the name of a credential that was given, by default the access token's; raises `WrongArgument`."""
    return _text("name", name, _NAME) or ACCESS_TOKEN


def url_named(url: Any) -> str:
    """Return the URL that was given; raises `WrongArgument`."""
    text = _text("url", url, _URL)
    if text is None:
        raise WrongArgument.of("url", url, _URL)
    return text


def rejected_named(rejected: Any) -> str | None:
    """Return the fingerprint of what was given, a value or its fingerprint, if any; raises `WrongArgument`."""
    text = _text("rejected", rejected, _REJECTED)
    return text if text is None or _FINGERPRINT.fullmatch(text) else fingerprint(text)


def state_named(state: Any) -> State | None:
    """Return the state that was given, if any; raises `WrongArgument`."""
    for known in get_args(State):
        if state == known:
            return cast("State", known)
    if state is None:
        return None
    raise WrongArgument.of("state", state, f"one of {', '.join(get_args(State))}, or nothing")


def number_named(name: str, number: Any) -> int:
    """Return the number of rows that was given; raises `WrongArgument`."""
    if isinstance(number, int) and not isinstance(number, bool) and number >= 0:
        return number
    raise WrongArgument.of(name, number, "a whole number, 0 or more")


def switch(name: str, value: Any) -> bool:
    """Return whether something is on; raises `WrongArgument`, since the text "false" would be."""
    if value is None or isinstance(value, bool):
        return bool(value)
    raise WrongArgument.of(name, value, "true or false")


def _text(name: str, value: Any, wanted: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise WrongArgument.of(name, value, wanted)
    # Half a character, which JSON can bring, is in no name and no credential, and can't be encoded.
    return value.encode("utf-8", "replace").decode()
