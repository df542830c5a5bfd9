"""What a worker holds, put together once from the settings."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from tokenworker.accounts.account import Account
from tokenworker.accounts.registry import AccountRegistry, Changes
from tokenworker.demo import DEMO_APPID
from tokenworker.durations import Durations
from tokenworker.refresh.causes import contested
from tokenworker.refresh.fetcher import Fetcher, Limits
from tokenworker.refresh.keeper import Keeper
from tokenworker.settings.config import Config
from tokenworker.store.records import Snapshot, TokenStore, connect
from tokenworker.wechat.api import WeChat
from tokenworker.wechat.transport import Transport

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Runtime:
    """The accounts, the store and the keeper of this process."""

    registry: AccountRegistry
    store: TokenStore
    keeper: Keeper
    durations: Durations
    limits: Limits

    @classmethod
    def from_config(cls, config: Config) -> Runtime:
        """Put the parts together; raises `ConfigError`, and opens no connection yet."""
        store = TokenStore(connect(config.redis_url), config.prefix)
        wechat = WeChat(Transport(config.proxy), config.api_urls, config.durations.fetch_timeout)
        limits = Limits(config.fetch_rate, config.fetch_concurrency)
        fetcher = Fetcher(store, wechat, config.durations, config.leeway, limits)
        keeper = Keeper(store, fetcher, config.durations)
        return cls(config.registry(), store, keeper, config.durations, limits)

    def reconcile(self) -> None:
        """Bring Redis in line with the accounts file: new ones are due, changed ones too, removed ones go."""
        change = self.registry.reload()
        for account in change.removed:
            self.store.clear(account.appid, self.durations.lease + self.durations.grace)
        self.store.announce({account.appid: account.settings_digest for account in self._news(change)})
        if self.registry.error or change.reread:
            self.store.note_accounts_error(self.registry.error, 6 * self.durations.grace)
        # Whoever asks without an appid must not get the sandbox's token now that there is a real account.
        if change.reread and DEMO_APPID not in self.registry.accounts:
            self.store.clear(DEMO_APPID, self.durations.lease + self.durations.grace)
        # Whoever is missing here, after a FLUSHALL for example, would never be looked at again.
        if change.reread or self.store.enrolled() < len(self.registry):
            self.store.rename({account.appid: account.name for account in self.registry.accounts.values()})
            self.store.enroll(self.registry.accounts)

    def _news(self, change: Changes) -> list[Account]:
        """List the accounts whose settings may be new to Redis: at the first look, those unlike at the last fetch."""
        if not change.first:
            return list(change.changed)
        accepted = self.store.accepted(list(self.registry.accounts))
        return [
            self.registry.accounts[appid]
            for appid, it in accepted.items()
            if it != self.registry.accounts[appid].settings_digest
        ]

    def mend_copies(self) -> None:
        """Write published copies again that are gone, after an eviction for example."""
        published = {account.appid: account for account in self.registry.accounts.values() if account.publish}
        keys = {appid: [copy.key for copy in it.blank_copies] for appid, it in published.items()}
        for appid in self.store.without_copies(keys):
            self.keeper.publish(published[appid], self.store.look(appid))

    def take_due(self) -> list[str]:
        """Take the accounts whose time has come, no more of them than may be fetched until the next tick."""
        most = max(self.limits.concurrency, int(self.limits.rate * self.durations.tick))
        due = self.store.take_due(most, self.durations.grace)
        for appid in due:
            if appid not in self.registry.accounts:
                self._forget(appid)
        return [appid for appid in due if appid in self.registry.accounts]

    def _forget(self, appid: str) -> None:
        """Let go of an account that was taken out while nobody looked, once its token has run out.

        Not before: a worker with newer settings may know it.
        """
        if self.store.look(appid).token is None:
            self.store.clear(appid, self.durations.lease + self.durations.grace)

    def status(self) -> list[dict[str, Any]]:
        """Say how each account is; no token and no secret in it."""
        error = self.store.accounts_error()
        return [
            {"name": account.name, "endpoint": account.endpoint, "accounts_error": error}
            | describe(self.store.look(account.appid), self.durations)
            for account in self.registry.accounts.values()
        ]


def survey(store: TokenStore, durations: Durations, appids: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Say how accounts are, all that are kept by default, for those who can't see the accounts file."""
    names = store.names()
    return [
        {"name": names.get(appid, "")} | describe(store.look(appid), durations)
        for appid in (store.appids() if appids is None else appids)
    ]


def describe(snapshot: Snapshot, durations: Durations) -> dict[str, Any]:
    """Turn what is known of an account into plain values; the token appears by its fingerprint alone.

    `state` is live, no token, or contested: another program fetches tokens for the same appid. `sandbox` marks
    tokens that are made up.
    """
    facts = {name: value for name, value in asdict(snapshot).items() if name != "token"}
    token = snapshot.token
    state = "contested" if contested(snapshot, durations) else "live" if token else "no token"
    return facts | {
        "state": state,
        "sandbox": snapshot.appid == DEMO_APPID,
        "expires_at": token.expires_at if token else None,
        "expires_in": round(token.expires_in(snapshot.now), 3) if token else None,
    }


@cache
def runtime() -> Runtime:
    """Return this process's runtime, made at the first call; raises `ConfigError`."""
    config = Config.from_env()
    if config.sandbox:
        logger.warning("SANDBOX: no account is configured, so the tokens are made up, by %s", config.sandbox)
    return Runtime.from_config(config)


# A child must not share its parent's connection to WeChat: two processes would read each other's answers.
os.register_at_fork(after_in_child=runtime.cache_clear)
