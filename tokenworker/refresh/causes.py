"""Why WeChat is called for an account: to fetch a token, or to test the one we have. The first cause that holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tokenworker.accounts.account import Account
from tokenworker.credential import Credential
from tokenworker.durations import Durations
from tokenworker.store.records import Lease, Snapshot

#: Celery's countdown and Redis's clock may differ by so many seconds; a retry that is early by less is in time. And
#: Valkey's clock, which runs ahead by up to a millisecond under load, did not go back.
SLACK = 0.05
#: More early deaths than this within an hour are no accident.
_DEATHS = 3


class Cause(StrEnum):
    """Why WeChat is called."""

    FORCED = "forced"
    MISSING = "there is no token"
    OVERWRITTEN = "another program wrote a token under our key"
    DEAD = "WeChat refused the token"
    CLOCK = "Redis's clock went back"
    IN_DOUBT = "two fetches overlapped, one lost its answer, or Redis lost what it knew"
    UNRESOLVED = "a fetch ended nobody knows how"
    LATE = "WeChat may have acted late on a fetch that we gave up on"
    STALE = "it runs out soon"
    CHANGED = "its settings changed"
    EARLY = "asked for before its time"
    REJECTED = "a service says that WeChat refused the token"
    DOUBTFUL = "nobody knows whether WeChat replaced the token"


@dataclass(frozen=True)
class Demand:
    """What somebody asks for: nothing special, or more than what is due."""

    #: The fingerprint of a token that WeChat refused.
    rejected: str | None = None
    early: bool = False
    force: bool = False


def replaces(account: Account) -> bool:
    """Say whether each fetch makes a new token, which ends those before; stable_token shows the same one again."""
    return account.endpoint == "token"


def since(moment: float, now: float) -> float:
    """Count the seconds since a moment; one that lies ahead was written before the clock went back."""
    return now - moment if moment <= now + SLACK else float("inf")


# Fetching


def why_fetch(
    snapshot: Snapshot, account: Account, demand: Demand, durations: Durations, held: Lease | None = None
) -> Cause | None:
    """Say why a token should be fetched, or None; `held` is the lease that the asker has."""
    if demand.force and since(snapshot.forced_at, snapshot.now) >= durations.force_interval:
        return Cause.FORCED
    token = snapshot.token
    if token is None:
        return Cause.DEAD if snapshot.probed_dead and snapshot.probed_dead == snapshot.fingerprint else Cause.MISSING
    broken = _for_the_token(snapshot, token, durations)
    return broken or _for_its_time(snapshot, token, account, demand, durations, held)


def _for_the_token(snapshot: Snapshot, token: Credential, durations: Durations) -> Cause | None:
    if token.fingerprint != snapshot.fingerprint:
        return Cause.OVERWRITTEN
    if token.fingerprint == snapshot.probed_dead:
        return Cause.DEAD
    return Cause.CLOCK if snapshot.fetched_at > snapshot.now + durations.tick else None


def _for_its_time(
    snapshot: Snapshot, token: Credential, account: Account, demand: Demand, durations: Durations, held: Lease | None
) -> Cause | None:
    doubt = doubts(snapshot, durations, held)
    if doubt:
        return doubt if repeatable_in(snapshot, token, account, durations) <= 0 else None
    if snapshot.now >= snapshot.refresh_at:
        return Cause.STALE
    # A third token within the overlap may kill the first while readers still hold it.
    calm = since(snapshot.fetched_at, snapshot.now) >= durations.overlap
    if changed(snapshot, account) and (calm or not replaces(account)):
        return Cause.CHANGED
    return Cause.EARLY if demand.early and calm else None


def doubts(snapshot: Snapshot, durations: Durations, held: Lease | None = None) -> Cause | None:
    """Say why nobody knows whether our token is the last one that WeChat issued, if so it is."""
    if snapshot.in_doubt is not None:
        return Cause.IN_DOUBT
    if _unresolved(snapshot, held):
        return Cause.UNRESOLVED
    if snapshot.in_doubt_until and not doubt_until(snapshot, durations):
        return Cause.LATE
    return None


def doubted_since(snapshot: Snapshot) -> float:
    """Say since when a token that we don't know of may have replaced ours."""
    return snapshot.in_doubt_since or snapshot.fetched_at


def repeatable_in(snapshot: Snapshot, token: Credential, account: Account, durations: Durations) -> float:
    """Say in how many seconds a fetch does no harm although another one may have replaced the token that we have.

    A third token ends the first at once, which the second one leaves alive for the overlap: so the third waits
    until the overlap, or the token's own life, is nearly over. A token that can't be replaced unseen needs no wait.
    """
    if not replaces(account):
        return 0.0
    overlap = durations.repeat_gap - since(doubted_since(snapshot), snapshot.now)
    return min(overlap, token.expires_in(snapshot.now) - durations.fetch_room)


def doubt_until(snapshot: Snapshot, durations: Durations) -> float:
    """Say until when WeChat may still act on a fetch that we gave up on, or 0; a clock may have lengthened that."""
    left = snapshot.in_doubt_until - snapshot.now
    return snapshot.in_doubt_until if 0 < left <= durations.fetch_timeout + durations.stray + SLACK else 0.0


def _unresolved(snapshot: Snapshot, held: Lease | None) -> bool:
    """Say whether the fetch before this one, if any, died with its end unknown."""
    if held:
        return snapshot.resolved != held.fencing - 1
    return snapshot.lease_left is None and snapshot.resolved != snapshot.fencing


def changed(snapshot: Snapshot, account: Account) -> bool:
    """Say whether settings were announced, namely ours, that no fetch has proved yet.

    Who was told of other settings keeps still: while new ones are rolled out, two workers would take turns.
    """
    return snapshot.settings_announced == account.settings_digest != snapshot.settings_accepted != ""


# Testing


def why_probe(
    snapshot: Snapshot, demand: Demand, durations: Durations, held: Lease | None = None
) -> tuple[Cause | None, float]:
    """Say why the token should be tested, or None, and in how many seconds it may be."""
    token = snapshot.token
    if token is None or token.fingerprint != snapshot.fingerprint or token.fingerprint == snapshot.probed_dead:
        return None, float("inf")
    reported = token.fingerprint in (demand.rejected, snapshot.rejected)
    if reported and not _proven(snapshot, token, durations):
        return Cause.REJECTED, max(0.0, _interval(snapshot, token, durations) - since(snapshot.probed_at, snapshot.now))
    if doubts(snapshot, durations, held):
        return Cause.DOUBTFUL, _until_next_test(snapshot, token, durations)
    return None, float("inf")


def _proven(snapshot: Snapshot, token: Credential, durations: Durations) -> bool:
    """Say whether the token was tested and found good so lately that another report changes nothing."""
    lately = since(snapshot.probed_at, snapshot.now) < durations.report_interval
    return token.fingerprint == snapshot.probed_alive and lately


def _interval(snapshot: Snapshot, token: Credential, durations: Durations) -> float:
    """Say how long after the last test a reported token is tested: at once, unless that test told us nothing."""
    if contested(snapshot, durations):
        return durations.contested_interval
    return durations.transient_cap if snapshot.probed == token.fingerprint != snapshot.probed_alive else 0.0


def _until_next_test(snapshot: Snapshot, token: Credential, durations: Durations) -> float:
    tested, doubted = since(snapshot.probed_at, snapshot.now), since(doubted_since(snapshot), snapshot.now)
    if snapshot.probed != token.fingerprint or tested > doubted + SLACK:
        return 0.0
    return max(0.0, durations.report_interval - tested)


def contested(snapshot: Snapshot, durations: Durations) -> bool:
    """Say whether so many tokens died early of late that another program must be fetching for this account."""
    return (
        snapshot.early_deaths > _DEATHS and since(snapshot.early_deaths_since, snapshot.now) < durations.contest_window
    )
