"""One call to WeChat under a lease: look again, probe or fetch, commit or record the failure."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tokenworker.credential import Credential, Issued, fingerprint
from tokenworker.credentials import target as target_of
from tokenworker.credentials.target import Target
from tokenworker.durations import Durations
from tokenworker.errors import DayLimit, FetchError, MinuteLimit, StoreUnavailable, TokenUnavailable, TransientError
from tokenworker.refresh.causes import Cause, Demand, doubt, doubt_until, replaces
from tokenworker.refresh.decide import FORCED_QUOTA, Fetch, Nothing, Probe, Wait, budget, decide, foreign, wait_after
from tokenworker.refresh.lifetime import lifetime
from tokenworker.secret import Secret
from tokenworker.store.records import Begin, Commit
from tokenworker.store.state import Facts, Lease, Snapshot
from tokenworker.store.store import Store
from tokenworker.wechat.source import Source

logger = logging.getLogger(__name__)

#: What a fetch is made from, by name.
Inputs = Mapping[str, Credential]


@dataclass(frozen=True)
class Limits:
    """How many calls to WeChat all workers together may begin a second, and have under way at once.

    One that must wait is made after up to `patience` seconds, or else left for later.
    """

    rate: float = 20.0
    concurrency: int = 8
    patience: float = 1.0


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


class Fetcher:
    """Makes calls to WeChat, one for each lease; safe to share between threads."""

    def __init__(
        self,
        store: Store,
        source: Source,
        durations: Durations,
        leeway: float | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._store = store
        self._records = store.records
        self._source = source
        self._durations = durations
        self._leeway = leeway
        self._limits = limits or Limits()

    def act(self, target: Target, demand: Demand, inputs: Inputs, believed: frozenset[str] = frozenset()) -> Result:
        """Make one call to WeChat under a lease, if it is still needed.

        `inputs` holds what a fetch is made from. When WeChat refuses one of them, that is no failure of ours, unless
        its fingerprint is among the `believed`, which were looked into.
        Raises `FetchError`, with `retry_in` set, and `StoreUnavailable`.
        """
        taken = self._records.lease(target.id, self._durations.lease)
        if taken is None:
            return Busy()
        lease, snapshot = taken
        # Somebody may have refreshed between the asker's look and our lease.
        decision = decide(snapshot, target, demand, self._durations, lease)
        if isinstance(decision, Nothing | Wait) or not _is_ready(decision, target, inputs):
            self._records.release(lease)
            return decision if isinstance(decision, Wait) else Again()
        wait = self._await_room(lease)
        if wait:
            self._records.release(lease)
            return Wait(decision.cause, wait)
        attempt = Attempt(lease, target, snapshot, inputs)
        if isinstance(decision, Probe):
            return self._probe(attempt, decision.cause)
        return self._fetch(attempt, decision, believed)

    def note_lack(self, target: Target, error: TokenUnavailable) -> None:
        """Note why what a fetch is made from can't be had: who asks for the credential itself must learn that.

        Until the next attempt nobody else tries. It comes soon: what is lacking may be back long before its own.
        """
        taken = self._records.lease(target.id, self._durations.lease)
        if taken is None:
            return
        lease, snapshot = taken
        wait = min(error.retry_in or self._durations.transient_cap, self._durations.grace)
        reason = f"what it is made from can't be had: {error.reason}"
        facts: Facts = {"error": reason, "errcode": error.errcode, "hint": error.hint}
        facts |= {"settings_tried": target.settings_digest, "limited": 0}
        self._records.fail(lease, retry_at=snapshot.now + wait, **facts)

    def _await_room(self, lease: Lease) -> float:
        """Wait for our turn, if it comes soon; return 0, or how many seconds it is away."""
        deadline = time.monotonic() + self._limits.patience
        while True:
            wait = self._acquire(lease)
            if wait == 0 or time.monotonic() + wait > deadline:
                return wait
            time.sleep(wait)

    def _acquire(self, lease: Lease) -> float:
        rate, concurrency = self._limits.rate, self._limits.concurrency
        seconds = self._durations.lease
        try:
            return self._store.limiter.acquire(lease.id, rate=rate, concurrency=concurrency, seconds=seconds)
        except StoreUnavailable:
            self._records.release(lease)  # or else all would hear that somebody is at it
            raise

    # Probing

    def _probe(self, attempt: Attempt, cause: Cause) -> Again:
        """Probe one before anything is done to it: reports may be late, wrong or hostile, doubts unfounded."""
        live = attempt.live
        facts: Facts = {"probed": live.fingerprint, "probed_at": attempt.lease.taken_at}
        try:
            alive = self._source.is_alive(attempt.target.kind, Secret(live.value))
        except FetchError as error:
            failure = error
        else:
            self._judge(attempt, cause, facts, alive=alive)
            return Again()
        failure.retry_in = self._durations.transient_cap
        facts["probe_error"] = failure.reason
        self._records.release(attempt.lease, **facts)
        logger.warning("%s: %s can't be probed (%s): %s", attempt.name, live.fingerprint, cause, failure)
        raise failure

    def _judge(self, attempt: Attempt, cause: Cause, facts: Facts, *, alive: bool) -> None:
        live = attempt.live
        verdict = "works and stays" if alive else "is dead and withheld"
        logger.warning("%s: %s was probed (%s): it %s", attempt.name, live.fingerprint, cause, verdict)
        facts |= {"rejected": "", "probe_error": ""}
        if alive:
            facts["probed_alive"] = live.fingerprint
            self._records.release(attempt.lease, **facts)
        else:
            facts |= self._early_death(attempt, cause)
            self._records.withhold(attempt.lease, live, **facts)

    def _early_death(self, attempt: Attempt, cause: Cause) -> Facts:
        """Complain of one that died before its time, unless it may have been us who ended it."""
        if cause is Cause.DOUBTFUL or doubt(attempt.snapshot, self._durations, attempt.lease):
            return {}
        left = attempt.live.expires_in(attempt.snapshot.now)
        logger.error(
            "another program fetches tokens for %s, or somebody reset its secret: %s died %.0f min before its time",
            attempt.name, attempt.live.fingerprint, left / 60,
        )  # fmt: skip
        return self._death(attempt.snapshot)

    def _death(self, snapshot: Snapshot) -> Facts:
        """Count an early death that we did not cause."""
        if 0 <= snapshot.now - snapshot.early_deaths_since < self._durations.contest_window:
            return {"early_deaths": snapshot.early_deaths + 1}
        return {"early_deaths": 1, "early_deaths_since": snapshot.now}

    # Fetching

    def _fetch(self, attempt: Attempt, decision: Fetch, believed: frozenset[str]) -> Result:
        allowed = self._begin(attempt, force=decision.force)
        if allowed == "lost":
            return Busy()
        if allowed != "ok":
            error = DayLimit(f"the quota has {allowed}", hint="what is left of it is for people")
            raise self._failed(attempt, error)
        secrets = {name: Secret(credential.value) for name, credential in attempt.inputs.items()}
        kind, account = attempt.target.kind, attempt.target.account
        try:
            issued = self._source.fetch(kind, account, secrets, force=decision.force)
        except FetchError as error:
            failure = error
        else:
            return self._accept(attempt, decision.cause, issued)
        return self._refuse(attempt, failure, believed, lost=failure.ambiguous and self._kills(attempt, decision))

    def _begin(self, attempt: Attempt, *, force: bool) -> Begin:
        kills = force or replaces(attempt.target)
        stray = self._durations.fetch_timeout + self._durations.stray if kills else 0
        fetches, period = budget(attempt.target)
        budgets = {"budget": fetches, "forced_budget": FORCED_QUOTA}
        return self._records.begin(attempt.lease, forced=force, stray=stray, period=period, **budgets)

    def _kills(self, attempt: Attempt, decision: Fetch) -> bool:
        """Return whether what WeChat may have issued ends the one before."""
        return decision.force or replaces(attempt.target)

    def _refuse(self, attempt: Attempt, failure: FetchError, believed: frozenset[str], *, lost: bool) -> Refused:
        """Tell a refusal of an input from a failure of ours, which is raised."""
        refused = attempt.refused_input(failure)
        if refused is None or refused.fingerprint in believed:
            raise self._failed(attempt, failure, lost=lost)
        logger.warning("%s: WeChat refused the %s that it is made from: %s", attempt.name, refused.need, failure)
        self._records.release(attempt.lease)
        return refused

    def _accept(self, attempt: Attempt, cause: Cause, issued: Issued) -> Result:
        name, before, taken_at = fingerprint(issued.value), attempt.snapshot, attempt.lease.taken_at
        if name == before.probed_dead:
            follows = "a forced refresh follows" if attempt.target.kind.can_force else "it is asked for again"
            failure = TransientError("WeChat hands out again the one that it refuses", hint=follows)
            raise self._failed(attempt, failure, reissued_dead=name)
        life = lifetime(attempt.target, issued, before, taken_at, self._durations, self._leeway)
        facts = self._facts(attempt, name)
        facts |= {"ends_at": life.ends_at, "born_after": life.born_after}
        if foreign(before, attempt.target, name, cause, self._durations):
            facts |= self._death(before)
        credential = Credential(issued.value, life.expires_at)
        done = self._commit(attempt, credential, life.refresh_at, facts)
        which = "the same one" if name == before.fingerprint else name
        logger.info(
            "%s: fetched (%s): %s, expires in %.0f s, %s", attempt.name, cause, which, issued.expires_in, done,
            extra={"credential": str(attempt.target.id), "cause": cause.name, "fingerprint": name, "commit": done},
        )  # fmt: skip
        # Refused: somebody else was at it meanwhile, or the account is gone; what to do now, the next tick sees.
        ends: dict[Commit, Result] = {"committed": Fetched(credential, before.now), "refused": Busy()}
        return ends.get(done, Again())

    def _facts(self, attempt: Attempt, name: str) -> Facts:
        """Return what a commit of the one with this fingerprint notes besides it."""
        digest = attempt.target.settings_digest
        facts: Facts = {
            "settings_tried": digest,
            "settings_accepted": digest,
            "publish_digest": attempt.target.publish_digest,
            "in_doubt_until": doubt_until(attempt.snapshot, self._durations),
        }
        if attempt.target.kind.probe is None:
            # That WeChat handed it out is all that can be told to who reported it.
            facts |= {"rejected": "", "probed_alive": name, "probed_at": attempt.lease.taken_at}
        return facts

    def _commit(self, attempt: Attempt, credential: Credential, refresh_at: float, facts: Facts) -> Commit:
        """Commit, and try again while Redis is away and the lease may live: what we have in hand is the only one."""
        deadline = time.monotonic() + self._durations.lease - self._durations.fetch_timeout
        pause = self._durations.transient_wait / 10
        copies = attempt.target.copies(credential, attempt.lease.taken_at)
        # A fetch that we gave up on may be acted upon until then, and that must be seen.
        next_look = min(refresh_at, facts.get("in_doubt_until") or refresh_at)
        while True:
            try:
                done, problem = self._records.commit(
                    attempt.lease, credential, refresh_at=refresh_at, next_look=next_look, copies=copies, **facts
                )
                break
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, self._durations.transient_wait)
        if problem:
            logger.error("%s: a copy can't be written: %s", attempt.name, problem)
        return done

    def _failed(
        self, attempt: Attempt, error: FetchError, *, lost: bool = False, reissued_dead: str = ""
    ) -> FetchError:
        """Record the failure and return it, to be raised."""
        snapshot, digest = attempt.snapshot, attempt.target.settings_digest
        failures = snapshot.failures + 1 if snapshot.settings_tried == digest else 1
        error.retry_in = wait_after(error, failures, snapshot.now, self._durations)
        facts: Facts = {
            "failures": failures,
            "error": error.reason,
            "errcode": error.errcode,
            "hint": error.hint,
            "settings_tried": digest,
            "reissued_dead": reissued_dead,
            "limited": int(isinstance(error, DayLimit | MinuteLimit)),
        }
        if not lost:
            # What is lost may be acted upon late; of what WeChat answered nothing more will come.
            facts |= {"in_doubt_until": snapshot.in_doubt_until, "in_doubt_since": snapshot.in_doubt_since}
        self._records.fail(attempt.lease, retry_at=snapshot.now + error.retry_in, lost=lost, **facts)
        logger.warning("%s: %s; next attempt in %.1f s", attempt.name, error, error.retry_in)
        return error


@dataclass(frozen=True)
class Attempt:
    """One call under a lease: for what, as it stood when the lease was taken, and made from what."""

    lease: Lease
    target: Target
    snapshot: Snapshot
    inputs: Inputs

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

    def refused_input(self, error: FetchError) -> Refused | None:
        """Return the input that an error is about, if it is: one of those by which WeChat says that it is dead."""
        for need in self.target.kind.needs:
            if error.errcode in target_of(self.target.account, need).kind.dead:
                return Refused(need, self.inputs[need].fingerprint)
        return None


def _is_ready(decision: Probe | Fetch, target: Target, inputs: Inputs) -> bool:
    """Return whether there is what a fetch is made from; it was gathered before the lease, if one was due then."""
    return isinstance(decision, Probe) or all(need in inputs for need in target.kind.needs)
