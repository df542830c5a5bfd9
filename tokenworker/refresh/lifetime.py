"""How long a credential that was just fetched lives, and when it is stale."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from tokenworker.credential import Issued, fingerprint
from tokenworker.credentials.target import Target
from tokenworker.durations import Durations
from tokenworker.store.state import Snapshot

#: Accounts that were fetched at the same moment become stale spread over this part of their leeway.
_SPREAD = 0.07
#: WeChat's seconds between two looks for a new value while it goes on handing out the one whose time is over.
_AGAIN = 60.0


@dataclass(frozen=True)
class Lifetime:
    """When it ends by our count, until when it is readable, and when it is stale: all in epoch seconds."""

    ends_at: float
    expires_at: float
    refresh_at: float
    #: Whether WeChat handed out the same value near its counted end, once at least: 0 or 1.
    repeated: int = 0


def lifetime(
    target: Target, issued: Issued, before: Snapshot, taken_at: float, durations: Durations, leeway: float | None
) -> Lifetime:
    """Return the moments of what was fetched under a lease taken at `taken_at`; `leeway` is the settings'."""
    own = _leeway(target, issued, durations, leeway)
    if target.kind.counts_from_first_sight:
        return _from_first_sight(target, issued, before, taken_at, durations.second, own)
    room = issued.expires_in - own
    # One that arrives stale is looked at again after a part of its life, not at once and for ever.
    refresh_at = taken_at + (room if room > 0 else issued.expires_in / 4)
    end = taken_at + issued.expires_in
    return Lifetime(end, end, refresh_at)


def _leeway(target: Target, issued: Issued, durations: Durations, given: float | None) -> float:
    """Return how long before its end it is stale.

    By the account's setting, or else the common one, or else its kind's; up to 7 % less, by the account.
    """
    kind = target.kind
    own = issued.expires_in / 2 if kind.leeway is None else kind.leeway * durations.second
    spread = 1 - _SPREAD * crc32(target.account.id.encode()) / 2**32
    return spread * (target.account.leeway or given or own)


def _from_first_sight(
    target: Target, issued: Issued, before: Snapshot, taken_at: float, second: float, leeway: float
) -> Lifetime:
    """Count from when the value was first seen: a repeat, with a whole life again, does not restart the clock.

    Near its counted end WeChat may hand out the same value still: then it is asked again at that end, and now and
    then after it, while the value stays readable. Who met that once does not ask before the end any more.
    """
    fresh = taken_at + issued.expires_in
    same = fingerprint(issued.value) == before.fingerprint and before.ends_at > 0
    end = min(before.ends_at, fresh) if same else fresh
    near = same and taken_at >= end - leeway
    repeated = int(near or bool(before.repeated))
    refresh_at = end if repeated else end - leeway
    again = _AGAIN * second
    if near:
        refresh_at = max(refresh_at, taken_at + again)
    # What WeChat handed out just now works, whatever we counted.
    readable = max(end, refresh_at + again) if same and taken_at >= end else end
    expires_at = readable + target.kind.grace * second
    # Asked for again when it goes, at the latest: some have no grace.
    return Lifetime(end, expires_at, min(refresh_at, expires_at), repeated)
