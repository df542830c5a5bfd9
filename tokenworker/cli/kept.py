"""The accounts that are kept in Redis, as one command sees them."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from urllib.parse import urlsplit

from tokenworker.cli.selection import NothingChosen, Selection
from tokenworker.cli.terminal import shown
from tokenworker.credential import CredentialId
from tokenworker.errors import ConfigError, StoreUnavailable
from tokenworker.settings.config import Config
from tokenworker.settings.urls import DEFAULT_REDIS_URL
from tokenworker.store.connect import connect
from tokenworker.store.store import Store


class Kept:
    """A store for the length of one command, and whom it can be about."""

    def __init__(self) -> None:
        self._config = Config.from_env()
        self.store = Store(connect(self._config.redis_url), self._config.prefix)
        self.durations = self._config.durations

    def selection(self, given: str | None = None) -> Selection:
        """Return the accounts that can be chosen from; those of the settings are not read where `given` needs none."""
        names = self.store.notes.names()
        kept = {id_.account: names.get(id_.account, "") for id_ in self.store.schedule.ids()}
        configured = {} if given in kept else self._configured
        return Selection(configured, kept, f"{shown(self._config.redis_url)}, prefix {self._config.prefix}")

    def ids(self, accounts: Sequence[str] = ()) -> list[CredentialId]:
        """Return the credentials of these accounts, each by id or name, in their order; or all that are kept.

        Raises `NothingChosen`.
        """
        kept = self.store.schedule.ids()
        if not kept:
            raise NothingChosen(self.selection().nothing)
        if not accounts:
            return kept
        # An id that is kept needs no names, and no look at the settings.
        known = {id_.account for id_ in kept}
        choice = None if known.issuperset(accounts) else self.selection()
        places = {choice.one(account) if choice else account: place for place, account in enumerate(accounts)}
        return sorted((id_ for id_ in kept if id_.account in places), key=lambda id_: places[id_.account])

    def readable(self, given: str | None) -> str:
        """Return the id that is meant, where any is kept; who may only read credentials has to give it."""
        try:
            choice = self.selection(given)
        except StoreUnavailable:
            if given is None or absence():
                raise
            return given
        account = choice.one(given)
        if not choice.kept:
            raise NothingChosen(choice.nothing)
        return account

    def named(self, given: str | None) -> str:
        """Return the id that is meant; one that is not kept here may be known to a worker."""
        choice = self.selection(given)
        return (given and choice.find(given)) or given or choice.one()

    def close(self) -> None:
        """Close the connections to Redis."""
        self.store.close()

    @cached_property
    def _configured(self) -> dict[str, str]:
        # Once in a command: many take seconds. This shell may lack the settings of the accounts, or the right to read.
        with suppress(ConfigError):
            return {account.id: account.name for account in self._config.accounts().values()}
        return {}


def absence() -> str:
    """Return the sentence for when no setting says where Redis is, and none is at the default place; else ""."""
    url = urlsplit(DEFAULT_REDIS_URL)
    if Config.from_env().redis_given or _listens(str(url.hostname), url.port or 0):
        return ""
    return (
        f"REDIS_URL is not set, and nothing answers at {url.netloc}: set REDIS_URL, or run this in the folder where"
        " `tokenworker up` runs"
    )


def _listens(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False
