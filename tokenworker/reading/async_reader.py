"""AsyncTokenReader: the same for services on asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self

from tokenworker.credential import ACCESS_TOKEN, Credential, CredentialId
from tokenworker.durations import Durations
from tokenworker.reading.arguments import identify, rejected_name, ticket_name
from tokenworker.reading.reader import TokenReader, signature

_Flight = asyncio.Task[Credential]


class AsyncTokenReader:
    """Reads credentials as `TokenReader` does, with the same arguments. Share one between tasks and event loops.

    What is not fresh in the cache is read in a thread, once for all tasks that want the same.
    """

    def __init__(
        self,
        redis_url: str,
        prefix: str = "tokenworker",
        durations: Durations | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        timeout: float = 0.4,
        celery: Any = None,
    ) -> None:
        self._reader = TokenReader(redis_url, prefix, durations, clock, timeout=timeout, celery=celery)
        #: The reads under way.
        self._flights: dict[tuple[asyncio.AbstractEventLoop, CredentialId], _Flight] = {}

    async def get_token(self, appid: str) -> Credential:
        """Return an access token that works, as `TokenReader.get_token`."""
        return await self.get_credential(appid)

    async def get_ticket(self, account: str, type: str = "jsapi") -> Credential:  # noqa: A002  WeChat's word
        """Return a ticket that works, as `TokenReader.get_ticket`."""
        return await self.get_credential(account, ticket_name(type))

    async def get_credential(self, account: str, name: str = ACCESS_TOKEN) -> Credential:
        """Return a credential that works, as `TokenReader.get_credential`."""
        id_ = identify(account, name)
        return self._reader.cache.fresh(id_) or await self._read(id_)

    async def sign_url(self, account: str, url: str, *, ticket: str = "jsapi") -> dict[str, Any]:
        """Return what a page at `url` gives to `wx.config`, as `TokenReader.sign_url`."""
        return signature(account, url, await self.get_ticket(account, ticket))

    async def reject(self, account: str, value: str, name: str = ACCESS_TOKEN) -> None:
        """Report that WeChat refused a value, as `TokenReader.reject`."""
        rejected = rejected_name(value)
        del value  # error trackers show the variables of frames
        await self.report(account, rejected, name)

    async def report(self, account: str, rejected: str, name: str = ACCESS_TOKEN) -> None:
        """Report the value with this fingerprint, as `reject`."""
        id_ = identify(account, name)
        try:
            await asyncio.to_thread(self._reader.report, id_, rejected)
        finally:
            # A read that was under way may bring the refused one.
            for key in [key for key in list(self._flights) if key[1] == id_]:
                self._flights.pop(key, None)

    def fresh(self, account: str, name: str = ACCESS_TOKEN) -> Credential | None:
        """Return one that was read so lately that it needs no look at Redis: what `get_credential` would return."""
        return self._reader.cache.fresh(identify(account, name))

    def known(self, account: str, name: str = ACCESS_TOKEN) -> Credential | None:
        """Return the last one that was read, if it has not run out: at once, without a look at Redis."""
        return self._reader.cache.stale_if_error(identify(account, name))

    def left(self, account: str, credential: Credential, name: str = ACCESS_TOKEN) -> float:
        """Return the seconds for which one that was read goes on working, by this process's own clock."""
        return self._reader.cache.left(identify(account, name), credential)

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        self._reader.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _read(self, id_: CredentialId) -> Credential:
        key = asyncio.get_running_loop(), id_
        flight = self._flights.get(key)
        recent = self._reader.cache.within_overlap(id_) if flight else None
        if recent:
            return recent
        # A task that is cancelled must not cancel what others wait for.
        return await asyncio.shield(flight or self._start(key))

    def _start(self, key: tuple[asyncio.AbstractEventLoop, CredentialId]) -> _Flight:
        for closed in [other for other in list(self._flights) if other[0].is_closed()]:
            self._flights.pop(closed, None)
        loop, id_ = key
        read = asyncio.to_thread(self._reader.get_credential, id_.account, id_.name)
        self._flights[key] = flight = loop.create_task(read)
        flight.add_done_callback(lambda done: self._land(key, done))
        return flight

    def _land(self, key: tuple[asyncio.AbstractEventLoop, CredentialId], flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # so that asyncio does not complain when all who wait for it were cancelled
