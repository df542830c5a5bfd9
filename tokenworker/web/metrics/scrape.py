"""`/metrics`: everything there is to watch, computed from Redis at each scrape, whatever runs on whatever hosts."""

from __future__ import annotations

import logging
from functools import partial
from typing import ClassVar

from tokenworker.credential import CredentialId
from tokenworker.errors import StoreUnavailable
from tokenworker.web.clients.client import ANYBODY, Client
from tokenworker.web.handler import Handler
from tokenworker.web.held import Held
from tokenworker.web.metrics.exposition import CONTENT_TYPE, Exposition, labels
from tokenworker.web.metrics.series import METRICS, Series
from tokenworker.web.shared import Shared

logger = logging.getLogger(__name__)

#: A worker shows that it is alive at each pulse; one that has not for so many is not.
_PULSES = 15

#: What clients do, by the names under which that is counted.
_ACTIONS = {"reads": "read", "reports": "report", "signatures": "sign", "refusals": "refusal"}


def exposition(held: Held, client: Client = ANYBODY) -> bytes:
    """Measure all that a client may see; where Redis does not answer, that is all that is said. Blocks."""
    everything = Exposition(METRICS)
    try:
        _measure(held, client, everything)
    except StoreUnavailable as error:
        logger.warning("nothing can be measured: %s", error)
        everything = Exposition(METRICS)
        everything.add("tokenworker_up", 0)
    return everything.text()


def _measure(held: Held, client: Client, to: Exposition) -> None:
    to.add("tokenworker_up", 1)
    ids = held.store.schedule.ids()
    series = Series(to, held.durations, totals=held.config.web.metrics == "totals")
    for gauge in held.store.gauges.of(_seen(held, client, ids)):
        series.add(gauge)
    series.end()
    _measure_signs(held, to, len(ids))
    for name, counts in held.store.usage.counts().items():
        for action, count in counts.items():
            tail = labels(client=name, action=_ACTIONS[action])
            to.add("tokenworker_client_requests_total", count, f"{{{tail}}}")


def _seen(held: Held, client: Client, ids: list[CredentialId]) -> list[CredentialId]:
    """Return those of them that a client may see."""
    if client.accounts == client.credentials == ANYBODY.accounts:
        return ids
    names = held.store.notes.names()
    may_see, may_have = client.may_see, client.may_have
    return [id_ for id_ in ids if may_see(id_.account, names.get(id_.account, "")) and may_have(id_.name)]


def _measure_signs(held: Held, to: Exposition, kept: int) -> None:
    """Measure what beat, workers and files show of themselves."""
    notes, ago = held.store.notes, held.store.notes.ticked_ago()
    to.add("tokenworker_last_tick_timestamp_seconds", 0 if ago is None else round(held.store.now() - ago, 1))
    alive = [worker for worker, silent in notes.workers().items() if silent < _PULSES * held.durations.pulse]
    to.add("tokenworker_workers", len(alive))
    # Without a tick for a day nobody says what the workers' limit is: they may have it from the same settings.
    to.add("tokenworker_fetch_rate_limit", notes.rate() or held.config.rate_for(kept))
    to.add("tokenworker_accounts_error", notes.accounts_error() is not None)
    to.add("tokenworker_clients_error", held.clients.error is not None)


class Metrics(Handler):
    """The metrics, for Prometheus."""

    headers: ClassVar[dict[str, str]] = {**Handler.headers, "Content-Type": CONTENT_TYPE}
    bounded = False

    async def get(self) -> None:
        """Answer; a scrape that comes while another of the same client is under way gets the same."""
        client = self.client("status")
        scrapes: dict[Client, Shared[bytes]] = self.settings.setdefault("scrapes", {})
        if client not in scrapes:
            scrapes[client] = Shared(partial(exposition, self.held, client))
        self.write(await scrapes[client].answer())


routes = [("/metrics", Metrics)]
