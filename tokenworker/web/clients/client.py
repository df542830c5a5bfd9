"""A client: a service that may ask, with a key of which only the SHA-256 is kept."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property
from hashlib import sha256
from typing import Literal, get_args

#: Read a credential, report one that WeChat refused, have a page's URL signed, see how all are.
Scope = Literal["read", "report", "sign", "status"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

#: What a client may be called, and how to say that.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
NAME_IS = "letters, digits, '_', '.' and '-', 64 at most, such as shop-php"

#: Before a key: whoever finds one in a file sees whose it is.
_MARK = "tw_"


def new_key() -> str:
    """Return a key that nobody can guess: `tw_` and 43 characters."""
    return _MARK + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """Return what the file keeps of a key; no salt, since a key is no password that somebody thought of."""
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Client:
    """A service, and what it may do."""

    name: str
    digest: str = field(repr=False)
    #: Globs over ids and names of accounts, and names of credentials or globs over them.
    accounts: tuple[str, ...] = ("*",)
    credentials: tuple[str, ...] = ("*",)
    scopes: tuple[Scope, ...] = ("read", "report", "sign")

    def may(self, scope: Scope) -> bool:
        """Return whether it may do that at all."""
        return scope in self.scopes

    def may_see(self, account: str, name: str = "") -> bool:
        """Return whether an account is one of its own, by id or by name."""
        own = self._accounts.match
        return own(account) is not None or (name != "" and own(name) is not None)

    def may_have(self, credential: str) -> bool:
        """Return whether it may have credentials of that name."""
        return self._credentials.match(credential) is not None

    @cached_property
    def _accounts(self) -> re.Pattern[str]:
        return _either(self.accounts)

    @cached_property
    def _credentials(self) -> re.Pattern[str]:
        return _either(self.credentials)


def _either(globs: tuple[str, ...]) -> re.Pattern[str]:
    """Return what matches a text that one of the globs matches, made once: it is asked for each request."""
    return re.compile("|".join(map(translate, globs)))


#: Who has no key that we know: all is compared for him as for others, and he may do nothing.
NOBODY = Client("(unknown)", "0" * 64, ("",), ("",), ())
#: Who asks where no keys are needed, since only this machine can ask.
ANYBODY = Client("(anybody)", "", scopes=SCOPES)
