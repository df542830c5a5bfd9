"""One call to WeChat under a lease: look again, test or fetch, commit or record the failure."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from tokenworker.accounts.account import Account
from tokenworker.credential import Credential, Issued
from tokenworker.durations import Durations
from tokenworker.errors import DayLimit, FetchError, MinuteLimit, StoreUnavailable, TransientError
from tokenworker.refresh.causes import Cause, Demand, doubt_until, doubts, replaces
from tokenworker.refresh.decide import (
    FORCED_QUOTA,
    Fetch,
    Nothing,
    Probe,
    Wait,
    budget,
    decide,
    foreign,
    refresh_at,
    wait_after,
)
from tokenworker.secret import Secret
from tokenworker.store.records import Begin, Commit, Lease, Snapshot, TokenStore
from tokenworker.wechat.api import Source

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How many calls to WeChat all workers together may begin a second, and have under way at once.

    One that must wait is made after up to `patience` seconds, or else left for later.
    """

    rate: float = 20.0
    concurrency: int = 8
    patience: float = 1.0


class Fetcher:
    """Makes calls to WeChat, one for each lease; safe to share between threads."""

    def __init__(
        self,
        store: TokenStore,
        source: Source,
        durations: Durations,
        leeway: float | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._store = store
        self._source = source
        self._durations = durations
        self._leeway = leeway
        self._limits = limits or Limits()

    def make(self, account: Account, demand: Demand) -> float | None:
        """Make one call to WeChat under a lease; None when somebody else holds it, or the seconds to wait first.

        Raises `FetchError`, with `retry_in` set, and `StoreUnavailable`.
        """
        lease = self._store.take_lease(account.appid, self._durations.lease)
        if lease is None:
            return None
        # Somebody may have refreshed between our look and our lease.
        snapshot = self._store.look(account.appid)
        decision = decide(snapshot, account, demand, self._durations, lease)
        if isinstance(decision, Nothing | Wait):
            self._store.release(lease)
            return decision.seconds if isinstance(decision, Wait) else 0.0
        wait = self._admit(lease)
        if wait:
            self._store.release(lease)
            return wait
        try:
            return self._act(lease, account, snapshot, decision)
        finally:
            self._store.leave(account.appid)

    def _admit(self, lease: Lease) -> float:
        """Wait for our turn, if it comes soon; return 0, or how many seconds it is away."""
        deadline = time.monotonic() + self._limits.patience
        while True:
            wait = self._ask_for_room(lease)
            if wait == 0 or time.monotonic() + wait > deadline:
                return wait
            time.sleep(wait)

    def _ask_for_room(self, lease: Lease) -> float:
        rate, concurrency = self._limits.rate, self._limits.concurrency
        try:
            return self._store.admit(lease.appid, rate=rate, concurrency=concurrency, seconds=self._durations.lease)
        except StoreUnavailable:
            self._store.release(lease)  # or else all would hear that somebody is at it
            raise

    def _act(self, lease: Lease, account: Account, snapshot: Snapshot, decision: Probe | Fetch) -> float | None:
        if isinstance(decision, Fetch):
            return self._fetch(lease, account, snapshot, decision)
        if snapshot.token:
            self._probe(lease, snapshot, snapshot.token, decision.cause)
        return 0.0

    def _probe(self, lease: Lease, snapshot: Snapshot, token: Credential, cause: Cause) -> None:
        """Test a token before anything is done to it: reports may be late, wrong or hostile, doubts unfounded."""
        tested = {"probed": token.fingerprint, "probed_at": f"{lease.taken_at:.3f}"}
        try:
            alive = self._source.is_alive(Secret(token.access_token))
        except FetchError as error:
            failure = error
        else:
            verdict = "works and stays" if alive else "is dead and withheld"
            logger.warning("%s: token %s was tested (%s): it %s", lease.appid, token.fingerprint, cause, verdict)
            facts = {**tested, "rejected": "", "probe_error": ""}
            if alive:
                self._store.release(lease, **facts, probed_alive=token.fingerprint)
            else:
                self._store.withhold(lease, token, **facts, **self._early_death(lease, snapshot, token, cause))
            return
        failure.retry_in = self._durations.transient_cap
        self._store.release(lease, **tested, probe_error=failure.reason)
        logger.warning("%s: token %s can't be tested (%s): %s", lease.appid, token.fingerprint, cause, failure)
        raise failure

    def _early_death(self, lease: Lease, snapshot: Snapshot, token: Credential, cause: Cause) -> dict[str, object]:
        """Complain of a token that died before its time, unless it may have been us who ended it."""
        if cause is Cause.DOUBTFUL or doubts(snapshot, self._durations, lease):
            return {}
        left = token.expires_in(snapshot.now)
        logger.error(
            "another program fetches tokens for %s, or somebody reset its secret: token %s died %.0f min before its"
            " time", snapshot.appid, token.fingerprint, left / 60,
        )  # fmt: skip
        return self._death(snapshot)

    def _death(self, snapshot: Snapshot) -> dict[str, object]:
        """Count an early death that we did not cause."""
        if 0 <= snapshot.now - snapshot.early_deaths_since < self._durations.contest_window:
            return {"early_deaths": snapshot.early_deaths + 1}
        return {"early_deaths": 1, "early_deaths_since": f"{snapshot.now:.3f}"}

    def _fetch(self, lease: Lease, account: Account, snapshot: Snapshot, decision: Fetch) -> float | None:
        allowed = self._begin(lease, account, force=decision.force)
        if allowed == "lost":
            return None
        if allowed != "ok":
            error = DayLimit(f"this day has {allowed}", hint="what is left of WeChat's quota is for people")
            raise self._failed(lease, account, snapshot, error)
        try:
            fetched = self._source.fetch(account, force=decision.force)
        except FetchError as error:
            failure = error
        else:
            # Refused: somebody else was at it meanwhile, or the account is gone; what to do now, the next tick sees.
            return None if self._accept(lease, account, snapshot, decision.cause, fetched) == "refused" else 0.0
        lost = failure.ambiguous and (decision.force or replaces(account))
        raise self._failed(lease, account, snapshot, failure, lost=lost)

    def _begin(self, lease: Lease, account: Account, *, force: bool) -> Begin:
        stray = self._durations.fetch_timeout + self._durations.stray if force or replaces(account) else 0
        budgets = {"budget": budget(account), "forced_budget": FORCED_QUOTA}
        return self._store.begin(lease, forced=force, stray=stray, **budgets)

    def _accept(self, lease: Lease, account: Account, before: Snapshot, cause: Cause, fetched: Issued) -> Commit:
        token = Credential(fetched.access_token, lease.taken_at + fetched.expires_in)
        if token.fingerprint == before.probed_dead:
            failure = TransientError(
                "WeChat hands out again the token that it refuses", hint="a forced refresh follows"
            )
            raise self._failed(lease, account, before, failure, stuck=before.probed_dead)
        at = refresh_at(account, self._leeway, fetched, lease.taken_at, self._durations.stable_leeway)
        died = foreign(before, account, fetched, cause, self._durations)
        facts = self._death(before) if died else {}
        copies = account.copies(token, lease.taken_at)
        facts |= {
            "settings_tried": account.settings_digest,
            "settings_accepted": account.settings_digest,
            "publish_digest": account.publish_digest,
        }
        facts |= {"in_doubt_until": doubt_until(before, self._durations)}
        done, problem = self._commit(lease, token, refresh_at=at, copies=copies, **facts)
        if problem:
            logger.error("%s: a copy of the token can't be written: %s", account.appid, problem)
        which = "the same token" if token.fingerprint == before.fingerprint else f"token {token.fingerprint}"
        logger.info(
            "%s: fetched (%s): %s, expires in %.0f s, %s", account.appid, cause, which, fetched.expires_in, done,
            extra={"appid": account.appid, "cause": cause.name, "fingerprint": token.fingerprint, "commit": done},
        )  # fmt: skip
        return done

    def _commit(self, lease: Lease, token: Credential, **facts: Any) -> tuple[Commit, str]:
        """Commit, and try again while Redis is away and the lease may live: the token in hand is the only one."""
        deadline = time.monotonic() + self._durations.lease - self._durations.fetch_timeout
        pause = self._durations.transient_wait / 10
        while True:
            try:
                return self._store.commit(lease, token, **facts)
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, self._durations.transient_wait)

    def _failed(
        self,
        lease: Lease,
        account: Account,
        snapshot: Snapshot,
        error: FetchError,
        *,
        lost: bool = False,
        stuck: str = "",
    ) -> FetchError:
        """Record the failure and return it, to be raised."""
        failures = snapshot.failures + 1 if snapshot.settings_tried == account.settings_digest else 1
        # What is lost may be acted upon late; of what WeChat answered nothing more will come.
        known = {} if lost else {"in_doubt_until": snapshot.in_doubt_until, "in_doubt_since": snapshot.in_doubt_since}
        error.retry_in = wait_after(error, failures, snapshot.now, self._durations)
        self._store.fail(
            lease,
            retry_at=snapshot.now + error.retry_in,
            lost=lost,
            failures=failures,
            error=error.reason,
            errcode=error.errcode,
            hint=error.hint,
            settings_tried=account.settings_digest,
            reissued_dead=stuck,
            limited=int(isinstance(error, DayLimit | MinuteLimit)),
            **known,
        )
        logger.warning("%s: %s; next attempt in %.1f s", account.appid, error, error.retry_in)
        return error
