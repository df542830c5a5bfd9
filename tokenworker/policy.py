"""When WeChat is called, and how long to wait after a failure: decisions, without any doing."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32

from tokenworker.accounts import Account
from tokenworker.durations import Durations
from tokenworker.errors import DayLimit, FetchError, MinuteLimit, TransientError
from tokenworker.store import BEIJING, Lease, Snapshot
from tokenworker.tokens import AccessToken, FetchedToken, fingerprint

_DAY = 86_400
#: WeChat allows 20 forced refreshes a day; we make so many by ourselves, and leave the rest to people.
FORCED_QUOTA = 20
_FORCED_BY_ITSELF = 4
#: More early deaths than this within an hour are no accident.
_DEATHS = 3
#: The part of a day's quota that we use; the rest is for people who look for a fault.
_QUOTA_SHARE = 0.95
#: Accounts that were fetched at the same moment become stale spread over this part of their leeway.
_SPREAD = 0.07
#: Celery's countdown and Redis's clock may differ by so many seconds; a retry that is early by less is in time. And
#: Valkey's clock, which runs ahead by up to a millisecond under load, did not go back.
_SLACK = 0.05


class Cause(StrEnum):
    """Why WeChat is called."""

    FORCED = "forced"
    MISSING = "there is no token"
    OVERWRITTEN = "another program wrote a token under our key"
    DEAD = "WeChat refused the token"
    CLOCK = "Redis's clock went back"
    UNSETTLED = "a fetch ended nobody knows how"
    SUSPECT = "two fetches overlapped, or one lost its answer"
    STRAY = "WeChat may have acted late on a fetch that we gave up on"
    STALE = "it runs out soon"
    EARLY = "asked for before its time"
    REJECTED = "a service says that WeChat refused the token"


@dataclass(frozen=True)
class Demand:
    """What somebody asks for: nothing special, or more than what is due."""

    #: The fingerprint of a token that WeChat refused.
    rejected: str | None = None
    early: bool = False
    force: bool = False


def due(snapshot: Snapshot, demand: Demand, durations: Durations, held: Lease | None = None) -> Cause | None:
    """Say why WeChat should be called for an account, or None; `held` is the lease that the asker has."""
    now, token = snapshot.now, snapshot.token
    if demand.force and _since(snapshot.forced_at, now) >= durations.force_interval:
        return Cause.FORCED
    if token is None:
        return Cause.MISSING
    if token.fingerprint != snapshot.fingerprint:
        return Cause.OVERWRITTEN
    if token.fingerprint == snapshot.dead:
        return Cause.DEAD
    return _due_by_history(snapshot, durations, held) or _due_by_demand(snapshot, token, demand, durations)


def _due_by_history(snapshot: Snapshot, durations: Durations, held: Lease | None) -> Cause | None:
    if snapshot.fetched_at > snapshot.now + durations.tick:
        return Cause.CLOCK
    if snapshot.suspect is not None:
        return Cause.SUSPECT
    if _unsettled(snapshot, held):
        return Cause.UNSETTLED
    if snapshot.stray_until and not stray_until(snapshot, durations):
        return Cause.STRAY
    return Cause.STALE if snapshot.now >= snapshot.refresh_at else None


def stray_until(snapshot: Snapshot, durations: Durations) -> float:
    """Say until when WeChat may still act on a fetch that we gave up on, or 0; a clock may have lengthened that."""
    left = snapshot.stray_until - snapshot.now
    return snapshot.stray_until if 0 < left <= durations.fetch_timeout + durations.stray + _SLACK else 0.0


def _unsettled(snapshot: Snapshot, held: Lease | None) -> bool:
    """Say whether the fetch before this one, if any, died with its end unknown."""
    if held:
        return snapshot.settled != held.fencing - 1
    return snapshot.lease_left is None and snapshot.settled != snapshot.fencing


def _due_by_demand(snapshot: Snapshot, token: AccessToken, demand: Demand, durations: Durations) -> Cause | None:
    # A third token within the overlap may kill the first while readers still hold it.
    if demand.early and _since(snapshot.fetched_at, snapshot.now) >= durations.overlap:
        return Cause.EARLY
    if token.fingerprint in (demand.rejected, snapshot.rejected) and not _proven(snapshot, token, durations):
        return Cause.REJECTED
    return None


def _since(moment: float, now: float) -> float:
    """Count the seconds since a moment; one that lies ahead was written before the clock went back."""
    return now - moment if moment <= now + _SLACK else float("inf")


def _proven(snapshot: Snapshot, token: AccessToken, durations: Durations) -> bool:
    """Say whether the token was tested and found good so lately that another report changes nothing."""
    lately = _since(snapshot.tested_at, snapshot.now) < durations.report_interval
    return token.fingerprint == snapshot.proven and lately


def contested(snapshot: Snapshot, durations: Durations) -> bool:
    """Say whether so many tokens died early of late that another program must be fetching for this account."""
    return snapshot.deaths > _DEATHS and _since(snapshot.deaths_since, snapshot.now) < durations.contest_window


def waits(snapshot: Snapshot, account: Account, demand: Demand, cause: Cause, durations: Durations) -> float:
    """Say for how many seconds WeChat must not be called yet: after a failure, or after a report on a contested one."""
    rest = _rest(snapshot, account, demand, durations)
    if cause is not Cause.REJECTED or not contested(snapshot, durations):
        return rest
    return max(rest, durations.contested_interval - _since(snapshot.tested_at, snapshot.now), 0.0)


def _rest(snapshot: Snapshot, account: Account, demand: Demand, durations: Durations) -> float:
    """Say how long an account must still rest after a failure; new settings end the rest."""
    left = snapshot.retry_at - snapshot.now
    if left <= _SLACK or left > durations.longest_rest or snapshot.revision != account.revision:
        return 0.0
    if snapshot.failed_at > snapshot.now + _SLACK:
        return 0.0  # the clock went back, and the rest grew by as much
    wanted = demand.early or demand.force
    return 0.0 if wanted and _since(snapshot.failed_at, snapshot.now) >= durations.retry_gap else left


def wait_after(error: FetchError, failures: int, now: float, durations: Durations) -> float:
    """Say how many seconds to wait after the failure number `failures` in a row.

    Transient: 1, 2, 4, 8, 15, 15 … s; minute limit: the next minute; day limit: an hour, or Beijing's
    midnight; a person must act: 60 s doubling to 30 min. A fifth more or less, so that accounts drift apart.
    """
    if isinstance(error, MinuteLimit):
        return durations.minute - now % durations.minute + random.uniform(0, 0.1) * durations.minute  # noqa: S311
    if isinstance(error, DayLimit):
        midnight = _DAY - (now + BEIJING) % _DAY
        return min(durations.day_probe, midnight + durations.transient_cap)
    transient = isinstance(error, TransientError)
    first = durations.transient_wait if transient else durations.operator_wait
    cap = durations.transient_cap if transient else durations.operator_cap
    return float(min(cap, first * 2 ** min(failures - 1, 32)) * random.uniform(0.8, 1.2))  # noqa: S311  no secret


def next_look(snapshot: Snapshot, durations: Durations) -> float:
    """Say when to look at an account again: at once for what is due, or else when something may be."""
    if due(snapshot, Demand(), durations):
        return 0.0
    moments = [snapshot.refresh_at]
    if snapshot.stray_until:
        moments.append(snapshot.stray_until)
    if snapshot.lease_left is not None:
        moments.append(snapshot.now + snapshot.lease_left)  # its holder may be dead
    if snapshot.token and snapshot.token.fingerprint == snapshot.rejected:
        moments.append(snapshot.tested_at + durations.report_interval)  # the report came too early to be tested
    return min(moments)


def usable(snapshot: Snapshot, rejected: str | None) -> bool:
    """Say whether the token may be handed to a caller who was refused the token named `rejected`."""
    token = snapshot.token
    return token is not None and token.fingerprint == snapshot.fingerprint not in (rejected, snapshot.dead)


def must_force(snapshot: Snapshot, cause: Cause, durations: Durations) -> bool:
    """Say whether to kill the token before: on demand, or when WeChat hands out a dead one again and again."""
    if cause is Cause.FORCED:
        return True
    rested = _since(snapshot.forced_at, snapshot.now) >= durations.force_interval
    # The dead token may have vanished from Redis since, or somebody wrote another over it.
    without = cause in (Cause.DEAD, Cause.MISSING, Cause.OVERWRITTEN)
    stuck = without and snapshot.stuck != "" and snapshot.stuck == snapshot.dead
    return stuck and rested and snapshot.forced_today < _FORCED_BY_ITSELF


def foreign(snapshot: Snapshot, account: Account, fetched: FetchedToken, cause: Cause, durations: Durations) -> bool:
    """Say whether a fetch shows that somebody else replaced our token.

    stable_token hands out the same token while more than the overlap is left, unless a forced refresh ended it.
    """
    before = snapshot.token
    if before is None or account.endpoint != "stable_token" or cause not in (Cause.EARLY, Cause.UNSETTLED):
        return False
    young = before.expires_in(snapshot.now) > durations.overlap
    return young and before.fingerprint == snapshot.fingerprint != fingerprint(fetched.access_token)


def budget(account: Account) -> int:
    """Say how many fetches a day may have."""
    return int(account.daily_quota * _QUOTA_SHARE)


def refresh_at(account: Account, leeway: float | None, fetched: FetchedToken, taken_at: float, default: float) -> float:
    """Say when a token fetched at `taken_at` becomes stale.

    By the account's leeway, or else `leeway`, or else the endpoint's: `default` seconds for stable_token, half
    of its life for the classic one; up to 7 % less, by the appid.
    """
    own = default if account.endpoint == "stable_token" else fetched.expires_in / 2
    spread = 1 - _SPREAD * crc32(account.appid.encode()) / 2**32
    room = fetched.expires_in - spread * (account.leeway or leeway or own)
    # A token that arrives stale is looked at again after a part of its life, not at once and for ever.
    return taken_at + (room if room > 0 else fetched.expires_in / 4)
