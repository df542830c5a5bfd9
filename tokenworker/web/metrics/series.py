"""Series: which metrics there are, and what the state of a credential says for each."""

from __future__ import annotations

from functools import lru_cache

from tokenworker.credentials import kind_of
from tokenworker.credentials.kind import Kind
from tokenworker.durations import Durations
from tokenworker.errors import OperatorError
from tokenworker.refresh.causes import since
from tokenworker.refresh.events import BUCKETS
from tokenworker.store.gauges import Gauge
from tokenworker.store.state import MANY_DEATHS
from tokenworker.web.metrics.exposition import Exposition, Metric, labels
from tokenworker.web.quotas import quota
from tokenworker.wechat.errcodes import TABLES, UNKNOWN

_OF = ("account", "credential")

METRICS = (
    Metric("tokenworker_up", "gauge", "Whether Redis answers; without it there is no other metric"),
    Metric("tokenworker_credentials", "gauge", "Credentials that are kept, by how they are", ("state",)),
    Metric("tokenworker_credential_ready", "gauge", "Whether there is one that works", _OF),
    Metric("tokenworker_credential_expires_timestamp_seconds", "gauge", "When it ends, 0 while there is none", _OF),
    Metric(
        "tokenworker_credential_refresh_timestamp_seconds", "gauge", "When it is due to be fetched, 0 for never", _OF
    ),
    Metric("tokenworker_credential_fetched_timestamp_seconds", "gauge", "When it was fetched, 0 for never", _OF),
    Metric("tokenworker_credential_failures", "gauge", "Fetches that failed in a row", _OF),
    Metric(
        "tokenworker_credential_blocked", "gauge", "Whether WeChat refuses it till a person has mended something", _OF
    ),
    Metric("tokenworker_credential_contested", "gauge", "Whether another program fetches for the same account", _OF),
    Metric("tokenworker_quota_used", "gauge", "Fetches since the quota's period began", _OF),
    Metric("tokenworker_quota_allowed", "gauge", "Fetches that a period of the quota may have", _OF),
    Metric("tokenworker_fetches_total", "counter", "Fetches, by why and what came of them", (*_OF, "cause", "outcome")),
    Metric("tokenworker_fetch_errors_total", "counter", "Fetches that failed, by what WeChat said", (*_OF, "errcode")),
    Metric("tokenworker_fetch_seconds", "histogram", "How long WeChat took to answer a fetch"),
    Metric("tokenworker_probes_total", "counter", "Probes, by what they found", (*_OF, "outcome")),
    Metric("tokenworker_reports_total", "counter", "Reports that WeChat refused it", _OF),
    Metric("tokenworker_early_deaths_total", "counter", "How many died before their time, not by us", _OF),
    Metric("tokenworker_rescues_total", "counter", "Fetches by a watchdog, since tick or queue failed", _OF),
    Metric("tokenworker_fetch_rate_needed", "gauge", "Fetches a second that all that is kept needs"),
    Metric("tokenworker_fetch_rate_limit", "gauge", "Calls to WeChat a second that all workers together may begin"),
    Metric("tokenworker_last_tick_timestamp_seconds", "gauge", "When beat last ticked, 0 for not within a day"),
    Metric("tokenworker_workers", "gauge", "Workers that are alive"),
    Metric("tokenworker_accounts_error", "gauge", "Whether the accounts file has a fault, so that the old one holds"),
    Metric("tokenworker_clients_error", "gauge", "Whether the clients' file has a fault, so that the old one holds"),
    Metric("tokenworker_client_requests_total", "counter", "Requests of clients", ("client", "action")),
)

#: Counters of each credential, by the first word of the counts' names; and those that begin at 0, since Prometheus does
#: not see the first increase of what begins with it.
_COUNTERS = {
    "fetches": ("tokenworker_fetches_total", ("cause", "outcome")),
    "errors": ("tokenworker_fetch_errors_total", ("errcode",)),
    "probes": ("tokenworker_probes_total", ("outcome",)),
    "reports": ("tokenworker_reports_total", ()),
    "early_deaths": ("tokenworker_early_deaths_total", ()),
    "rescues": ("tokenworker_rescues_total", ()),
}
_TIMES = "tokenworker_fetch_seconds"
_FROM_ZERO = [name for name, labelled in _COUNTERS.values() if not labelled]


class Series:
    """Writes what is measured of each credential; with `totals`, sums of all without the labels that name them.

    Of moments a total is the earliest, and of quotas the one that is used up most.
    """

    def __init__(self, to: Exposition, durations: Durations, *, totals: bool) -> None:
        self._to = to
        self._durations = durations
        self._totals = totals
        self._states = {"live": 0, "missing": 0, "contested": 0}
        self._took = dict.fromkeys((*BUCKETS, "sum"), 0.0)
        self._needed = 0.0
        self._fullest: tuple[float, float] | None = None

    def add(self, it: Gauge) -> None:
        """Add a credential."""
        named = "" if self._totals else labels(account=it.id.account, credential=it.id.name)
        kind = kind_of(it.id)
        self._needed += 1 / _interval(it, kind, self._durations.second)
        self._add_state(it, kind, f"{{{named}}}" if named else "")
        self._add_quota(it, kind, f"{{{named}}}" if named else "")
        self._add_counts(it, named)

    def _add_state(self, it: Gauge, kind: Kind | None, tail: str) -> None:
        add, earliest, contested = self._to.add, self._to.earliest, _is_contested(it, self._durations)
        self._states["contested" if contested else "live" if it.left else "missing"] += 1
        add("tokenworker_credential_ready", it.left > 0, tail)
        # Tenths, since what Redis says is left is rounded: the same moment would differ from scrape to scrape.
        expires_at = round(it.now + it.left, 1) if it.left else 0
        earliest("tokenworker_credential_expires_timestamp_seconds", expires_at, tail)
        earliest("tokenworker_credential_refresh_timestamp_seconds", it.refresh_at, tail)
        earliest("tokenworker_credential_fetched_timestamp_seconds", it.fetched_at, tail)
        add("tokenworker_credential_failures", it.failures, tail)
        add("tokenworker_credential_blocked", _is_blocked(it, kind), tail)
        add("tokenworker_credential_contested", contested, tail)

    def _add_quota(self, it: Gauge, kind: Kind | None, tail: str) -> None:
        used, allowed, _ = quota(it, kind)
        if self._totals:
            if allowed and (self._fullest is None or used / allowed > self._fullest[0] / self._fullest[1]):
                self._fullest = used, allowed
            return
        self._to.add("tokenworker_quota_used", used, tail)
        if allowed:
            self._to.add("tokenworker_quota_allowed", allowed, tail)

    def _add_counts(self, it: Gauge, named: str) -> None:
        for metric in _FROM_ZERO:
            self._to.add(metric, 0, f"{{{named}}}" if named else "")
        for name, count in it.counts.items():
            metric, more = _counter(name) if count >= 0 else ("", "")
            if metric == _TIMES:
                self._took[more] += count
            elif metric:
                listed = f"{named},{more}" if named and more else named or more
                self._to.add(metric, count, f"{{{listed}}}" if listed else "")

    def end(self) -> float:
        """Write what is measured of all together; return the fetches a second that they need."""
        for state, number in self._states.items():
            self._to.add("tokenworker_credentials", number, f"{{{labels(state=state)}}}")
        self._to.add("tokenworker_fetch_rate_needed", self._needed)
        if self._fullest:
            self._to.add("tokenworker_quota_used", self._fullest[0])
            self._to.add("tokenworker_quota_allowed", self._fullest[1])
        self._add_histogram()
        return self._needed

    def _add_histogram(self) -> None:
        below = 0.0
        for bound in BUCKETS:
            below += self._took[bound]
            self._to.add(_TIMES, below, f"_bucket{{{labels(le=bound)}}}")
        self._to.add(_TIMES, self._took["sum"], "_sum")
        self._to.add(_TIMES, below, "_count")


@lru_cache(maxsize=10_000)
def _counter(name: str) -> tuple[str, str]:
    """Return the metric of a count and the labels in its name, or the bucket; empty for what is none of ours."""
    word, *values = name.split(":", 2)
    if word in ("took", "took_sum"):
        bucket = values[0] if values else "sum"
        return (_TIMES, bucket) if bucket in (*BUCKETS, "sum") else ("", "")
    metric, names = _COUNTERS.get(word, ("", ()))
    return (metric, labels(**dict(zip(names, values, strict=True)))) if len(values) == len(names) else ("", "")


def _is_contested(it: Gauge, durations: Durations) -> bool:
    return it.early_deaths > MANY_DEATHS and since(it.early_deaths_since, it.now) < durations.contest_window


def _is_blocked(it: Gauge, kind: Kind | None) -> bool:
    """Return whether the last fetch failed in a way that does not pass by itself."""
    if not it.error or not it.errcode:
        return False
    meaning, _ = TABLES[kind.platform if kind else "wechat"].get(int(it.errcode), UNKNOWN)
    return issubclass(meaning, OperatorError)


def _interval(it: Gauge, kind: Kind | None, second: float) -> float:
    """Return the seconds from one fetch to the next."""
    life = (kind.life if kind else 7200.0) * second
    if not it.left or not it.fetched_at:
        leeway = kind.leeway * second if kind and kind.leeway else life / 2
        return life - leeway
    # More than was planned for one that came with only a part of its life.
    leeway = it.now + it.left - it.refresh_at
    return max(it.refresh_at - it.fetched_at, life - leeway, second)
