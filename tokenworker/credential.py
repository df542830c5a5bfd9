"""Credentials as values: an access token or a ticket, and its name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

#: The credential that every account has, and that is meant where no other is named.
ACCESS_TOKEN = "access_token"  # noqa: S105  a name
#: What signs the calls of a web page.
JSAPI_TICKET = "jsapi_ticket"

#: What WeChat says of a dead access token on a call that needs one. Page "Global return codes", WeCom's 90313; seen by
#: users: 40001 when it is superseded or unknown (2026-09), 42001 when it expired; WeCom says 40014 for both (2024-11).
DEAD_TOKEN = frozenset({40001, 40014, 42001})

#: What WeChat issues is printable, and no JSON: that would be another program's, or another version's. Page
#: "access_token usage notes" asks to reserve 512 characters, as WeCom's 91039 does, and promises nothing.
_ISSUED = re.compile(r"(?![{\[\"])[!-~]{1,2048}")


def looks_issued(value: str) -> bool:
    """Return whether WeChat may have issued such a value."""
    return _ISSUED.fullmatch(value) is not None


def public_id(account: str) -> str:
    """Return what web pages call `appId`: an appid as it stands, and the corpid of CORPID/AGENT."""
    return account.partition("/")[0]


def fingerprint(value: str) -> str:
    """Return the name of a value that does not show it: the first 16 hex digits of its SHA-256."""
    return sha256(value.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True, order=True)
class CredentialId:
    """Which credential: whose, and which of those that one may have, such as `access_token` or `jsapi_ticket`."""

    account: str
    name: str = ACCESS_TOKEN

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the id that `str` wrote, as it stands in the schedule."""
        account, _, name = text.rpartition(":")
        return cls(account, name)

    @property
    def fields(self) -> dict[str, str]:
        """What logs for machines call it."""
        return {"account": self.account, "credential": self.name}

    def __str__(self) -> str:
        return f"{self.account}:{self.name}"


@dataclass(frozen=True)
class Credential:
    """A credential that works until `expires_at`, in epoch seconds by Redis's clock."""

    value: str = field(repr=False)
    expires_at: float

    @property
    def access_token(self) -> str:
        """The value, as WeChat calls it where it is a token."""
        return self.value

    @property
    def ticket(self) -> str:
        """The value, as WeChat calls it where it is a ticket."""
        return self.value

    @property
    def fingerprint(self) -> str:
        """Its name in logs and reports."""
        return fingerprint(self.value)

    def expires_in(self, now: float) -> float:
        """Return the seconds that are left at `now`; negative when it has expired."""
        return self.expires_at - now


def sure_for(left: float, sure_until: float, now: float, overlap: float) -> float:
    """Return the seconds for which whoever keeps a copy of one may use it, of the `left` ones that it has to live.

    Where the next fetch ends it, that is sooner: `sure_until`, or the `overlap` from now on when that fetch is overdue.
    """
    return min(left, max(sure_until - now, overlap)) if sure_until else left


@dataclass(frozen=True)
class Issued:
    """What WeChat handed out: it works for `expires_in` seconds, counted from an unknown moment."""

    value: str = field(repr=False)
    expires_in: float
