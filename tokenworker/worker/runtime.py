"""What a worker holds, put together once from the settings."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tokenworker.accounts.loaded import Loaded
from tokenworker.accounts.registry import AccountRegistry
from tokenworker.credential import ACCESS_TOKEN
from tokenworker.credentials import target
from tokenworker.credentials.target import Target
from tokenworker.durations import Durations
from tokenworker.refresh.fetcher import Fetcher
from tokenworker.refresh.keeper import Keeper
from tokenworker.refresh.turns import Limits
from tokenworker.settings.config import Config
from tokenworker.store.connect import connect
from tokenworker.store.records import Replication
from tokenworker.store.store import Store
from tokenworker.wechat.source import WeChat
from tokenworker.wechat.transport import Transport
from tokenworker.worker.reconciler import Reconciler

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Runtime:
    """The parts of this process."""

    registry: AccountRegistry
    store: Store
    keeper: Keeper
    reconciler: Reconciler
    durations: Durations
    #: Those in force: they follow the number of credentials.
    limits: Callable[[], Limits]

    @classmethod
    def from_config(cls, config: Config, loaded: Loaded | None = None) -> Runtime:
        """Put the parts together; raises `ConfigError`, and opens no connection yet.

        `loaded` are the accounts, where they were read already.
        """
        durations = config.durations

        def limits() -> Limits:
            kept = len(reconciler.targets)
            return Limits(config.rate_for(kept), config.concurrency_for(kept))

        replication = Replication(config.replicas, durations.replication)
        store = Store(connect(config.redis_url), config.prefix, replication=replication)
        source = WeChat(Transport(config.proxy), config.urls, durations.fetch_timeout)
        keeper = Keeper(store, Fetcher(store, source, durations, config.leeway, limits), durations)
        registry = config.registry(loaded=loaded)
        reconciler = Reconciler(registry, store, keeper, durations)
        return cls(registry, store, keeper, reconciler, durations, limits)

    def target(self, account: str | None = None, name: str = ACCESS_TOKEN) -> Target:
        """Return what is kept of an account, by its id or name; raises `UnknownAccount`, `UnknownCredential`."""
        return target(self.registry.account(account), name)


#: The accounts as this process read them before it had a runtime, or as the one had them that it is a fork of.
_loaded: list[Loaded] = []


def begin_with(loaded: Loaded) -> None:
    """Have the runtime begin with accounts that were read already, here and in every fork."""
    _loaded[:] = [loaded]


@cache
def runtime() -> Runtime:
    """Return this process's runtime, made at the first call; raises `ConfigError`."""
    config = Config.from_env()
    if config.sandbox:
        logger.warning("SANDBOX: no account is configured, so the credentials are made up, by %s", config.sandbox)
    # Not kept here: once the file has changed, nobody needs them any more.
    return Runtime.from_config(config, _loaded.pop() if _loaded else None)


def _begin_anew() -> None:
    """Leave a fork no runtime of its parent's but the accounts, which take seconds to read where they are many.

    It must not share its parent's connection to WeChat: two processes would read each other's answers.
    """
    if runtime.cache_info().currsize:
        begin_with(runtime().registry.loaded)
    runtime.cache_clear()


os.register_at_fork(after_in_child=_begin_anew)
