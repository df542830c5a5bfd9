"""Secrets in URLs that nobody sees: error trackers and tracers record the URLs of a process's calls.

A call is made with a stand-in in its URL. The secret takes its place where bytes leave for the socket, below all that
such programs look at, and there as a memoryview, since they show the variables of frames too.
"""

from __future__ import annotations

import re
from http.client import HTTPConnection
from secrets import token_hex
from typing import Any
from urllib.parse import quote
from weakref import WeakValueDictionary

from tokenworker.secret import Secret

_MARK = b"veiled-"
_STAND_IN = re.compile(_MARK + rb"[0-9a-f]{32}")


class Veil:
    """A secret behind a stand-in, for as long as somebody holds this."""

    def __init__(self, secret: Secret) -> None:
        self.secret = secret
        self.stand_in = f"{_MARK.decode()}{token_hex(16)}"
        _veils[self.stand_in.encode()] = self


_veils: WeakValueDictionary[bytes, Veil] = WeakValueDictionary()


def _unveiled(data: bytes) -> memoryview:
    return memoryview(_STAND_IN.sub(_secret, data))


def _secret(found: re.Match[bytes]) -> bytes:
    veil = _veils.get(found[0])
    return quote(veil.secret.reveal(), safe="").encode() if veil else found[0]


_send = HTTPConnection.send


def _send_unveiled(connection: HTTPConnection, data: Any) -> None:
    if isinstance(data, bytes) and _MARK in data:
        _send(connection, _unveiled(data))
    else:
        _send(connection, data)


# The one place that all calls pass through whose libraries build on http.client: requests, urllib3 and their adapters.
HTTPConnection.send = _send_unveiled  # type: ignore[method-assign, assignment]
