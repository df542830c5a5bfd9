"""What a web process holds, put together once from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from tokenworker.durations import Durations
from tokenworker.reading.async_reader import AsyncTokenReader
from tokenworker.settings.config import Config
from tokenworker.store.connect import connect
from tokenworker.store.store import Store
from tokenworker.web.clients import Clients


@dataclass(frozen=True)
class Held:
    """The parts of this process: none knows an AppSecret, or the way to WeChat."""

    config: Config
    durations: Durations
    reader: AsyncTokenReader
    #: Blocks: call it through `asyncio.to_thread`.
    store: Store
    clients: Clients

    @classmethod
    def from_config(cls, config: Config, celery: Any) -> Self:
        """Put the parts together; `celery` is the app, or the URL of its broker, by which workers are asked.

        Raises `ConfigError`, and opens no connection yet.
        """
        reader = AsyncTokenReader(config.redis_url, config.prefix, config.durations, celery=celery)
        store = Store(connect(config.redis_url), config.prefix)
        return cls(config, config.durations, reader, store, Clients(config.web.clients))

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        await self.reader.aclose()
        self.store.close()
