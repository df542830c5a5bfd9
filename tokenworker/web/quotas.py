"""How many fetches a credential had and may have, as far as that can be known without the accounts' settings."""

from __future__ import annotations

from typing import NamedTuple

from tokenworker.credentials.kind import Kind
from tokenworker.durations import DAY, period_at
from tokenworker.store.gauges import Gauge


class Quota(NamedTuple):
    """The fetches of this period, those that one may have, 0 for any number, and how many seconds one is long."""

    used: float
    allowed: float
    period: float


def quota(it: Gauge, kind: Kind | None) -> Quota:
    """Return it: what WeChat allows was noted at the last fetch; before the first, what its kind is allowed."""
    given = kind.quota if kind else None
    period, allowed = (it.quota_period, it.quota) if it.quota_period else (DAY, 0)
    if given and not it.quota_period:
        period, allowed = given.period, given.fetches
    return Quota(it.fetches_today if it.day == period_at(it.now, period) else 0, allowed, period)
