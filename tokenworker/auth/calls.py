"""Which calls carry a token, and which answers refuse it; knows WeChat, and no HTTP library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from urllib.parse import parse_qsl, quote

from tokenworker.credential import DEAD_TOKEN

#: The hosts that may see a token, with `*` for any part: WeChat's or WeCom's, and this machine for tests.
_HERE = ("localhost", "127.0.0.1", "::1")
WECHAT_HOSTS = ("api*.weixin.qq.com", "*.api.weixin.qq.com", *_HERE)
WECOM_HOSTS = ("qyapi.weixin.qq.com", *_HERE)

#: The longest answer that is looked into, in bytes: WeChat's refusals have less than 200.
_LONGEST_REFUSAL = 64 * 1024
_EMPTY = re.compile(r"(?<=[?&])access_token=(?:&|$)")


def hosts_of(account: str, given: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the hosts that may see an account's token: those that are given, or else those of its platform."""
    if given is None:
        return WECOM_HOSTS if "/" in account else WECHAT_HOSTS
    # One host alone is no list of letters, of which `*` would be one.
    return (given,) if isinstance(given, str) else tuple(given)


def carries_token(scheme: str, host: str, path: str, query: str, hosts: Iterable[str]) -> bool:
    """Return whether a call is one of WeChat's that needs an account's token.

    Not those that name a token themselves, nor those below /sns/, where tokens are of users. WeChat's own
    hosts see no token over plain http.
    """
    name = host.lower().rstrip(".")
    known = any(fnmatchcase(name, pattern) for pattern in hosts)
    safe = scheme.lower() == "https" or not name.endswith("weixin.qq.com")
    named = dict(parse_qsl(query)).get("access_token")
    return known and safe and not named and not path.startswith("/sns/")


def with_token(target: str, access_token: str) -> str:
    """Add a token to a path and its query."""
    target = _EMPTY.sub("", target).rstrip("?&")
    return f"{target}{'&' if '?' in target else '?'}access_token={quote(access_token, safe='')}"


def may_refuse(headers: Mapping[str, str]) -> bool:
    """Return whether an answer is worth reading: not if it is a picture, or long."""
    kind = headers.get("Content-Type", "").lower()
    length = headers.get("Content-Length", "0")
    return (not kind or kind.startswith(("application/json", "text/"))) and (
        not length.isdecimal() or int(length) <= _LONGEST_REFUSAL
    )


def refuses(body: bytes) -> bool:
    """Return whether an answer refuses the token."""
    if len(body) > _LONGEST_REFUSAL:
        return False
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("errcode") in DEAD_TOKEN
