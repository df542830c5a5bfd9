"""The accounts in force: read once, and again whenever their file changes."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenworker.accounts import Account
from tokenworker.config import Config
from tokenworker.errors import ConfigError, UnknownAccount

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """What a new look at the files brought: accounts to refresh at once, and accounts to forget."""

    reread: bool = False
    changed: tuple[Account, ...] = ()
    removed: tuple[Account, ...] = ()


class AccountBook:
    """Hands out accounts by appid; a broken file leaves the accounts as they are, and its faults in `error`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._accounts = config.accounts()
        self._seen = self._signature()
        self._leaving: dict[str, Account] = {}
        self.error: str | None = None

    def __len__(self) -> int:
        return len(self._accounts)

    @property
    def accounts(self) -> Mapping[str, Account]:
        """The accounts by appid."""
        return self._accounts

    def account(self, appid: str | None = None) -> Account:
        """Return an account, the only one when no appid is given; raises `UnknownAccount`."""
        accounts = self._accounts
        if appid is None and len(accounts) == 1:
            return next(iter(accounts.values()))
        if appid is None or appid not in accounts:
            raise UnknownAccount(appid, len(accounts))
        return accounts[appid]

    def reload(self) -> Change:
        """Read the files again if they changed, and say what that changed."""
        with self._lock:
            seen = self._signature()
            leaving, self._leaving = self._leaving, {}
            if seen == self._seen:
                return Change(removed=tuple(leaving.values()))
            self._seen = seen
            return self._read(leaving)

    def _read(self, leaving: dict[str, Account]) -> Change:
        try:
            accounts = self._config.accounts()
        except ConfigError as error:
            self.error = "the accounts stay as they were, since their file has faults: " + "; ".join(error.faults)
            logger.error(self.error)  # noqa: TRY400  the faults say it all
            self._leaving = leaving
            return Change(reread=True)
        before, self._accounts, self.error = self._accounts, accounts, None
        # A file that is being written may be half there: an account goes only if it is still gone at the next look.
        gone = {appid: account for appid, account in {**leaving, **before}.items() if appid not in accounts}
        self._leaving = gone
        changed = tuple(account for account in accounts.values() if before.get(account.appid) != account)
        logger.info(
            "accounts read again: %d, of them %d new or changed; %d gone", len(accounts), len(changed), len(gone)
        )
        return Change(reread=True, changed=changed)

    def _signature(self) -> tuple[object, ...]:
        files = {account.secret_file for account in self._accounts.values()} | {self._config.accounts_file}
        return tuple(_stamp(path) for path in sorted(filter(None, files)))


def _stamp(path: Path) -> tuple[object, ...]:
    """Tell versions of a file apart, also those that a symbolic link or a rename put in its place."""
    try:
        status = os.stat(path)  # noqa: PTH116  a Path has no cheaper one
    except OSError:
        return (path,)
    return (path, status.st_ino, status.st_size, status.st_mtime_ns)
