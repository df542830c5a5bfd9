"""The accounts in force: read once, and again whenever their file changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tokenworker.accounts.account import Account
from tokenworker.accounts.courtesy import courtesy, unhurried
from tokenworker.accounts.files import Watch
from tokenworker.accounts.loaded import Loaded
from tokenworker.errors import ConfigError, UnknownAccount
from tokenworker.redaction import discreet, like_secret

logger = logging.getLogger(__name__)

#: The longest id or name that an error shows, in characters; an appid is no longer.
_LONGEST_NAME = 64
#: The most faults of a file that a log and the status list.
_LISTED = 20


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

    `load` reads the accounts; `file` is where they stand, if not in the environment; `loaded` is what was read of them
    already. Raises `ConfigError` when there are faults at the start.
    """

    def __init__(self, load: Callable[[], Loaded], file: Path | None = None, loaded: Loaded | None = None) -> None:
        self._load = load
        self._file = file
        self._lock = threading.Lock()
        self._loaded = loaded or load()
        if self._loaded.faults:
            raise ConfigError(self._loaded.faults)
        self._watch = Watch(self._loaded.versions, file)
        self._leaving: dict[str, Account] = {}
        self._looked = False
        self.error: str | None = None

    def __len__(self) -> int:
        return len(self.accounts)

    @property
    def accounts(self) -> Mapping[str, Account]:
        """The accounts by id."""
        return self._loaded.accounts

    @property
    def loaded(self) -> Loaded:
        """The reading that is in force: another registry may begin with it."""
        return self._loaded

    def account(self, appid: str | None = None) -> Account:
        """Return an account by its id or name, the only one when none is given; raises `UnknownAccount`."""
        accounts = self.accounts
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
            if self._watch.sees_change():
                return self._reread()
            if self.error:
                return Changes()
            first, self._looked = not self._looked, True
            leaving, self._leaving = self._leaving, {}
            return Changes(first=first, reread=first, removed=tuple(leaving.values()))

    def _reread(self) -> Changes:
        with courtesy():
            loaded = self._load()
            self._watch = Watch(loaded.versions, self._file)
            if loaded.faults:
                self._complain(loaded.faults)
                return Changes(reread=True)
            return self._take_over(loaded)

    def _take_over(self, loaded: Loaded) -> Changes:
        before, self.error = self.accounts, None
        # Who is as before stays the same object, with all that was made for it.
        accounts = {id_: _same(before.get(id_), account) for id_, account in unhurried(loaded.accounts.items())}
        self._loaded = replace(loaded, accounts=accounts)
        changed = tuple(account for id_, account in accounts.items() if before.get(id_) is not account)
        logger.info("accounts read again: %d, of them %d new or changed", len(accounts), len(changed))
        return Changes(reread=True, changed=changed, removed=self._removed(before))

    def _removed(self, before: Mapping[str, Account]) -> tuple[Account, ...]:
        """Return who is gone for good.

        A file that is being written may be half there: an account goes only when the next look finds no change.
        """
        known = self._leaving | dict(before)
        gone = {appid: account for appid, account in known.items() if appid not in self.accounts}
        calm = self.accounts == before
        self._leaving = {} if calm else gone
        return tuple(gone.values()) if calm else ()

    def _complain(self, faults: list[str]) -> None:
        listed = [*map(discreet, faults[:_LISTED]), *_rest(len(faults) - _LISTED)]
        text = "the accounts stay as they were, since their file has faults: " + "; ".join(listed)
        if text != self.error:
            logger.error(text)
        self.error = text


def _rest(more: int) -> list[str]:
    return [f"and {more} more, which `tokenworker check` lists"] if more > 0 else []


def _same(before: Account | None, now: Account) -> Account:
    return before if before is not None and before == now else now


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
