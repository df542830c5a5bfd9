"""How long a credential that was just fetched lives, and when it is stale."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from tokenworker.credential import Issued, fingerprint
from tokenworker.credentials.target import Target
from tokenworker.durations import Durations
from tokenworker.refresh.causes import replaces
from tokenworker.store.state import Snapshot

#: Accounts that were fetched at the same moment become stale spread over this part of their leeway.
_SPREAD = 0.07
#: WeChat's seconds between two fetches while it goes on handing out a value whose time is over.
_AGAIN = 60.0
#: WeChat counts a life from when the request arrives, we from before it was sent: by so many of WeChat's seconds less.
_LATENCY = 2.0
#: Where the beginning of a value is known to within so many leeways, the next one is fetched at its end, not before.
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
        second, kind = durations.second, target.kind
        sight = _Sight(issued, before, taken_at, own, kind.grace * second, kind.life * second, second)
        return sight.first() if sight.is_first else sight.again()
    room = issued.expires_in - own
    # One that arrives stale is due after a part of its life, not at once and for ever.
    refresh_at = taken_at + (room if room > 0 else issued.expires_in / 4)
    end = taken_at + issued.expires_in
    return Lifetime(end, end, refresh_at)


def sure_until(target: Target, life: Lifetime, durations: Durations) -> float:
    """Return until when it surely works, where the next fetch ends it: for the overlap after that; else 0."""
    return min(life.expires_at, life.refresh_at + durations.overlap) if replaces(target) else 0.0


def _leeway(target: Target, issued: Issued, durations: Durations, given: float | None) -> float:
    """Return the seconds before its end at which it is stale.

    By the account's setting, or else the common one, or else its kind's; up to 7 % less, by the account.
    """
    kind = target.kind
    own = issued.expires_in / 2 if kind.leeway is None else kind.leeway * durations.second
    spread = 1 - _SPREAD * crc32(target.account.id.encode()) / 2**32
    return spread * (target.account.leeway or given or own)


@dataclass(frozen=True)
class _Sight:
    """A value that WeChat handed out, with a whole life each time: it counts from when it was first seen."""

    issued: Issued
    before: Snapshot
    taken_at: float
    leeway: float
    #: Of WeChat's rules, in seconds: how long a value stays readable past its end, and a life.
    grace: float
    life: float
    #: How long one of WeChat's seconds lasts here.
    second: float

    @property
    def fresh(self) -> float:
        """When it would end if it were seen for the first time."""
        return self.taken_at + self.issued.expires_in

    @property
    def is_first(self) -> bool:
        """Whether it is not the value that was there before."""
        return fingerprint(self.issued.value) != self.before.fingerprint or not self.before.ends_at

    def first(self) -> Lifetime:
        """Return the moments of a value that is new to us."""
        born_after = self._born_after()
        # WeChat takes a value while it hands it out, and for a whole life after that.
        readable = min(self.fresh + self.grace, max(self.fresh, born_after + 2 * self.issued.expires_in))
        # Before its end a fetch is of use only if WeChat may have a new one by then.
        may_be_old = self.taken_at - born_after > _IN_VAIN * self.leeway
        at_end = min(self.fresh + _LATENCY * self.second, readable)
        return Lifetime(self.fresh, readable, self.fresh - self.leeway if may_be_old else at_end, born_after)

    def _born_after(self) -> float:
        """Return the moment before which WeChat can't have begun to hand it out.

        Not while it handed out the one before, nor sooner than a life after that one; nor more than a life ago.
        """
        life, before = self.issued.expires_in, self.before
        bounds = (before.fetched_at, before.born_after and before.born_after + life)
        return max(self.taken_at - life, *(bound for bound in bounds if bound <= self.taken_at), 0.0)

    def again(self) -> Lifetime:
        """Return the moments of a value that came again: its clock goes on."""
        end = min(self.before.ends_at, self.fresh)
        return self._amid_life(end) if self.taken_at < end - self.leeway else self._near_end(end)

    def _amid_life(self, end: float) -> Lifetime:
        """Change nothing: whoever is told to ask after its end must find it readable until then."""
        readable = min(end + self.grace, max(end, self.before.born_after + 2 * self._whole))
        return Lifetime(end, readable, min(self.before.refresh_at, readable), self.before.born_after)

    def _near_end(self, end: float) -> Lifetime:
        """Ask again at its end, and now and then after that; what WeChat handed out just now works till then."""
        again = self._pause(end)
        refresh_at = max(end, self.taken_at + again)
        known = max(end, self.taken_at + 2 * again) if self.taken_at >= end else end
        # What dies at its end is believed to, where WeChat says how soon that is.
        left = self._whole if self.grace else self.issued.expires_in
        readable = min(known + self.grace, max(end, self.taken_at + left))
        return Lifetime(end, readable, min(refresh_at, readable), self.before.born_after)

    def _pause(self, end: float) -> float:
        """Return the seconds until it is asked for again: few where it is dead as soon as WeChat's count is over."""
        is_dying = not self.grace and 0 <= self.taken_at - end < _LATENCY * self.second
        return (_LATENCY if is_dying else _AGAIN) * self.second

    @property
    def _whole(self) -> float:
        """A whole life, also where WeChat says what is left of it."""
        return max(self.issued.expires_in, self.life)
