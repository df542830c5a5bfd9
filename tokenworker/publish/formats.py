"""Published copies: a token under more Redis keys, bare or as an SDK keeps it, so that the SDK need not fetch.

An entry of `publish` is the name of a format, perhaps with a colon and a prefix for its key, or else a plain key.
Every copy ends with its token. To add a format, add a function and its line in `FORMATS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import md5

#: How like a format's name a plain key may be (1 is the same): one letter wrong in `wechatpy` is too like it, and
#: `wechat` is not.
_LIKENESS = 0.87


@dataclass(frozen=True)
class Original:
    """What copies are made of."""

    appid: str
    secret: str = field(repr=False)
    access_token: str = field(repr=False)
    expires_at: float
    #: The seconds that WeChat gave it, as SDKs note them.
    expires_in: int


@dataclass(frozen=True)
class Copy:
    """A value under a key; it is called `name` wherever people look, for its key may hold a secret."""

    name: str
    key: str = field(repr=False)
    value: str = field(repr=False)


@dataclass(frozen=True)
class Format:
    """Where an SDK looks for a token and what it expects there: `write` returns values by key."""

    write: Callable[[Original, str], dict[str, str]]
    #: What the key begins with unless the entry says something else; None when the SDK leaves no choice.
    prefix: str | None = None


def fault(entry: str) -> str:
    """Say what is wrong with an entry of `publish`; empty when nothing is."""
    name, colon, prefix = entry.partition(":")
    if name not in FORMATS:
        near = get_close_matches(name.lower(), FORMATS, cutoff=_LIKENESS)
        which = f"the format {' or '.join(near)}: write that, or a key that looks less like it"
        return f"names {entry!r}, which looks like {which}" if near else ""
    if colon and FORMATS[name].prefix is None:
        return f"names {entry!r}, but the keys of this format take no prefix: write {name!r}"
    if colon and not prefix:
        return f"names {entry!r} without a prefix: write one after the colon, or {name!r}"
    return ""


def is_format(entry: str) -> bool:
    """Say whether an entry of `publish` names a format rather than a plain key."""
    return entry.partition(":")[0] in FORMATS


def copies(entry: str, original: Original) -> list[Copy]:
    """Make the copies that one entry of `publish` asks for; their keys depend on the account alone."""
    name, _, prefix = entry.partition(":")
    if name not in FORMATS:
        return [Copy(entry, entry, original.access_token)]
    values = FORMATS[name].write(original, prefix or FORMATS[name].prefix or "")
    return [Copy(entry, key, value) for key, value in values.items()]


def _bare(template: str) -> Callable[[Original, str], dict[str, str]]:
    """Make a format that is the bare token under a key of its own."""
    return lambda of, prefix: {template.format(prefix=prefix, appid=of.appid): of.access_token}


def _wechatpy(of: Original, prefix: str) -> dict[str, str]:
    """Version 1.8 reads the first key, 2.x both."""
    key = f"{prefix}:{of.appid}_access_token"
    return {key: _json(of.access_token), f"{key}_expires_at": _json(int(of.expires_at))}


def _easywechat(of: Original, prefix: str) -> dict[str, str]:
    return {f"{prefix}official_account.access_token.{of.appid}": _php(of.access_token)}


def _easywechat_6(kind: str) -> Callable[[Original, str], dict[str, str]]:
    """6.x by its own key, which ends with 1 when it is told to use stable_token."""
    return lambda of, prefix: {
        f"{prefix}{kind}.access_token.{of.appid}.{of.secret}.{stable}": _php(of.access_token) for stable in (0, 1)
    }


def _easywechat_5(of: Original, prefix: str) -> dict[str, str]:
    """4.x and 5.x."""
    credentials = _json({"grant_type": "client_credential", "appid": of.appid, "secret": of.secret})
    # PHP's JSON escapes the slash.
    name = _md5(credentials.replace("/", r"\/"))
    key = f"{prefix}easywechat.kernel.access_token.{name}"
    return {key: _php({"access_token": of.access_token, "expires_in": of.expires_in})}


def _powerwechat(of: Original, _: str) -> dict[str, str]:
    key = f"powerwechat.access_token.{_md5(of.appid + of.secret)}"
    return {key: _json({"access_token": of.access_token, "expires_in": of.expires_in})}


def _co_wechat_api(of: Original, prefix: str) -> dict[str, str]:
    """Its own `saveToken` would be handed this object; the time is in ms, 10 s early."""
    value = {"accessToken": of.access_token, "expireTime": int((of.expires_at - 10) * 1000)}
    return {f"{prefix}:access_token:{of.appid}": _json(value)}


def _node_easywechat(of: Original, prefix: str) -> dict[str, str]:
    return {f"{prefix}:access_token:{of.appid}": _json(of.access_token)}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _php(value: str | int | dict[str, str | int]) -> str:
    """Write a value as PHP's `serialize` does; lengths are in bytes."""
    if isinstance(value, dict):
        items = "".join(_php(key) + _php(item) for key, item in value.items())
        return f"a:{len(value)}:{{{items}}}"
    return f"i:{value};" if isinstance(value, int) else f's:{len(value.encode())}:"{value}";'


def _md5(text: str) -> str:
    """Name a cache entry as the SDK does; it protects nothing."""
    return md5(text.encode(), usedforsecurity=False).hexdigest()


FORMATS = {
    "wechatpy": Format(_wechatpy, "wechatpy"),
    "wxjava": Format(_bare("{prefix}:access_token:{appid}"), "wx"),
    "wxjava-miniapp": Format(_bare("{prefix}:access_token:{appid}"), "wa"),
    "easywechat": Format(_easywechat, ""),
    "easywechat-5": Format(_easywechat_5, ""),
    "easywechat-6-key-contains-secret": Format(_easywechat_6("official_account"), ""),
    "easywechat-6-miniapp-key-contains-secret": Format(_easywechat_6("mini_app"), ""),
    "silenceper": Format(_bare("gowechat_officialaccount__access_token_{appid}")),
    "silenceper-stable": Format(_bare("gowechat_officialaccount__stable_access_token_{appid}")),
    "silenceper-miniprogram": Format(_bare("gowechat_miniprogram__access_token_{appid}")),
    "silenceper-miniprogram-stable": Format(_bare("gowechat_miniprogram__stable_access_token_{appid}")),
    "powerwechat": Format(_powerwechat),
    "co-wechat-api": Format(_co_wechat_api, "co-wechat-api"),
    "node-easywechat": Format(_node_easywechat, "node-easywechat"),
}
