"""Why WeChat is called for a credential: to fetch one, or to probe the one we have. The first cause that holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from tokenworker.credential import Credential
from tokenworker.credentials.kind import Repeat
from tokenworker.credentials.target import Target
from tokenworker.durations import Durations
from tokenworker.store.state import MANY_DEATHS, Lease, Snapshot

#: Tolerance between clocks, in seconds: a retry by Celery's countdown may be early by less, by Redis's clock, and
#: Valkey's own runs ahead by up to a millisecond under load.
SLACK = 0.05


class Cause(StrEnum):
    """Why WeChat is called."""

    FORCED = "forced"
    MISSING = "there is none"
    OVERWRITTEN = "another program wrote under our key"
    DEAD = "WeChat refused it"
    CLOCK = "Redis's clock went back"
    IN_DOUBT = "two fetches overlapped, one lost its answer, or Redis lost what it knew"
    UNRESOLVED = "a fetch ended nobody knows how"
    LATE = "WeChat may have acted late on a fetch that we gave up on"
    STALE = "it runs out soon"
    CHANGED = "its settings changed"
    EARLY = "asked for before its time"
    REJECTED = "a service says that WeChat refused it"
    FAILOVER = "another Redis server took over, and may lack one that came later"
    DOUBTFUL = "nobody knows whether WeChat replaced it"


@dataclass(frozen=True)
class Demand:
    """What somebody asks for: nothing special, or more than what is due."""

    #: The fingerprint of a value that WeChat refused.
    rejected: str | None = None
    early: bool = False
    force: bool = False
    #: Whether a watchdog asks, since nobody else did.
    neglected: bool = False


@dataclass(frozen=True)
class Case:
    """What there is to judge: a credential as it stands in Redis, the rules for it, and who asks for what."""

    snapshot: Snapshot
    target: Target
    demand: Demand
    durations: Durations
    #: The lease that the asker has.
    held: Lease | None = None

    def since(self, moment: float) -> float:
        """Return the seconds since a moment."""
        return since(moment, self.snapshot.now)

    def seconds(self, wechat: float) -> float:
        """Return how many seconds so many of WeChat's seconds last here."""
        return wechat * self.durations.second

    @property
    def live(self) -> Credential | None:
        """The credential that works, as far as is known."""
        return self.snapshot.credential

    @property
    def is_ours(self) -> bool:
        """Whether the one under the key is the one that we committed."""
        return self.live is not None and self.live.fingerprint == self.snapshot.fingerprint

    @property
    def is_dead(self) -> bool:
        """Whether a probe found it dead."""
        return self.snapshot.fingerprint == self.snapshot.probed_dead != ""

    @property
    def is_reported(self) -> bool:
        """Whether a service says that WeChat refused the one that we have."""
        name = self.snapshot.fingerprint
        return self.is_ours and name in (self.demand.rejected, self.snapshot.rejected)

    @cached_property
    def doubt(self) -> Cause | None:
        """Why nobody knows whether ours is the last one that WeChat issued, if so it is."""
        return doubt(self.snapshot, self.durations, self.held)

    @cached_property
    def repeatable_in(self) -> float:
        """Seconds until a fetch does no harm although another one may have replaced what we have.

        A third one ends the first at once, which the second one leaves alive for the overlap: so the third waits
        until the overlap, or the life of ours, is nearly over. What can't be replaced unseen needs no wait.
        """
        if self.live is None or not replaces(self.target):
            return 0.0
        overlap = self.durations.repeat_gap - self.since(doubted_since(self.snapshot))
        return min(overlap, self.live.expires_in(self.snapshot.now) - self.durations.fetch_room)

    @property
    def is_calm(self) -> bool:
        """Whether the last fetch is so long ago that another one can't make a third within the overlap."""
        return self.since(self.snapshot.fetched_at) >= self.durations.overlap

    @property
    def report_cooldown(self) -> float:
        """Seconds for which no report has one fetched that can't be probed; not above 0: a report may."""
        return self.seconds(self.target.kind.report_interval) - self.since(self.snapshot.fetched_at)


def replaces(target: Target) -> bool:
    """Return whether each fetch makes a new one, which ends those before."""
    return target.kind.repeat is Repeat.NEW


def since(moment: float, now: float) -> float:
    """Return the seconds since a moment; one that lies ahead was written before the clock went back."""
    return now - moment if moment <= now + SLACK else float("inf")


# Fetching

Check = Callable[[Case], bool]


def _doubted(cause: Cause) -> Check:
    return lambda it: it.doubt is cause and it.repeatable_in <= 0


def _is_changed(it: Case) -> bool:
    return changed(it.snapshot, it.target) and (it.is_calm or not replaces(it.target))


def _is_reported(it: Case) -> bool:
    """A report is fetched for only where nothing else can tell whether it is right."""
    return it.is_reported and it.target.kind.probe is None and it.report_cooldown <= 0


#: Why one is fetched, the first that holds. One that is in doubt is fetched when that is harmless, and not before.
_FETCH: tuple[tuple[Cause, Check], ...] = (
    (Cause.FORCED, lambda it: it.demand.force and it.since(it.snapshot.forced_at) >= it.durations.force_interval),
    (Cause.DEAD, lambda it: it.live is None and it.is_dead),
    (Cause.MISSING, lambda it: it.live is None),
    (Cause.OVERWRITTEN, lambda it: not it.is_ours),
    (Cause.DEAD, lambda it: it.is_dead),
    (Cause.CLOCK, lambda it: it.snapshot.fetched_at > it.snapshot.now + it.durations.tick),
    (Cause.IN_DOUBT, _doubted(Cause.IN_DOUBT)),
    (Cause.UNRESOLVED, _doubted(Cause.UNRESOLVED)),
    (Cause.LATE, _doubted(Cause.LATE)),
    (Cause.STALE, lambda it: not it.doubt and it.snapshot.now >= it.snapshot.refresh_at),
    (Cause.CHANGED, lambda it: not it.doubt and _is_changed(it)),
    (Cause.EARLY, lambda it: not it.doubt and it.demand.early and it.is_calm),
    (Cause.REJECTED, _is_reported),
)


def why_fetch(case: Case) -> Cause | None:
    """Return why one should be fetched, if it should."""
    return next((cause for cause, holds in _FETCH if holds(case)), None)


def doubt(snapshot: Snapshot, durations: Durations, held: Lease | None = None) -> Cause | None:
    """Return why nobody knows whether ours is the last one that WeChat issued, if so it is."""
    if snapshot.in_doubt is not None:
        return Cause.IN_DOUBT
    if _is_unresolved(snapshot, held):
        return Cause.UNRESOLVED
    if snapshot.in_doubt_until and not doubt_until(snapshot, durations):
        return Cause.LATE
    return None


def doubted_since(snapshot: Snapshot) -> float:
    """Return since when one that we don't know of may have replaced ours."""
    return snapshot.in_doubt_since or snapshot.fetched_at


def doubt_until(snapshot: Snapshot, durations: Durations) -> float:
    """Return until when WeChat may still act on a fetch that we gave up on, or 0; a clock may have lengthened that."""
    left = snapshot.in_doubt_until - snapshot.now
    return snapshot.in_doubt_until if 0 < left <= durations.fetch_timeout + durations.stray + SLACK else 0.0


def _is_unresolved(snapshot: Snapshot, held: Lease | None) -> bool:
    """Return whether the fetch before this one, if any, died with its end unknown."""
    if held:
        return snapshot.resolved != held.fencing - 1
    return snapshot.lease_left is None and snapshot.resolved != snapshot.fencing


def changed(snapshot: Snapshot, target: Target) -> bool:
    """Return whether settings were announced, namely ours, with which no fetch has succeeded yet.

    A worker with other settings does nothing: while new ones are rolled out, two workers would take turns.
    """
    return snapshot.settings_announced == target.settings_digest != snapshot.settings_accepted != ""


# Probing


def why_probe(case: Case) -> tuple[Cause | None, float]:
    """Return why the credential should be probed, if it should, and in how many seconds it may be."""
    if not case.is_ours or case.is_dead or case.target.kind.probe is None:
        return None, float("inf")
    rest = max(0.0, _interval(case) - case.since(case.snapshot.probed_at))
    if case.is_reported and not _was_probed_alive(case):
        return Cause.REJECTED, rest
    if case.doubt:
        return Cause.DOUBTFUL, _until_next_probe(case)
    if case.snapshot.suspected_at:
        return Cause.FAILOVER, max(rest, _until_another_tells(case))
    return None, float("inf")


def _was_probed_alive(it: Case) -> bool:
    """Return whether it was probed and found alive so lately that another report changes nothing."""
    lately = it.since(it.snapshot.probed_at) < it.durations.report_interval
    return it.snapshot.fingerprint == it.snapshot.probed_alive and lately


def _interval(it: Case) -> float:
    """Return the seconds between the last probe and one for a report: 0, unless the last one told us nothing."""
    if contested(it.snapshot, it.durations):
        return it.durations.contested_interval
    told_nothing = it.snapshot.probed == it.snapshot.fingerprint != it.snapshot.probed_alive
    return it.durations.transient_cap if told_nothing else 0.0


def _until_next_probe(it: Case) -> float:
    probed, doubted = it.since(it.snapshot.probed_at), it.since(doubted_since(it.snapshot))
    if it.snapshot.probed != it.snapshot.fingerprint or probed > doubted + SLACK:
        return 0.0
    return max(0.0, it.durations.report_interval - probed)


def _until_another_tells(it: Case) -> float:
    """Return the seconds until a probe tells something: at once, and after the overlap, when one replaced is dead."""
    since_then = it.snapshot.probed_at >= it.snapshot.suspected_at - SLACK
    if since_then and it.snapshot.probed_alive == it.snapshot.fingerprint:
        return max(0.0, it.durations.suspicion - it.since(it.snapshot.suspected_at))
    return 0.0


def may_wait(case: Case, cause: Cause) -> bool:
    """Return whether a fetch may wait until replicas know of it: what we have works, and not only for a moment."""
    calm = cause in (Cause.FORCED, Cause.STALE, Cause.CHANGED, Cause.EARLY)
    # Doubts arise at failovers, just when replicas are few; where ours is dead meanwhile, a probe tells.
    doubtful = cause in (Cause.IN_DOUBT, Cause.UNRESOLVED, Cause.LATE) and case.target.kind.probe is not None
    left = case.live.expires_in(case.snapshot.now) if case.live else 0.0
    return (calm or doubtful) and case.is_ours and left > case.durations.overlap / 2


def contested(snapshot: Snapshot, durations: Durations) -> bool:
    """Return whether so many died early of late that another program must be fetching for this account."""
    lately = since(snapshot.early_deaths_since, snapshot.now) < durations.contest_window
    return lately and snapshot.early_deaths > MANY_DEATHS
