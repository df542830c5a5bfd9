"""The source of credentials: WeChat's and WeCom's server APIs, called as the kinds say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tokenworker.accounts.account import Account
from tokenworker.credential import Issued
from tokenworker.credentials.kind import Kind, Request
from tokenworker.errors import TransientError
from tokenworker.secret import Secret
from tokenworker.wechat import answers
from tokenworker.wechat.errcodes import BUSY, TABLES
from tokenworker.wechat.hosts import Hosts
from tokenworker.wechat.transport import Transport


class Source(Protocol):
    """Where credentials come from."""

    def fetch(self, kind: Kind, account: Account, inputs: Mapping[str, Secret], *, force: bool = False) -> Issued:
        """Fetch one; `inputs` holds a value for each need of the kind. Raises a `FetchError`."""

    def is_alive(self, kind: Kind, value: Secret) -> bool:
        """Return whether one works, by a probe; raises a `FetchError` when that tells us nothing."""


class WeChat:
    """The server APIs of all platforms, each at one of several hosts."""

    def __init__(
        self,
        transport: Transport,
        urls: Mapping[str, tuple[str, ...]],
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hosts = {platform: Hosts(transport, each, timeout, clock) for platform, each in urls.items()}

    def fetch(self, kind: Kind, account: Account, inputs: Mapping[str, Secret], *, force: bool = False) -> Issued:
        """Fetch one, with one call; `force` kills the one before, where the kind can do that.

        Raises a `FetchError`: of a class by errcode, or `NetworkError`, or `MalformedAnswer`.
        """
        request = kind.fetch(account, inputs, force)
        found = self._ask(kind.platform, request)
        if answers.errcode(found) != 0:
            raise answers.error(found, TABLES[kind.platform], kind.hints, account.secret)
        return answers.issued(found, request.field)

    def is_alive(self, kind: Kind, value: Secret) -> bool:
        """Return whether one works, by the cheapest call there is.

        Raises a `FetchError` when WeChat's answer says nothing about it.
        """
        if kind.probe is None:
            raise ValueError(f"nothing says whether a {kind.name} works")
        request = kind.probe(value)
        found = self._ask(kind.platform, request)
        errcode = answers.errcode(found)
        if errcode in BUSY:
            raise TransientError(f"WeChat answered {errcode}", errcode)
        if errcode == 0 and request.field not in found:
            answers.refuse(f"neither an {request.field} nor an errcode")
        return errcode not in kind.dead

    def _ask(self, platform: str, request: Request) -> dict[str, Any]:
        content = {"params": request.params, "json": request.json}
        given = {name: value for name, value in content.items() if value is not None}
        hosts = self._hosts[platform]
        return answers.document(hosts.call(request.method, request.path, repeatable=request.repeatable, **given))
