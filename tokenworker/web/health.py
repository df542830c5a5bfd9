"""Health: whether this process lives, and whether everything that is kept can be had."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tokenworker.credential import CredentialId
from tokenworker.durations import Durations
from tokenworker.errors import StoreUnavailable
from tokenworker.messages import QUEUE
from tokenworker.store.store import Store
from tokenworker.web.clients.client import Client
from tokenworker.web.handler import Handler
from tokenworker.web.shared import Shared

#: Seconds in which whoever asks has an answer, whether Redis has one or not.
_PATIENCE = 0.5
#: A look at all credentials that takes longer is answered with the one before, of so many seconds ago at most.
_LATELY = 60.0
#: So many of those that are missing are named.
_NAMED = 20

_SINCE = time.time()


@dataclass(frozen=True)
class Look:
    """What was seen: of how many credentials which are missing."""

    at: float
    kept: int
    missing: Sequence[CredentialId]


@dataclass(frozen=True)
class Verdict:
    """What keeps everything from being ready, in sentences; nothing if it is."""

    faults: Sequence[str]
    ticked_ago: float | None = None
    look: Look | None = None


class Readiness:
    """Looks at ticks and credentials, in no more than the patience of who asks."""

    def __init__(self, store: Store, durations: Durations, patience: float = _PATIENCE) -> None:
        self._store = store
        self._durations = durations
        self._patience = patience
        self._tick = Shared(store.notes.ticked_ago)
        self._all = Shared(self._look)
        self._last: Look | None = None

    def _look(self) -> Look:
        ids = self._store.schedule.ids()
        self._last = Look(time.monotonic(), len(ids), self._store.bulk.missing(ids))
        return self._last

    async def verdict(self) -> Verdict:
        """Return how everything is."""
        end = time.monotonic() + self._patience
        try:
            ago = await asyncio.wait_for(self._tick.answer(), self._patience)
            look = await self._look_by(end)
        except (TimeoutError, StoreUnavailable):
            return Verdict(["Redis does not answer: `tokenworker check` says why"])
        return Verdict([*self._of_ticks(ago), *_of_credentials(look)], ago, look)

    async def _look_by(self, end: float) -> Look | None:
        """Return what there is to see, or, where Redis has no time to show so much, what there was a moment ago."""
        try:
            return await asyncio.wait_for(self._all.answer(), end - time.monotonic())
        except TimeoutError:
            is_late = self._last and time.monotonic() - self._last.at < _LATELY
            return self._last if is_late else None

    def _of_ticks(self, ago: float | None) -> list[str]:
        if ago is not None and ago < self._durations.silence:
            return []
        since = "for a day" if ago is None else f"for {ago:.0f} s"
        return [f"no tick came through {since}: does beat run, and a worker take from the queue {QUEUE}?"]


def _of_credentials(look: Look | None) -> list[str]:
    if look is None:
        return [f"the look at all credentials took longer than {_PATIENCE:g} s: ask again"]
    if not look.kept:
        return ["no credential is kept: does a worker run, and does it have accounts?"]
    if look.missing:
        return [f"{len(look.missing)} of {look.kept} credentials are missing: `tokenworker status` says why"]
    return []


class Healthz(Handler):
    """Whether the process lives: that it answers is all there is to know, and nobody is asked for it."""

    bounded = False

    def get(self) -> None:
        """Answer."""
        since = datetime.fromtimestamp(_SINCE, UTC).isoformat(timespec="seconds")
        self.write_json({"live": True, "since": since, "uptime": round(time.time() - _SINCE, 1)})


class Readyz(Handler):
    """Whether every credential that is kept is there, and ticks come; 503 when not."""

    bounded = False

    async def get(self) -> None:
        """Answer, and say what is not."""
        readiness = self.settings.setdefault("readiness", Readiness(self.held.store, self.held.durations))
        verdict = await readiness.verdict()
        self.set_status(503 if verdict.faults else 200)
        self.write_json(self._told(verdict))

    def _told(self, verdict: Verdict) -> dict[str, Any]:
        told: dict[str, Any] = {"ready": not verdict.faults, "faults": verdict.faults}
        if verdict.ticked_ago is not None:
            told["ticked_ago"] = round(verdict.ticked_ago, 1)
        if verdict.look:
            told |= {"credentials": verdict.look.kept, "missing": len(verdict.look.missing)}
        if verdict.look and (client := self.held.clients.of(self.key)).may("status"):
            named = [id_ for id_ in verdict.look.missing if self._may_see(client, id_)][:_NAMED]
            told["named"] = [{"account": id_.account, "credential": id_.name} for id_ in named]
        return told

    def _may_see(self, client: Client, id_: CredentialId) -> bool:
        name = self.held.kept.names.get(id_.account, "")
        return client.may_see(id_.account, name) and client.may_have(id_.name)


routes = [("/healthz", Healthz), ("/readyz", Readyz)]
