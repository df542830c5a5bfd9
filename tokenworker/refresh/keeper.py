"""The keeper of credentials: look, lease (which looks again), fetch, commit.

Only who holds the lease calls WeChat, once for each lease. The old one stays where it is until the new one takes its
place. What to do rests on what Redis says at that moment and on Redis's clock, never on the message that asked: so
lost, late and doubled messages do no harm. What a fetch is made from is gathered before the lease, so that no lease
ever waits for another.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Literal

from tokenworker.credential import Credential
from tokenworker.credentials import target as target_of
from tokenworker.credentials.target import Target
from tokenworker.durations import Durations
from tokenworker.errors import FetchError, TokenUnavailable, UnknownAccount
from tokenworker.refresh.attempt import Busy, Fetched, Refused, Result as Done
from tokenworker.refresh.causes import Demand
from tokenworker.refresh.decide import Decision, Fetch, Nothing, Probe, Wait, decide, next_look, usable
from tokenworker.refresh.fetcher import Fetcher
from tokenworker.store.state import Snapshot
from tokenworker.store.store import Store

logger = logging.getLogger(__name__)

Result = Literal["refreshed", "fresh", "busy", "waiting"]

_REASONS = {
    "refreshed": "it expired at once",
    "fresh": "it expired just now",
    "busy": "a fetch is under way and did not end in time",
    "waiting": "WeChat refused it, and it is too early to look into that again",
}

#: One refresh makes at most so many calls: a probe, a fetch, and one that heals; for what is made from others, a
#: fetch whose input was refused.
_ROUNDS = 4


@dataclass(frozen=True)
class Outcome:
    """How a refresh went.

    `refreshed`: there is a new one. `fresh`: nothing to do. `busy`: somebody else is at it. `waiting`: the
    last fetch failed, and the next one is `retry_in` seconds away. `expires_in` and `credential` are those of the live
    one, or None without one.
    """

    result: Result
    expires_in: float | None
    retry_in: float = 0.0
    credential: Credential | None = None


class Keeper:
    """Keeps credentials fresh; safe to share between threads, processes and hosts."""

    def __init__(self, store: Store, fetcher: Fetcher, durations: Durations) -> None:
        self._records = store.records
        self._schedule = store.schedule
        self._fetcher = fetcher
        self._durations = durations

    def refresh(self, target: Target, demand: Demand | None = None) -> Outcome:
        """Fetch if that is due, or if `demand` asks for it.

        Raises `FetchError`, with `retry_in` set, when WeChat gives none; `TokenUnavailable` when what it is made from
        can't be had; `UnknownAccount` when it was taken out of the accounts; and `StoreUnavailable`.
        """
        wanted = demand or Demand()
        if wanted.rejected:
            # The report is noted first, so that it is not forgotten, whatever happens to us or to whoever is at it.
            self._records.reject(target.id, wanted.rejected)
        before = snapshot = self._records.look(target.id)
        if snapshot.publish_digest != target.publish_digest:
            self.publish(target, snapshot)
        believed: frozenset[str] = frozenset()
        for _ in range(_ROUNDS):
            decision = self._decide(target, snapshot, wanted)
            if isinstance(decision, Nothing):
                self._plan(target, snapshot)
                return _outcome(snapshot, "fresh" if snapshot.fingerprint == before.fingerprint else "refreshed")
            done = self._do(decision, target, snapshot, wanted, believed)
            if isinstance(done, Fetched | Busy | Wait):
                return self._end(snapshot, done)
            if isinstance(done, Refused):
                self._report_input(target, done)
                believed |= {done.fingerprint}
            wanted = Demand(rejected=wanted.rejected)
            snapshot = self._records.look(target.id)
        return _outcome(snapshot, "busy")

    def _decide(self, target: Target, snapshot: Snapshot, demand: Demand) -> Decision:
        if snapshot.removed:
            raise UnknownAccount(f"{target.account.id} was taken out of the accounts just now", target.account.id)
        return decide(snapshot, target, demand, self._durations)

    def _do(
        self,
        decision: Wait | Probe | Fetch,
        target: Target,
        snapshot: Snapshot,
        demand: Demand,
        believed: frozenset[str],
    ) -> Done:
        """Make one call to WeChat when its turn comes; who then finds that nothing is to be done loses the turn."""
        if isinstance(decision, Wait):
            return decision
        if self._is_held(snapshot):
            return Busy()  # and no turn is wasted on it
        inputs = self._gather(target) if isinstance(decision, Fetch) else {}
        room = self._fetcher.turns.take(target.id)
        if room.is_taken:
            return Busy()
        if room.wait:
            return Wait(decision.cause, room.wait)
        return self._fetcher.act(target, demand, inputs, believed)

    def _is_held(self, snapshot: Snapshot) -> bool:
        """Return whether somebody is at it; a lease longer than any of ours comes from a clock that went back."""
        return snapshot.lease_left is not None and snapshot.lease_left <= self._durations.lease + 1

    def _end(self, snapshot: Snapshot, done: Fetched | Busy | Wait) -> Outcome:
        if isinstance(done, Fetched):
            return Outcome("refreshed", done.credential.expires_in(done.now), credential=done.credential)
        return self._wait(snapshot, done.seconds) if isinstance(done, Wait) else _outcome(snapshot, "busy")

    def get(self, target: Target, rejected: str | None = None) -> tuple[Credential, float]:
        """Return a live one and now, fetching first when there is none, or when `rejected` names it.

        Its end is the one until which the caller may keep it.
        Raises `TokenUnavailable` when none can be had, at the latest after the time of two fetches.
        """
        deadline = time.monotonic() + 2 * self._durations.fetch_timeout
        pause = 0.01
        while True:
            snapshot = self._records.look(target.id)
            found = snapshot.sure(self._durations.overlap)
            if found and usable(snapshot, rejected):
                return found, snapshot.now
            outcome = self._try_refresh(target, Demand(rejected=rejected))
            snapshot = self._records.look(target.id)
            found = snapshot.sure(self._durations.overlap)
            # What can't be probed was handed out by WeChat less than a minute ago, and that is all that can be told.
            rests = outcome.result == "waiting" and target.kind.probe is None and not snapshot.error
            if found and (rests or outcome.result in ("refreshed", "fresh")):
                return found, snapshot.now
            if _is_hopeless(snapshot, outcome, deadline) or time.monotonic() > deadline:
                raise _unavailable(snapshot, outcome)
            # Watch the value, not the lease: whoever holds that may be dead.
            time.sleep(pause)
            pause = min(0.2, pause * 1.5)

    def publish(self, target: Target, snapshot: Snapshot) -> None:
        """Write the published copies of a credential that works once more, without a fetch."""
        credential = snapshot.credential
        if credential is None or not usable(snapshot, None):
            return
        copies = target.copies(credential, snapshot.fetched_at)
        problem = self._records.publish(target.id, credential, copies, target.publish_digest)
        if problem and problem != snapshot.publish_error:
            logger.error("%s: a copy can't be written: %s", target.label, problem, extra=target.id.fields)

    # What a fetch is made from

    def _gather(self, target: Target) -> dict[str, Credential]:
        """Return what a fetch is made from, by name."""
        try:
            return {need: self.get(target_of(target.account, need))[0] for need in target.kind.needs}
        except TokenUnavailable as error:
            self._fetcher.note_lack(target, error)
            raise

    def _report_input(self, target: Target, refused: Refused) -> None:
        """Report what WeChat refused: it is probed, and replaced if it is dead."""
        self._try_refresh(target_of(target.account, refused.need), Demand(rejected=refused.fingerprint))

    def _try_refresh(self, target: Target, demand: Demand) -> Outcome:
        try:
            return self.refresh(target, demand)
        except FetchError as error:
            retry_in = error.retry_in or 0.0
        return Outcome("waiting", None, retry_in)

    # When it is due next

    def _plan(self, target: Target, snapshot: Snapshot) -> None:
        """Set when it is due next, which is sooner when something came since our look."""
        planned = next_look(snapshot, target, self._durations)
        self._schedule.set(target.id, planned)
        # A report made the credential due at once, for example, and we have just undone that.
        again = next_look(self._records.look(target.id), target, self._durations)
        if again < planned:
            self._schedule.set(target.id, again)

    def _wait(self, snapshot: Snapshot, seconds: float) -> Outcome:
        """Have it due in so many seconds."""
        self._schedule.set(snapshot.id, snapshot.now + seconds)
        return _outcome(snapshot, "waiting", seconds)


def _is_hopeless(snapshot: Snapshot, outcome: Outcome, deadline: float) -> bool:
    """Return whether waiting on brings nothing: the last fetch failed, or the next one comes too late."""
    if outcome.result == "waiting" and snapshot.error:
        return True
    return time.monotonic() + outcome.retry_in >= deadline


def _outcome(snapshot: Snapshot, result: Result, wait: float = 0.0) -> Outcome:
    live = snapshot.credential
    return Outcome(result, live.expires_in(snapshot.now) if live else None, wait, live)


def _unavailable(snapshot: Snapshot, outcome: Outcome) -> TokenUnavailable:
    return TokenUnavailable(
        snapshot.error or _REASONS[outcome.result],
        snapshot.id.account,
        snapshot.errcode,
        snapshot.hint,
        snapshot.failed_at or None,
        outcome.retry_in or None,
        credential=snapshot.id.name,
    )
