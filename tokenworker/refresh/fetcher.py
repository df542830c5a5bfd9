"""One call to WeChat under a lease: look again, probe or fetch, commit or record the failure."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from tokenworker.credential import Credential, Issued, fingerprint
from tokenworker.credentials.target import Target
from tokenworker.durations import Durations
from tokenworker.errors import DayLimit, FetchError, TokenUnavailable, TransientError
from tokenworker.refresh.attempt import Again, Attempt, Busy, Fetched, Inputs, Refused, Result
from tokenworker.refresh.causes import Case, Demand, may_wait
from tokenworker.refresh.commits import Commits, Pending
from tokenworker.refresh.decide import (
    FORCED_QUOTA,
    Fetch,
    Nothing,
    Probe,
    Wait,
    budget,
    cooldown_after,
    decide,
    foreign,
)
from tokenworker.refresh.events import Asked, failed, refreshed
from tokenworker.refresh.lifetime import lifetime, sure_until
from tokenworker.refresh.prober import Prober
from tokenworker.refresh.turns import Limits, Turns
from tokenworker.secret import Secret
from tokenworker.store.history import Note
from tokenworker.store.records import Begin, Commit
from tokenworker.store.state import Facts
from tokenworker.store.store import Store
from tokenworker.wechat.source import Source

logger = logging.getLogger(__name__)


class Fetcher:
    """Makes calls to WeChat, one for each lease; safe to share between threads."""

    def __init__(
        self,
        store: Store,
        source: Source,
        durations: Durations,
        leeway: float | None = None,
        limits: Callable[[], Limits] = Limits,
    ) -> None:
        self._store = store
        self._records = store.records
        self._source = source
        self._durations = durations
        self._leeway = leeway
        #: To be taken before `act`.
        self.turns = Turns(store.limiter, durations, limits)
        self._prober = Prober(store.records, source, durations)
        self._commits = Commits(store.records, durations)
        self._alone = False

    def act(self, target: Target, demand: Demand, inputs: Inputs, believed: frozenset[str] = frozenset()) -> Result:
        """Make one call to WeChat under a lease, if it is still needed; its turn was taken.

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
        attempt = Attempt(lease, target, snapshot, inputs, demand.neglected)
        if isinstance(decision, Probe):
            return self._prober.probe(attempt, decision.cause)
        if self._is_alone(attempt, demand, decision):
            self._records.release(lease)
            return Wait(decision.cause, self._durations.transient_wait)
        return self._fetch(attempt, decision, believed)

    def _is_alone(self, attempt: Attempt, demand: Demand, decision: Fetch) -> bool:
        """Return whether to wait until replicas know of the lease: a server that takes over must know of our fetch.

        What can't be replaced unseen needs no wait.
        """
        before, self._alone = self._alone, not attempt.lease.replicated
        if self._alone and not before:
            logger.error("no replica of Redis knows what is written there: what can wait is not fetched till one does;"
                         " look at the replicas, or set TOKENWORKER_REPLICAS=0 if there are none")  # fmt: skip
        if before and not self._alone:
            logger.info("a replica of Redis follows again")
        case = Case(attempt.snapshot, attempt.target, demand, self._durations, attempt.lease)
        return self._alone and attempt.kills(force=decision.force) and may_wait(case, decision.cause)

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

    def _fetch(self, attempt: Attempt, decision: Fetch, believed: frozenset[str]) -> Result:
        allowed = self._begin(attempt, force=decision.force)
        if allowed == "lost":
            return Busy()
        if allowed != "ok":
            error = DayLimit(f"the quota has {allowed}", hint="what is left of it is for people")
            raise self._failed(attempt, Asked(decision.cause), error)
        secrets = {name: Secret(credential.value) for name, credential in attempt.inputs.items()}
        kind, account = attempt.target.kind, attempt.target.account
        began = time.monotonic()
        try:
            issued = self._source.fetch(kind, account, secrets, force=decision.force)
        except FetchError as error:
            failure = error
        else:
            return self._accept(attempt, _asked(attempt, decision, began), issued)
        lost = failure.ambiguous and attempt.kills(force=decision.force)
        return self._refuse(attempt, _asked(attempt, decision, began), failure, believed, lost=lost)

    def _begin(self, attempt: Attempt, *, force: bool) -> Begin:
        stray = self._durations.fetch_timeout + self._durations.stray if attempt.kills(force=force) else 0
        fetches, period = budget(attempt.target)
        quota = attempt.target.quota
        budgets = {"budget": fetches, "forced_budget": FORCED_QUOTA, "quota": quota.fetches if quota else 0}
        return self._records.begin(attempt.lease, forced=force, stray=stray, period=period, **budgets)

    def _refuse(
        self, attempt: Attempt, asked: Asked, failure: FetchError, believed: frozenset[str], *, lost: bool
    ) -> Refused:
        """Return which input WeChat refused; any other failure is recorded and raised."""
        refused = attempt.refused_input(failure)
        if refused is None or refused.fingerprint in believed:
            raise self._failed(attempt, asked, failure, lost=lost)
        note = failed(asked, failure)
        words = "%s: WeChat refused the %s that it is made from: %s"
        logger.warning(words, attempt.name, refused.need, failure, extra=attempt.fields(note))
        self._records.release(attempt.lease, note)
        return refused

    def _accept(self, attempt: Attempt, asked: Asked, issued: Issued) -> Result:
        name, before, taken_at = fingerprint(issued.value), attempt.snapshot, attempt.lease.taken_at
        if name == before.probed_dead:
            follows = "a forced refresh follows" if attempt.target.kind.can_force else "it is asked for again"
            failure = TransientError("WeChat hands out again the one that it refuses", hint=follows)
            raise self._failed(attempt, asked, failure, reissued_dead=name)
        life = lifetime(attempt.target, issued, before, taken_at, self._durations, self._leeway)
        facts = attempt.of_success(name, self._durations)
        facts |= {"ends_at": life.ends_at, "born_after": life.born_after}
        facts["sure_until"] = sure_until(attempt.target, life, self._durations)
        died_early = foreign(before, attempt.target, name, asked.cause, self._durations)
        if died_early:
            facts |= attempt.of_death(self._durations)
        credential = Credential(issued.value, life.expires_at)
        note = refreshed(asked, credential, early=died_early)
        done = self._commit(attempt, credential, life.refresh_at, facts, note)
        which = "the same one" if name == before.fingerprint else name
        logger.info(
            "%s: fetched (%s): %s, expires in %.0f s, %s", attempt.name, asked.cause, which, issued.expires_in, done,
            extra=attempt.fields(note, outcome=done),
        )  # fmt: skip
        # Refused: somebody else was at it meanwhile, or the account is gone. The next tick sees what to do.
        ends: dict[Commit, Result] = {"committed": Fetched(credential, before.now), "refused": Busy()}
        return ends.get(done, Again())

    def _commit(self, attempt: Attempt, credential: Credential, refresh_at: float, facts: Facts, note: Note) -> Commit:
        copies = attempt.target.copies(credential, attempt.lease.taken_at)
        # WeChat may act until then on a fetch that we gave up on; so it is due then.
        next_look = min(refresh_at, facts.get("in_doubt_until") or refresh_at)
        pending = Pending(attempt.lease, credential, refresh_at, next_look, tuple(copies), facts, note)
        done = self._commits.commit(pending)
        if done.problem:
            logger.error("%s: a copy can't be written: %s", attempt.name, done.problem, extra=attempt.fields())
        return done.result

    def _failed(
        self, attempt: Attempt, asked: Asked, error: FetchError, *, lost: bool = False, reissued_dead: str = ""
    ) -> FetchError:
        """Record the failure and return it, to be raised."""
        now = attempt.snapshot.now
        error.retry_in = cooldown_after(error, attempt.failures, now, self._durations)
        facts, note = attempt.of_failure(error, lost=lost, reissued_dead=reissued_dead), failed(asked, error)
        self._records.fail(attempt.lease, retry_at=now + error.retry_in, lost=lost, note=note, **facts)
        extra = attempt.fields(note, retry_in=error.retry_in)
        logger.warning("%s: %s; next attempt in %.1f s", attempt.name, error, error.retry_in, extra=extra)
        return error


def _asked(attempt: Attempt, decision: Fetch, began: float) -> Asked:
    return Asked(decision.cause, time.monotonic() - began, attempt.neglected)


def _is_ready(decision: Probe | Fetch, target: Target, inputs: Inputs) -> bool:
    """Return whether there is what a fetch is made from; it was gathered before the lease, if one was due then."""
    return isinstance(decision, Probe) or all(need in inputs for need in target.kind.needs)
