"""The accounts in force: read once, and again whenever their file changes."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tokenworker.accounts.account import Account
from tokenworker.errors import ConfigError, UnknownAccount
from tokenworker.redaction import like_secret

logger = logging.getLogger(__name__)

#: The longest id or name that an error shows, in characters; an appid is no longer.
_LONGEST_NAME = 64

_Versions = dict[Path, tuple[int, ...]]


@dataclass(frozen=True)
class Changes:
    """What a new look at the files brought: accounts to refresh at once, and accounts to forget."""

    #: Whether this is the first look; whether the files were read since the last look, as they were before the first.
    first: bool = field(default=False, compare=False)
    reread: bool = False
    changed: tuple[Account, ...] = ()
    removed: tuple[Account, ...] = ()


class AccountRegistry:
    """Hands out accounts by id or name; a broken file leaves them as they are, and its faults in `error`.

    `load` reads the accounts, and raises `ConfigError`; `file` is where they stand, if not in the environment.
    """

    def __init__(self, load: Callable[[], Mapping[str, Account]], file: Path | None = None) -> None:
        self._read = load
        self._file = file
        self._lock = threading.Lock()
        self._accounts: Mapping[str, Account] = {}
        self._accounts, self._seen = self._load()
        self._leaving: dict[str, Account] = {}
        self._looked = False
        self.error: str | None = None

    def __len__(self) -> int:
        return len(self._accounts)

    @property
    def accounts(self) -> Mapping[str, Account]:
        """The accounts by id."""
        return self._accounts

    def account(self, appid: str | None = None) -> Account:
        """Return an account by its id or name, the only one when none is given; raises `UnknownAccount`."""
        accounts = self._accounts
        if appid is None and len(accounts) == 1:
            return next(iter(accounts.values()))
        named = (account for account in accounts.values() if appid and account.name == appid)
        found = accounts.get(appid or "") or next(named, None)
        if found is None:
            raise _unknown(appid, len(accounts))
        return found

    def reload(self) -> Changes:
        """Read the files again if they changed, and return what that changed."""
        with self._lock:
            # A broken file is read at each look: what mends it may be another file, which we don't watch yet.
            if self.error or _versions(self._seen) != self._seen:
                return self._reread()
            first, self._looked = not self._looked, True
            leaving, self._leaving = self._leaving, {}
            return Changes(first=first, reread=first, removed=tuple(leaving.values()))

    def _reread(self) -> Changes:
        before = self._accounts
        try:
            self._accounts, self._seen = self._load()
        except ConfigError as error:
            self._complain(error)
            return Changes(reread=True)
        self.error = None
        changed = tuple(account for account in self._accounts.values() if before.get(account.id) != account)
        logger.info("accounts read again: %d, of them %d new or changed", len(self._accounts), len(changed))
        return Changes(reread=True, changed=changed, removed=self._removed(before))

    def _load(self) -> tuple[Mapping[str, Account], _Versions]:
        """Read the accounts, and the versions of their files from before that, so that no change is missed."""
        files = self._files(self._accounts)
        while True:
            seen = _versions(files)
            accounts = self._read()
            if self._files(accounts) <= files:
                return accounts, seen
            files = self._files(accounts)

    def _files(self, accounts: Mapping[str, Account]) -> set[Path]:
        files = {account.secret_file for account in accounts.values()} | {self._file}
        return {path for path in files if path}

    def _removed(self, before: Mapping[str, Account]) -> tuple[Account, ...]:
        """Return who is gone for good.

        A file that is being written may be half there: an account goes only when the next look finds no change.
        """
        known = self._leaving | dict(before)
        gone = {appid: account for appid, account in known.items() if appid not in self._accounts}
        calm = self._accounts == before
        self._leaving = {} if calm else gone
        return tuple(gone.values()) if calm else ()

    def _complain(self, error: ConfigError) -> None:
        text = "the accounts stay as they were, since their file has faults: " + "; ".join(error.faults)
        if text != self.error:
            logger.error(text)
        self.error = text


def _versions(files: Iterable[Path]) -> _Versions:
    return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what differs between versions of a file, also when a symbolic link or a rename put one in its place."""
    try:
        status = os.stat(path)  # noqa: PTH116  a Path has no cheaper one
    except (OSError, ValueError):
        return ()
    # The time of the change too: archives and copies may bring the same size and the same time of writing.
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _unknown(appid: str | None, configured: int) -> UnknownAccount:
    if appid is None:
        return UnknownAccount(f"{configured} accounts are configured: say which appid you mean", None, configured)
    if len(appid) > _LONGEST_NAME or like_secret(appid):
        reason = (
            f"what was given as appid ({len(appid)} characters) is not shown, since it may be a token or an AppSecret"
        )
        advice = (
            f"give the appid or the name of one of the {configured} configured accounts; a token goes into rejected"
        )
        return UnknownAccount(f"{reason}: {advice}", None, configured)
    reason = f"{appid!r} is not among the {configured} configured accounts"
    return UnknownAccount(f"{reason}: add it to the accounts file, or check the appid", appid, configured)
