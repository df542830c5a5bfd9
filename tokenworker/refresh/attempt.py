"""One call to WeChat under a lease: what it is for, what may come of it, and what the state then notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenworker.credential import Credential
from tokenworker.credentials import target as target_of
from tokenworker.credentials.target import Target
from tokenworker.durations import Durations
from tokenworker.errors import DayLimit, FetchError, MinuteLimit
from tokenworker.refresh.causes import doubt_until, replaces, since
from tokenworker.refresh.decide import Wait
from tokenworker.store.history import Note
from tokenworker.store.state import Facts, Lease, Snapshot

#: What a fetch is made from, by name.
Inputs = Mapping[str, Credential]


@dataclass(frozen=True)
class Fetched:
    """There is a new credential, and nothing left to do."""

    credential: Credential
    now: float


@dataclass(frozen=True)
class Again:
    """Something was done, or is not needed any more: look again."""


@dataclass(frozen=True)
class Busy:
    """Somebody else is at it."""


@dataclass(frozen=True)
class Refused:
    """WeChat refused what the fetch was made from: the account's other credential of that name and fingerprint."""

    need: str
    fingerprint: str


Result = Fetched | Again | Busy | Wait | Refused


@dataclass(frozen=True)
class Attempt:
    """One call under a lease: for what, as it stood when the lease was taken, and made from what."""

    lease: Lease
    target: Target
    snapshot: Snapshot
    inputs: Inputs
    #: Whether a watchdog makes it, since nobody else did.
    neglected: bool = False

    @property
    def name(self) -> str:
        """What logs call it."""
        return self.target.label

    @property
    def live(self) -> Credential:
        """The one that is probed."""
        if self.snapshot.credential is None:
            raise LookupError("there is none to probe")
        return self.snapshot.credential

    @property
    def failures(self) -> int:
        """How many fetches in a row failed, should this one fail: with these settings, for new ones begin anew."""
        known = self.snapshot.settings_tried == self.target.settings_digest
        return self.snapshot.failures + 1 if known else 1

    def kills(self, *, force: bool) -> bool:
        """Return whether what WeChat may issue ends the one before."""
        return force or replaces(self.target)

    def refused_input(self, error: FetchError) -> Refused | None:
        """Return the input that an error is about, if it is: one of those by which WeChat says that it is dead."""
        for need in self.target.kind.needs:
            if error.errcode in target_of(self.target.account, need).kind.dead:
                return Refused(need, self.inputs[need].fingerprint)
        return None

    def fields(self, note: Note | None = None, **more: Any) -> dict[str, Any]:
        """Return what a line of the log tells machines: the same as the history does."""
        event = note.event if note else None
        return {**self.target.id.fields, **(event or {}), **more}

    # What the state notes

    def of_suspicion(self, durations: Durations) -> Facts:
        """Return what ends a suspicion: one found alive so long after it was replaced by none that Redis lost."""
        suspected_at = self.snapshot.suspected_at
        over = since(suspected_at, self.lease.taken_at) >= durations.suspicion
        return {"suspected_at": 0.0} if suspected_at and over else {}

    def of_death(self, durations: Durations) -> Facts:
        """Return what counts an early death that we did not cause."""
        since = self.snapshot.early_deaths_since
        if 0 <= self.snapshot.now - since < durations.contest_window:
            return {"early_deaths": self.snapshot.early_deaths + 1}
        return {"early_deaths": 1, "early_deaths_since": self.snapshot.now}

    def of_success(self, fingerprint: str, durations: Durations) -> Facts:
        """Return what a commit of the one with this fingerprint notes besides it."""
        digest = self.target.settings_digest
        facts: Facts = {
            "settings_tried": digest,
            "settings_accepted": digest,
            "publish_digest": self.target.publish_digest,
            "in_doubt_until": doubt_until(self.snapshot, durations),
        }
        if self.target.kind.probe is None:
            # Nothing else answers a report: WeChat has handed it out just now.
            until = self.lease.taken_at + self.target.kind.report_interval * durations.second
            facts |= {"rejected": "", "probed_alive": fingerprint, "trusted_until": until}
        return facts

    def of_failure(self, error: FetchError, *, lost: bool, reissued_dead: str) -> Facts:
        """Return what a failure notes; `lost` means that WeChat may have issued something that we never saw."""
        facts: Facts = {
            "failures": self.failures,
            "error": error.reason,
            "errcode": error.errcode,
            "hint": error.hint,
            "settings_tried": self.target.settings_digest,
            "reissued_dead": reissued_dead,
            "limited": int(isinstance(error, DayLimit | MinuteLimit)),
        }
        if not lost:
            # WeChat may act late on a fetch that is lost, but not on one that it answered.
            before = self.snapshot
            facts |= {"in_doubt_until": before.in_doubt_until, "in_doubt_since": before.in_doubt_since}
        return facts
