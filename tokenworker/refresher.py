"""Keeping a token fresh: look, lease, look again, fetch, commit.

Only who holds the lease calls WeChat, once for each lease. The old token stays where it is until the new one
takes its place. What to do rests on what Redis says at that moment and on Redis's clock, never on the message
that asked: so lost, late and doubled messages do no harm.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Literal, NoReturn

from tokenworker.accounts import Account
from tokenworker.durations import Durations
from tokenworker.errors import FetchError, TokenUnavailable, TransientError
from tokenworker.policy import Cause, Demand, due, must_force, refresh_at, usable, wait_after, waits
from tokenworker.store import Lease, Snapshot, TokenStore
from tokenworker.tokens import AccessToken, FetchedToken
from tokenworker.wechat import Source

logger = logging.getLogger(__name__)

Result = Literal["refreshed", "fresh", "busy", "waiting"]

#: One refresh makes at most so many calls: a test of a reported token, a fetch, and one that heals.
_ROUNDS = 4


@dataclass(frozen=True)
class Outcome:
    """How a refresh went.

    `refreshed`: there is a new token. `fresh`: nothing to do. `busy`: somebody else is at it. `waiting`: the
    last fetch failed, and the next one is `retry_in` seconds away. `expires_in` is None without a live token.
    """

    appid: str
    outcome: Result
    expires_in: float | None
    retry_in: float = 0.0


class Refresher:
    """Keeps the tokens of accounts fresh; safe to share between threads, processes and hosts."""

    def __init__(self, store: TokenStore, source: Source, durations: Durations, leeway: float | None = None) -> None:
        self._store = store
        self._source = source
        self._durations = durations
        self._leeway = leeway

    def refresh(self, account: Account, demand: Demand | None = None) -> Outcome:
        """Fetch a token if that is due, or if `demand` asks for it.

        Raises `FetchError`, with `retry_in` set, when WeChat gives none, and `StoreUnavailable`.
        """
        wanted = demand or Demand()
        before = snapshot = self._store.look(account.appid)
        for _ in range(_ROUNDS):
            if due(snapshot, wanted, self._durations) is None:
                self._store.plan(account.appid, snapshot.refresh_at)
                return _outcome(snapshot, "fresh" if snapshot.fingerprint == before.fingerprint else "refreshed")
            left = waits(snapshot, account, wanted, self._durations)
            if left:
                self._store.plan(account.appid, snapshot.retry_at)
                return _outcome(snapshot, "waiting", left)
            if not self._call(account, wanted):
                break
            wanted = Demand(rejected=wanted.rejected)
            snapshot = self._store.look(account.appid)
        return _outcome(snapshot, "busy")

    def get(self, account: Account, rejected: str | None = None) -> tuple[AccessToken, float]:
        """Return a live token and now, fetching one first when there is none, or when `rejected` names it.

        Raises `TokenUnavailable` when none can be had, at the latest after the time of two fetches.
        """
        deadline = time.monotonic() + 2 * self._durations.fetch_timeout
        pause = 0.01
        while True:
            snapshot = self._store.look(account.appid)
            if snapshot.token and usable(snapshot, rejected):
                return snapshot.token, snapshot.now
            outcome = self._try_refresh(account, Demand(rejected=rejected))
            snapshot = self._store.look(account.appid)
            if snapshot.token and outcome.outcome in ("refreshed", "fresh"):
                return snapshot.token, snapshot.now
            if outcome.outcome == "waiting" or time.monotonic() >= deadline:
                raise _unavailable(snapshot, outcome)
            time.sleep(pause)
            pause = min(0.2, pause * 1.5)

    def _try_refresh(self, account: Account, demand: Demand) -> Outcome:
        try:
            return self.refresh(account, demand)
        except FetchError as error:
            retry_in = error.retry_in or 0.0
        return Outcome(account.appid, "waiting", None, retry_in)

    def _call(self, account: Account, demand: Demand) -> bool:
        """Make one call to WeChat under a lease; False when somebody else holds it."""
        lease = self._store.take_lease(account.appid, self._durations.lease)
        if lease is None:
            return False
        # Somebody may have refreshed between our look and our lease.
        snapshot = self._store.look(account.appid)
        cause = due(snapshot, demand, self._durations, lease)
        if cause is None or waits(snapshot, account, demand, self._durations):
            self._store.settle(lease)
        elif cause is Cause.REJECTED and snapshot.token:
            self._probe(lease, account, snapshot, snapshot.token)
        else:
            self._fetch(lease, account, snapshot, cause)
        return True

    def _probe(self, lease: Lease, account: Account, snapshot: Snapshot, token: AccessToken) -> None:
        """Test a reported token before anything is done to it: reports may be late, wrong or hostile."""
        try:
            alive = self._source.is_alive(token.access_token)
        except FetchError as error:
            failure = error
        else:
            verdict = "still works and stays" if alive else "is dead"
            logger.warning("%s: token %s was reported: it %s", account.appid, token.fingerprint, verdict)
            proven = {"proven": token.fingerprint, "proven_at": f"{lease.taken_at:.3f}"}
            self._store.settle(lease, rejected="", **(proven if alive else {"dead": token.fingerprint}))
            return
        self._fail(lease, account, snapshot, failure)

    def _fetch(self, lease: Lease, account: Account, snapshot: Snapshot, cause: Cause) -> None:
        force = must_force(snapshot, cause, self._durations)
        try:
            fetched = self._source.fetch(account, force=force)
        except FetchError as error:
            failure = error
        else:
            self._accept(lease, account, snapshot, cause, fetched, forced=force)
            return
        # A token may have been issued that we never saw; a repeated stable_token call would only show it again.
        lost = failure.ambiguous and (force or account.endpoint == "token")
        self._fail(lease, account, snapshot, failure, lost=lost)

    def _accept(
        self, lease: Lease, account: Account, before: Snapshot, cause: Cause, fetched: FetchedToken, *, forced: bool
    ) -> None:
        token = AccessToken(fetched.access_token, lease.taken_at + fetched.expires_in)
        if token.fingerprint == before.dead:
            failure = TransientError(
                "WeChat hands out again the token that it refuses", hint="a forced refresh follows"
            )
            self._fail(lease, account, before, failure, stuck=before.dead)
        at = refresh_at(account, self._leeway, fetched, lease.taken_at, self._durations.stable_leeway)
        done = self._store.commit(
            lease, token, refresh_at=at, revision=account.revision, publish=account.publish, forced=forced
        )
        which = "the same token" if token.fingerprint == before.fingerprint else f"token {token.fingerprint}"
        logger.info(
            "%s: fetched (%s): %s, expires in %.0f s, %s", account.appid, cause, which, fetched.expires_in, done,
            extra={"appid": account.appid, "cause": cause.name, "fingerprint": token.fingerprint, "commit": done},
        )  # fmt: skip

    def _fail(
        self,
        lease: Lease,
        account: Account,
        snapshot: Snapshot,
        error: FetchError,
        *,
        lost: bool = False,
        stuck: str = "",
    ) -> NoReturn:
        """Record the failure and raise it."""
        failures = snapshot.failures + 1 if snapshot.revision == account.revision else 1
        error.retry_in = wait_after(error, failures, snapshot.now, self._durations)
        facts = {"failures": failures, "error": error.reason, "errcode": error.errcode, "hint": error.hint}
        self._store.fail(
            lease,
            {**facts, "stuck": stuck},
            retry_at=snapshot.now + error.retry_in,
            revision=account.revision,
            cut=self._durations.overlap if lost else 0,
        )
        logger.warning("%s: %s; next attempt in %.1f s", account.appid, error, error.retry_in)
        raise error


def _outcome(snapshot: Snapshot, outcome: Result, wait: float = 0.0) -> Outcome:
    left = snapshot.token.expires_in(snapshot.now) if snapshot.token else None
    return Outcome(snapshot.appid, outcome, left, wait)


def _unavailable(snapshot: Snapshot, outcome: Outcome) -> TokenUnavailable:
    return TokenUnavailable(
        snapshot.appid,
        snapshot.error or "a fetch is under way and did not end in time",
        snapshot.errcode,
        snapshot.hint,
        snapshot.failed_at or None,
        outcome.retry_in or None,
    )
