"""Published copies: a credential under more Redis keys, bare or as an SDK keeps it, so that the SDK need not fetch.

An entry of `publish` is the name of a format, perhaps with a colon and a prefix for its keys, which stands for every
credential that the SDK keeps; or a plain key for the access token; or NAME=KEY, a plain key for that credential.
Every copy ends with its credential.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches

from tokenworker.publish.original import Original
from tokenworker.publish.sdks import FORMATS

__all__ = ["FORMATS", "Copy", "Original", "copies", "fault", "is_format"]

#: How like a format's name a plain key may be (1 is the same): one letter wrong in `wechatpy` is too like it, and
#: `wechat` is not.
_LIKENESS = 0.87
#: The form of a credential's name: WeChat issues access tokens and tickets.
_CREDENTIAL = re.compile(r"[a-z]+(_[a-z]+)*_(token|ticket)")


@dataclass(frozen=True)
class Copy:
    """A value under a key; it is called `name` wherever people look, for its key may hold a secret."""

    name: str
    key: str = field(repr=False)
    value: str = field(repr=False)


def copies(entry: str, original: Original) -> list[Copy]:
    """Return the copies that one entry of `publish` asks for; their keys do not depend on the value.

    There are none of a credential that the format does not know or that the plain key is not for.
    """
    name, _, prefix = entry.partition(":")
    if name in FORMATS:
        return [Copy(entry, key, value) for key, value in FORMATS[name].write(original, prefix).items()]
    credential, key = _plain(entry)
    return [Copy(entry, key, original.value)] if credential == original.name else []


def is_format(entry: str) -> bool:
    """Return whether an entry of `publish` names a format rather than a plain key."""
    return entry.partition(":")[0] in FORMATS


def fault(entry: str) -> str:
    """Return what is wrong with an entry of `publish`; empty when nothing is."""
    name, _, _ = entry.partition(":")
    return _fault_of_format(entry) if name in FORMATS else _fault_of_key(entry) or _likeness(entry)


def _plain(entry: str) -> tuple[str, str]:
    """Return which credential a plain key is for, and the key."""
    name, _, key = entry.partition("=")
    return (name, key) if is_credential(name) and key else ("access_token", entry)


def is_credential(name: str) -> bool:
    """Return whether a text can be the name of a credential, as in `keep`."""
    return _CREDENTIAL.fullmatch(name) is not None


def credential_of(entry: str) -> str:
    """Return the credential that an entry names before its key; empty where it names none."""
    name, equals, _ = entry.partition("=")
    return name if equals and is_credential(name) and not is_format(entry) else ""


def _known() -> list[str]:
    """Return the names of the credentials that any SDK keeps."""
    return sorted({name for each in FORMATS.values() for name in (*each.wechat, *each.wecom)})


def _fault_of_format(entry: str) -> str:
    name, colon, prefix = entry.partition(":")
    if colon and FORMATS[name].prefix is None:
        return f"names {entry!r}, but the keys of this format take no prefix: write {name!r}"
    if colon and not prefix:
        return f"names {entry!r} without a prefix: write one after the colon, or {name!r}"
    return ""


def _fault_of_key(entry: str) -> str:
    """Return what is wrong with NAME=KEY."""
    name, equals, key = entry.partition("=")
    if not equals or not is_credential(name):
        return ""
    if key != key.strip() or not key:
        return f"names {entry!r} without a key: write one right after the =, for example '{name}=YG-{name.upper()}'"
    if is_format(key):
        return f"names {entry!r}, but a format stands for every credential that it knows: write {key!r}"
    return ""


def _near(text: str, names: Collection[str]) -> list[str]:
    """Return the names that a text looks like; few can be like it, and only those cost a closer look."""
    letters = set(text)
    could = [name for name in names if _can_be_near(text, letters, name)]
    return get_close_matches(text, could, cutoff=_LIKENESS) if could else []


def _can_be_near(text: str, letters: set[str], name: str) -> bool:
    """Return whether they can have enough letters in common, by their lengths and by letters that only `text` has."""
    total = _LIKENESS * (len(text) + len(name)) / 2
    return len(name) >= total <= len(text) and len(text) - len(letters.difference(name)) >= total


def _likeness(entry: str) -> str:
    """Return what a plain key looks like that may be meant instead of it."""
    name, equals, _ = entry.partition("=")
    known = _known() if equals and not is_credential(name) else ()
    near = _near(name.lower(), known)
    if near:
        return (
            f"names {entry!r}, which looks like the credential {near[0]}: write that, or a key that looks less like it"
        )
    near = _near(entry.partition(":")[0].lower(), FORMATS)
    which = f"the format {' or '.join(near)}: write that, or a key that looks less like it"
    return f"names {entry!r}, which looks like {which}" if near else ""
