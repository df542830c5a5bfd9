"""Probes: whether WeChat takes the credential that we have, before anything is done to it."""

from __future__ import annotations

import logging

from tokenworker.durations import Durations
from tokenworker.errors import FetchError
from tokenworker.refresh.attempt import Again, Attempt
from tokenworker.refresh.causes import Cause, doubt
from tokenworker.refresh.events import probed
from tokenworker.secret import Secret
from tokenworker.store.records import Records
from tokenworker.store.state import Facts
from tokenworker.wechat.source import Source

logger = logging.getLogger(__name__)


class Prober:
    """Probes one under a lease, and ends that: reports may be late, wrong or hostile, doubts unfounded."""

    def __init__(self, records: Records, source: Source, durations: Durations) -> None:
        self._records = records
        self._source = source
        self._durations = durations

    def probe(self, attempt: Attempt, cause: Cause) -> Again:
        """Probe it: a dead one is withheld from everybody; raises `FetchError` when WeChat does not tell."""
        live = attempt.live
        facts: Facts = {"probed": live.fingerprint, "probed_at": attempt.lease.taken_at}
        try:
            alive = self._source.is_alive(attempt.target.kind, Secret(live.value))
        except FetchError as error:
            failure = error
        else:
            self._judge(attempt, cause, facts, alive=alive)
            return Again()
        raise self._failed(attempt, cause, failure, facts)

    def _failed(self, attempt: Attempt, cause: Cause, error: FetchError, facts: Facts) -> FetchError:
        """Note why it can't be probed, and return that, to be raised."""
        error.retry_in, name = self._durations.transient_cap, attempt.live.fingerprint
        note = probed(cause, name, "unknown", error=error.reason)
        facts["probe_error"] = error.reason
        self._records.release(attempt.lease, note, **facts)
        extra = attempt.fields(note, retry_in=error.retry_in)
        logger.warning("%s: %s can't be probed (%s): %s", attempt.name, name, cause, error, extra=extra)
        return error

    def _judge(self, attempt: Attempt, cause: Cause, facts: Facts, *, alive: bool) -> None:
        live = attempt.live
        verdict = "works and stays" if alive else "is dead and withheld"
        extra = attempt.fields(probed(cause, live.fingerprint, "alive" if alive else "dead"))
        logger.warning("%s: %s was probed (%s): it %s", attempt.name, live.fingerprint, cause, verdict, extra=extra)
        facts |= {"rejected": "", "probe_error": ""}
        if alive:
            facts["probed_alive"] = live.fingerprint
            facts |= attempt.of_suspicion(self._durations)
            self._records.release(attempt.lease, probed(cause, live.fingerprint, "alive"), **facts)
        else:
            death = self._early_death(attempt, cause)
            note = probed(cause, live.fingerprint, "dead", early=bool(death))
            facts |= death
            self._records.withhold(attempt.lease, live, note, **facts)

    def _early_death(self, attempt: Attempt, cause: Cause) -> Facts:
        """Log and count one that died before its time, unless it may have been us who ended it."""
        if cause in (Cause.DOUBTFUL, Cause.FAILOVER) or doubt(attempt.snapshot, self._durations, attempt.lease):
            return {}
        left = attempt.live.expires_in(attempt.snapshot.now)
        logger.error(
            "another program fetches for %s, or somebody reset its secret: %s died %.0f min before its time",
            attempt.name, attempt.live.fingerprint, left / 60,
            extra=attempt.fields(fingerprint=attempt.live.fingerprint),
        )  # fmt: skip
        return attempt.of_death(self._durations)
