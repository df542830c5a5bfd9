"""What a web process holds, put together once from the settings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Self

from tokenworker.durations import Durations
from tokenworker.reading.async_reader import AsyncTokenReader
from tokenworker.settings.config import Config
from tokenworker.store.connect import connect
from tokenworker.store.exchange import Patience
from tokenworker.store.scripts import Scripts
from tokenworker.store.store import Store
from tokenworker.web.clients.registry import Clients
from tokenworker.web.kept import Kept
from tokenworker.web.limits import Load, Rarely, Reports
from tokenworker.web.tally import Tally
from tokenworker.web.tokens import Tokens

#: Whoever asks over HTTP does not wait longer for a Redis that does not answer.
_PATIENCE = Patience(1.0, 2.0, 2)
#: So many may look at all credentials at once.
_SURVEYS = 2


@dataclass(frozen=True)
class Held:
    """The parts of this process: none knows an AppSecret, or the way to WeChat."""

    config: Config
    durations: Durations
    reader: AsyncTokenReader
    #: Blocks: call it through `asyncio.to_thread`.
    store: Store
    clients: Clients
    kept: Kept
    tokens: Tokens
    #: What clients did, and what they may do at once.
    tally: Tally = field(default_factory=Tally)
    reports: Reports = field(default_factory=Reports)
    load: Load = field(default_factory=Load)
    #: Looks at all credentials, which keep a thread busy, and must leave others to those who read.
    surveys: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SURVEYS))
    #: Whose refusals were logged lately.
    refused: Rarely = field(default_factory=lambda: Rarely(60.0))

    @classmethod
    def from_config(cls, config: Config, celery: Any, clients: Clients | None = None) -> Self:
        """Put the parts together; `celery` is the app, or the URL of its broker, by which workers are asked.

        Raises `ConfigError`, and opens no connection yet.
        """
        reader = AsyncTokenReader(config.redis_url, config.prefix, config.durations, celery=celery)
        client = connect(config.redis_url, timeout=_PATIENCE.one)
        store = Store(client, config.prefix, Scripts(client, _PATIENCE))
        kept = Kept(store)
        tokens = Tokens(store, kept, config.durations.overlap)
        clients = Clients(config.web.clients) if clients is None else clients
        return cls(config, config.durations, reader, store, clients, kept, tokens)

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        await self.reader.aclose()
        self.store.close()
