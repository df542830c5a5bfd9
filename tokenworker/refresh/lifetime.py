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
#: WeChat counts from when a request arrives, and we from before it was sent: less than so many seconds apart.
_LATENCY = 2.0
#: Who knows when a value began by so many times his leeway asks for the next one at its end, and not before.
_IN_VAIN = 1.5


@dataclass(frozen=True)
class Lifetime:
    """When it ends by our count, until when it is readable, and when it is stale: all in epoch seconds."""

    ends_at: float
    expires_at: float
    refresh_at: float
    #: Before that WeChat can't have begun to hand it out; 0 where that does not matter.
    born_after: float = 0.0


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
    """Count from when the value was first seen: a repeat, with a whole life again, does not restart the clock."""
    fresh = taken_at + issued.expires_in
    grace = target.kind.grace * second
    if fingerprint(issued.value) != before.fingerprint or not before.ends_at:
        born_after = _born_after(issued, before, taken_at)
        # WeChat takes a value while it hands it out, and for a whole life after that.
        readable = min(fresh + grace, max(fresh, born_after + 2 * issued.expires_in))
        # Sooner than just after its end one asks only if there may be a new one by then.
        may_be_old = taken_at - born_after > _IN_VAIN * leeway
        refresh_at = fresh - leeway if may_be_old else min(fresh + _LATENCY * second, readable)
        return Lifetime(fresh, readable, refresh_at, born_after)
    end = min(before.ends_at, fresh)
    # Where `expires_in` is what is left, it is less than that.
    whole = max(issued.expires_in, target.kind.life * second)
    if taken_at < end - leeway:
        # As long as at its first sight: who is told to ask after its end must find it readable until then.
        readable = min(end + grace, max(end, before.born_after + 2 * whole))
        return Lifetime(end, readable, min(before.refresh_at, readable), before.born_after)
    # Near its end WeChat hands out the same one still. What it handed out just now works, whatever we counted: so it
    # stays readable, and is asked for again at its end, and now and then after that. One without grace dies there, a
    # little later by WeChat's own count: it must not stay readable for a minute more.
    again = (_LATENCY if not grace and 0 <= taken_at - end < _LATENCY * second else _AGAIN) * second
    refresh_at = max(end, taken_at + again)
    known = max(end, taken_at + 2 * again) if taken_at >= end else end
    readable = min(known + grace, max(end, taken_at + whole))
    return Lifetime(end, readable, min(refresh_at, readable), before.born_after)


def _born_after(issued: Issued, before: Snapshot, taken_at: float) -> float:
    """Return the moment before which WeChat can't have begun to hand out a value that we see for the first time.

    Not while it handed out the one before, nor sooner than a life after that one; nor more than a life ago.
    """
    bounds = (before.fetched_at, before.born_after and before.born_after + issued.expires_in)
    return max(taken_at - issued.expires_in, *(bound for bound in bounds if bound <= taken_at), 0.0)
