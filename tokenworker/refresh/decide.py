"""What to do for a credential, and when it is due next: decisions, without any doing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tokenworker.credentials.target import Target
from tokenworker.durations import BEIJING, DAY, Durations
from tokenworker.errors import DayLimit, FetchError, MinuteLimit, TransientError
from tokenworker.refresh.causes import SLACK, Case, Cause, Demand, changed, since, why_fetch, why_probe
from tokenworker.store.state import Lease, Snapshot

#: Forced refreshes a day that WeChat allows (page "getStableAccessToken"), and that we make unasked: the others are
#: for people.
FORCED_QUOTA = 20
_FORCED_UNASKED = 4
#: The part of a quota that we use; what is left is for people who look for a fault.
_QUOTA_SHARE = 0.95
#: Where WeChat names no quota.
_UNLIMITED = 1_000_000_000


@dataclass(frozen=True)
class Nothing:
    """All is well, or somebody else is at it."""


@dataclass(frozen=True)
class Wait:
    """There is cause for a call, but not for so many seconds."""

    cause: Cause
    seconds: float


@dataclass(frozen=True)
class Probe:
    """Probe the one that we have."""

    cause: Cause


@dataclass(frozen=True)
class Fetch:
    """Fetch one; `force` kills the one before."""

    cause: Cause
    force: bool = False


Decision = Nothing | Wait | Probe | Fetch


def decide(
    snapshot: Snapshot, target: Target, demand: Demand, durations: Durations, held: Lease | None = None
) -> Decision:
    """Return what to do for a credential; `held` is the lease that the asker has.

    While a fetch must wait, or does more harm than good, one that may be dead is probed.
    """
    case = Case(snapshot, target, demand, durations, held)
    cause, cooldown = why_fetch(case), _cooldown(case)
    if cause and not cooldown:
        # By itself only where that helps; who demands it is told by the answer that it did not.
        can_force = target.kind.can_force or cause is Cause.FORCED
        return Fetch(cause, can_force and must_force(snapshot, cause, durations))
    doubtful, left = why_probe(case)
    if doubtful and not left:
        return Probe(doubtful)
    if cause:
        return Wait(cause, min(cooldown, left))
    if doubtful is Cause.REJECTED:
        return Wait(doubtful, left)
    if case.is_reported and target.kind.probe is None:
        return Wait(Cause.REJECTED, case.report_cooldown)
    return Nothing()


def _cooldown(it: Case) -> float:
    """Return the seconds for which no fetch may be made after a failure; new settings end the cooldown."""
    snapshot, durations = it.snapshot, it.durations
    left = snapshot.retry_at - snapshot.now
    if left <= SLACK or left > durations.longest_cooldown or snapshot.settings_tried != it.target.settings_digest:
        return 0.0
    if snapshot.failed_at > snapshot.now + SLACK:
        return 0.0  # the clock went back, and the cooldown grew by as much
    # A limit of WeChat's is not to be asked away.
    wanted = (it.demand.early or it.demand.force) and not snapshot.limited
    return 0.0 if wanted and it.since(snapshot.failed_at) >= durations.retry_gap else left


def cooldown_after(error: FetchError, failures: int, now: float, durations: Durations) -> float:
    """Return the cooldown in seconds after the failure number `failures` in a row.

    Transient: 1, 2, 4, 8, 15, 15 … s; minute limit: the next minute; day limit: an hour, or Beijing's
    midnight; a person must act: 60 s doubling to 30 min. A fifth more or less, so that accounts drift apart.
    """
    if isinstance(error, MinuteLimit):
        return durations.minute - now % durations.minute + random.uniform(0, 0.1) * durations.minute  # noqa: S311
    if isinstance(error, DayLimit):
        midnight = DAY - (now + BEIJING) % DAY
        return min(durations.day_probe, midnight + durations.transient_cap)
    transient = isinstance(error, TransientError)
    first = durations.transient_wait if transient else durations.operator_wait
    cap = durations.transient_cap if transient else durations.operator_cap
    return float(min(cap, first * 2 ** min(failures - 1, 32)) * random.uniform(0.8, 1.2))  # noqa: S311  no secret


def next_look(snapshot: Snapshot, target: Target, durations: Durations) -> float:
    """Return when a credential is due next, in epoch seconds: 0 for now."""
    decision = decide(snapshot, target, Demand(), durations)
    if isinstance(decision, Wait):
        return snapshot.now + decision.seconds
    if decision != Nothing():
        return 0.0
    case = Case(snapshot, target, Demand(), durations)
    ahead = [moment for moment in _moments(case) if moment > snapshot.now]
    return min(ahead, default=snapshot.now + durations.tick)


def _moments(it: Case) -> Iterator[float]:
    """Yield the moments at which something may become due, in epoch seconds."""
    snapshot, durations = it.snapshot, it.durations
    if it.live and it.doubt:
        yield snapshot.now + it.repeatable_in
        yield snapshot.now + why_probe(it)[1]
    else:
        yield snapshot.refresh_at
    if snapshot.suspected_at:
        yield snapshot.now + why_probe(it)[1]
    if snapshot.in_doubt_until:
        yield snapshot.in_doubt_until
    if snapshot.lease_left is not None:
        yield snapshot.now + snapshot.lease_left  # its holder may be dead
    if changed(snapshot, it.target):
        yield snapshot.fetched_at + durations.overlap
    if it.live and it.live.fingerprint == snapshot.rejected:
        yield snapshot.probed_at + durations.report_interval  # the report came too early to be looked into


def usable(snapshot: Snapshot, rejected: str | None) -> bool:
    """Return whether it may be handed to a caller who was refused the one with this fingerprint."""
    live = snapshot.credential
    return live is not None and live.fingerprint == snapshot.fingerprint not in (rejected, snapshot.probed_dead)


def must_force(snapshot: Snapshot, cause: Cause, durations: Durations) -> bool:
    """Return whether to kill the one before: on demand, or when WeChat hands out a dead one again and again."""
    if cause is Cause.FORCED:
        return True
    cooled = since(snapshot.forced_at, snapshot.now) >= durations.force_interval
    # The dead one may have gone from Redis since, or somebody wrote another over it.
    without = cause in (Cause.DEAD, Cause.MISSING, Cause.OVERWRITTEN)
    again = without and snapshot.reissued_dead != "" and snapshot.reissued_dead == snapshot.probed_dead
    return again and cooled and snapshot.forced_today < _FORCED_UNASKED


def foreign(snapshot: Snapshot, target: Target, value: str, cause: Cause, durations: Durations) -> bool:
    """Return whether a fetch that brought the one with this fingerprint shows that somebody else replaced ours.

    Where only a forced refresh makes a new one before its time, a new one means that somebody forced it.
    """
    before = snapshot.credential
    if before is None or not target.kind.can_force or cause not in (Cause.EARLY, Cause.UNRESOLVED):
        return False
    young = before.expires_in(snapshot.now) > durations.overlap
    return young and before.fingerprint == snapshot.fingerprint != value


def budget(target: Target) -> tuple[int, float]:
    """Return how many fetches a period may have, and how many seconds it is long."""
    quota = target.quota
    return (int(quota.fetches * _QUOTA_SHARE), quota.period) if quota else (_UNLIMITED, DAY)
