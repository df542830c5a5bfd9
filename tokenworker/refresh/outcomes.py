"""Why somebody who asked for a refresh got no new credential, in a sentence."""

from __future__ import annotations

from math import ceil

from tokenworker.durations import Durations
from tokenworker.refresh.causes import Demand
from tokenworker.store.state import Snapshot


def reason(outcome: str, snapshot: Snapshot, demand: Demand, durations: Durations) -> str:
    """Return why a credential that is now as in `snapshot` was not refreshed, as a sentence; "" when it was."""
    if outcome == "refreshed":
        return ""
    if outcome == "busy":
        left = f", for at most {snapshot.lease_left:.0f} s more" if snapshot.lease_left else ""
        return f"another fetch for it is under way{left}"
    if outcome == "waiting" and snapshot.error:
        return last_error(snapshot)
    return _too_early(snapshot, demand, durations) or f"it is too early to ask WeChat again{_again(snapshot)}"


def last_error(snapshot: Snapshot) -> str:
    """Return why the last fetch failed and when the next one comes, as a sentence."""
    said = f"{snapshot.error}: {snapshot.hint}" if snapshot.hint else snapshot.error
    return said + _again(snapshot)


def _too_early(snapshot: Snapshot, demand: Demand, durations: Durations) -> str:
    forced = snapshot.forced_at + durations.force_interval - snapshot.now
    if demand.force and forced > 0:
        return f"WeChat ignores a forced refresh so soon after the one before: again in {ceil(forced)} s"
    young = snapshot.fetched_at + durations.overlap - snapshot.now
    if demand.early and young > 0:
        return f"it is new, and one more could kill the one before it: again in {ceil(young)} s"
    return ""


def _again(snapshot: Snapshot) -> str:
    left = snapshot.retry_at - snapshot.now
    return f"; the next attempt is in {ceil(left)} s" if left > 0 else ""
