"""Neighbours: who may ask where no keys are needed. Programs of this machine may; pages of other sites may not.

A browser here asks for whatever the page wants that a person opened. A site may give its own name the address
127.0.0.1 and so read what only this machine should (DNS rebinding), or post to us without reading what we answer:
Host and Origin tell.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

from tokenworker.web.problems import Problem

_STRANGER = (
    "without clients' keys only this machine may ask, at localhost or 127.0.0.1, and no page of another site: set"
    " TOKENWORKER_WEB_CLIENTS to a file with the clients' keys, which `tokenworker web new-key` makes"
)


def is_own(host: str) -> bool:
    """Return whether a name or an address is this machine's own, which nobody else can reach."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check(request: HTTPServerRequest, origins: Collection[str]) -> None:
    """Raise the problem of what a page of another site sent, unless that is one of the `origins`."""
    origin = request.headers.get("Origin", "")
    if not is_own(_name(f"//{request.host}")) or (origin and origin not in origins and not is_own(_name(origin))):
        raise Problem(403, _STRANGER)


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
