"""What to do for an account, and how long to wait after a failure: decisions, without any doing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

from tokenworker.accounts.account import Account
from tokenworker.credential import Issued, fingerprint
from tokenworker.durations import Durations
from tokenworker.errors import DayLimit, FetchError, MinuteLimit, TransientError
from tokenworker.refresh.causes import SLACK, Cause, Demand, changed, doubts, repeatable_in, since, why_fetch, why_probe
from tokenworker.store.records import BEIJING, Lease, Snapshot

_DAY = 86_400
#: WeChat allows 20 forced refreshes a day; we make so many by ourselves, and leave the rest to people.
FORCED_QUOTA = 20
_FORCED_BY_ITSELF = 4
#: The part of a day's quota that we use; the rest is for people who look for a fault.
_QUOTA_SHARE = 0.95
#: Accounts that were fetched at the same moment become stale spread over this part of their leeway.
_SPREAD = 0.07


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
    """Test the token that we have."""

    cause: Cause


@dataclass(frozen=True)
class Fetch:
    """Fetch a token; `force` kills the one before."""

    cause: Cause
    force: bool = False


Decision = Nothing | Wait | Probe | Fetch


def decide(
    snapshot: Snapshot, account: Account, demand: Demand, durations: Durations, held: Lease | None = None
) -> Decision:
    """Say what to do for an account; `held` is the lease that the asker has.

    While a fetch must wait, or does more harm than good, a token that may be dead is tested.
    """
    cause = why_fetch(snapshot, account, demand, durations, held)
    rest = _rest(snapshot, account, demand, durations)
    if cause and not rest:
        return Fetch(cause, must_force(snapshot, cause, durations))
    test, left = why_probe(snapshot, demand, durations, held)
    if test and not left:
        return Probe(test)
    if cause:
        return Wait(cause, min(rest, left))
    return Wait(test, left) if test is Cause.REJECTED else Nothing()


def _rest(snapshot: Snapshot, account: Account, demand: Demand, durations: Durations) -> float:
    """Say how long no token may be fetched after a failure; new settings end the rest."""
    left = snapshot.retry_at - snapshot.now
    if left <= SLACK or left > durations.longest_rest or snapshot.settings_tried != account.settings_digest:
        return 0.0
    if snapshot.failed_at > snapshot.now + SLACK:
        return 0.0  # the clock went back, and the rest grew by as much
    # A limit of WeChat's is not to be asked away.
    wanted = (demand.early or demand.force) and not snapshot.limited
    return 0.0 if wanted and since(snapshot.failed_at, snapshot.now) >= durations.retry_gap else left


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


def next_look(snapshot: Snapshot, account: Account, durations: Durations) -> float:
    """Say when to look at an account again: at once for what is due, or else when something may be."""
    decision = decide(snapshot, account, Demand(), durations)
    if isinstance(decision, Wait):
        return snapshot.now + decision.seconds
    if decision != Nothing():
        return 0.0
    ahead = [moment for moment in _moments(snapshot, account, durations) if moment > snapshot.now]
    return min(ahead, default=snapshot.now + durations.tick)


def _moments(snapshot: Snapshot, account: Account, durations: Durations) -> Iterator[float]:
    """List when something may become due."""
    token = snapshot.token
    if token and doubts(snapshot, durations):
        yield snapshot.now + repeatable_in(snapshot, token, account, durations)
        yield snapshot.now + why_probe(snapshot, Demand(), durations)[1]
    else:
        yield snapshot.refresh_at
    if snapshot.in_doubt_until:
        yield snapshot.in_doubt_until
    if snapshot.lease_left is not None:
        yield snapshot.now + snapshot.lease_left  # its holder may be dead
    if changed(snapshot, account):
        yield snapshot.fetched_at + durations.overlap
    if token and token.fingerprint == snapshot.rejected:
        yield snapshot.probed_at + durations.report_interval  # the report came too early to be tested


def usable(snapshot: Snapshot, rejected: str | None) -> bool:
    """Say whether the token may be handed to a caller who was refused the token named `rejected`."""
    token = snapshot.token
    return token is not None and token.fingerprint == snapshot.fingerprint not in (rejected, snapshot.probed_dead)


def must_force(snapshot: Snapshot, cause: Cause, durations: Durations) -> bool:
    """Say whether to kill the token before: on demand, or when WeChat hands out a dead one again and again."""
    if cause is Cause.FORCED:
        return True
    rested = since(snapshot.forced_at, snapshot.now) >= durations.force_interval
    # The dead token may have vanished from Redis since, or somebody wrote another over it.
    without = cause in (Cause.DEAD, Cause.MISSING, Cause.OVERWRITTEN)
    stuck = without and snapshot.reissued_dead != "" and snapshot.reissued_dead == snapshot.probed_dead
    return stuck and rested and snapshot.forced_today < _FORCED_BY_ITSELF


def foreign(snapshot: Snapshot, account: Account, fetched: Issued, cause: Cause, durations: Durations) -> bool:
    """Say whether a fetch shows that somebody else replaced our token.

    stable_token hands out the same token while more than the overlap is left, unless a forced refresh ended it.
    """
    before = snapshot.token
    if before is None or account.endpoint != "stable_token" or cause not in (Cause.EARLY, Cause.UNRESOLVED):
        return False
    young = before.expires_in(snapshot.now) > durations.overlap
    return young and before.fingerprint == snapshot.fingerprint != fingerprint(fetched.access_token)


def budget(account: Account) -> int:
    """Say how many fetches a day may have."""
    return int(account.daily_quota * _QUOTA_SHARE)


def refresh_at(account: Account, leeway: float | None, fetched: Issued, taken_at: float, default: float) -> float:
    """Say when a token fetched at `taken_at` becomes stale.

    By the account's leeway, or else `leeway`, or else the endpoint's: `default` seconds for stable_token, half
    of its life for the classic one; up to 7 % less, by the appid.
    """
    own = default if account.endpoint == "stable_token" else fetched.expires_in / 2
    spread = 1 - _SPREAD * crc32(account.appid.encode()) / 2**32
    room = fetched.expires_in - spread * (account.leeway or leeway or own)
    # A token that arrives stale is looked at again after a part of its life, not at once and for ever.
    return taken_at + (room if room > 0 else fetched.expires_in / 4)
