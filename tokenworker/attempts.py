"""One call to WeChat under a lease: look again, test or fetch, commit or record the failure."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tokenworker.accounts import Account
from tokenworker.durations import Durations
from tokenworker.errors import DayLimit, FetchError, TransientError
from tokenworker.policy import (
    FORCED_QUOTA,
    Cause,
    Demand,
    budget,
    due,
    foreign,
    must_force,
    refresh_at,
    stray_until,
    wait_after,
    waits,
)
from tokenworker.secret import Secret
from tokenworker.store import Begin, Lease, Snapshot, TokenStore
from tokenworker.tokens import AccessToken, FetchedToken
from tokenworker.wechat import Source

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How many calls to WeChat all workers together may begin a second, and have under way at once."""

    rate: float = 20.0
    concurrency: int = 8


class Attempts:
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
        cause = due(snapshot, demand, self._durations, lease)
        left = waits(snapshot, account, demand, cause, self._durations) if cause else 0.0
        if cause is None or left:
            self._store.settle(lease)
            return left
        wait = self._admit(account)
        if wait:
            self._store.settle(lease)
            return wait
        try:
            return self._act(lease, account, snapshot, cause)
        finally:
            self._store.leave(account.appid)

    def _admit(self, account: Account) -> float:
        rate, concurrency = self._limits.rate, self._limits.concurrency
        return self._store.admit(account.appid, rate=rate, concurrency=concurrency, seconds=self._durations.lease)

    def _act(self, lease: Lease, account: Account, snapshot: Snapshot, cause: Cause) -> float | None:
        if cause is Cause.REJECTED and snapshot.token:
            self._probe(lease, account, snapshot, snapshot.token)
            return 0.0
        return self._fetch(lease, account, snapshot, cause)

    def _probe(self, lease: Lease, account: Account, snapshot: Snapshot, token: AccessToken) -> None:
        """Test a reported token before anything is done to it: reports may be late, wrong or hostile."""
        try:
            alive = self._source.is_alive(Secret(token.access_token))
        except FetchError as error:
            failure = error
        else:
            found = {"proven": token.fingerprint} if alive else self._dead(snapshot, token)
            self._store.settle(lease, rejected="", tested_at=f"{lease.taken_at:.3f}", **found)
            verdict = "still works and stays" if alive else "is dead"
            logger.warning("%s: token %s was reported: it %s", account.appid, token.fingerprint, verdict)
            return
        raise self._failed(lease, account, snapshot, failure)

    def _dead(self, snapshot: Snapshot, token: AccessToken) -> dict[str, object]:
        left = token.expires_in(snapshot.now)
        logger.error(
            "another program fetches tokens for %s, or somebody reset its secret: token %s died %.0f min before its"
            " time", snapshot.appid, token.fingerprint, left / 60,
        )  # fmt: skip
        return {"dead": token.fingerprint, **self._death(snapshot)}

    def _death(self, snapshot: Snapshot) -> dict[str, object]:
        """Count an early death that we did not cause."""
        if 0 <= snapshot.now - snapshot.deaths_since < self._durations.contest_window:
            return {"deaths": snapshot.deaths + 1}
        return {"deaths": 1, "deaths_since": f"{snapshot.now:.3f}"}

    def _fetch(self, lease: Lease, account: Account, snapshot: Snapshot, cause: Cause) -> float | None:
        force = must_force(snapshot, cause, self._durations)
        allowed = self._begin(lease, account, force=force)
        if allowed == "lost":
            return None
        if allowed != "ok":
            error = DayLimit(f"this day has {allowed}", hint="what is left of WeChat's quota is for people")
            raise self._failed(lease, account, snapshot, error)
        try:
            fetched = self._source.fetch(account, force=force)
        except FetchError as error:
            failure = error
        else:
            self._accept(lease, account, snapshot, cause, fetched)
            return 0.0
        lost = failure.ambiguous and _replaces(account, force=force)
        raise self._failed(lease, account, snapshot, failure, lost=lost)

    def _begin(self, lease: Lease, account: Account, *, force: bool) -> Begin:
        stray = self._durations.fetch_timeout + self._durations.stray if _replaces(account, force=force) else 0
        budgets = {"budget": budget(account), "forced_budget": FORCED_QUOTA}
        return self._store.begin(lease, forced=force, stray=stray, **budgets)

    def _accept(self, lease: Lease, account: Account, before: Snapshot, cause: Cause, fetched: FetchedToken) -> None:
        token = AccessToken(fetched.access_token, lease.taken_at + fetched.expires_in)
        if token.fingerprint == before.dead:
            failure = TransientError(
                "WeChat hands out again the token that it refuses", hint="a forced refresh follows"
            )
            raise self._failed(lease, account, before, failure, stuck=before.dead)
        at = refresh_at(account, self._leeway, fetched, lease.taken_at, self._durations.stable_leeway)
        died = foreign(before, account, fetched, cause, self._durations)
        facts = self._death(before) if died else {}
        copies = account.copies(token, lease.taken_at)
        facts |= {"revision": account.revision, "published": account.published}
        facts |= {"stray_until": stray_until(before, self._durations)}
        done, problem = self._store.commit(lease, token, refresh_at=at, copies=copies, **facts)
        if problem:
            logger.error("%s: a copy of the token can't be written: %s", account.appid, problem)
        which = "the same token" if token.fingerprint == before.fingerprint else f"token {token.fingerprint}"
        logger.info(
            "%s: fetched (%s): %s, expires in %.0f s, %s", account.appid, cause, which, fetched.expires_in, done,
            extra={"appid": account.appid, "cause": cause.name, "fingerprint": token.fingerprint, "commit": done},
        )  # fmt: skip

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
        failures = snapshot.failures + 1 if snapshot.revision == account.revision else 1
        # What is lost may be acted upon late; of what WeChat answered nothing more will come.
        known = {} if lost else {"stray_until": snapshot.stray_until}
        error.retry_in = wait_after(error, failures, snapshot.now, self._durations)
        self._store.fail(
            lease,
            retry_at=snapshot.now + error.retry_in,
            cut=self._durations.overlap if lost else 0,
            failures=failures,
            error=error.reason,
            errcode=error.errcode,
            hint=error.hint,
            revision=account.revision,
            stuck=stuck,
            **known,
        )
        logger.warning("%s: %s; next attempt in %.1f s", account.appid, error, error.retry_in)
        return error


def _replaces(account: Account, *, force: bool) -> bool:
    """Say whether each call makes a new token; one of stable_token that is not forced shows the same one again."""
    return force or account.endpoint == "token"
