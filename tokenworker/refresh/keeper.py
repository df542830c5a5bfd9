"""Keeping a token fresh: look, lease, look again, fetch, commit.

Only who holds the lease calls WeChat, once for each lease. The old token stays where it is until the new one
takes its place. What to do rests on what Redis says at that moment and on Redis's clock, never on the message
that asked: so lost, late and doubled messages do no harm.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Literal

from tokenworker.accounts.account import Account
from tokenworker.credential import Credential
from tokenworker.durations import Durations
from tokenworker.errors import FetchError, TokenUnavailable, UnknownAccount
from tokenworker.refresh.causes import Demand
from tokenworker.refresh.decide import Nothing, Wait, decide, next_look, usable
from tokenworker.refresh.fetcher import Fetcher
from tokenworker.store.records import Snapshot, TokenStore

logger = logging.getLogger(__name__)

Result = Literal["refreshed", "fresh", "busy", "waiting"]

_REASONS = {
    "refreshed": "it expired at once",
    "fresh": "it expired just now",
    "busy": "a fetch is under way and did not end in time",
    "waiting": "WeChat refused its token, and it is too early to test it again",
}

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


class Keeper:
    """Keeps the tokens of accounts fresh; safe to share between threads, processes and hosts."""

    def __init__(self, store: TokenStore, fetcher: Fetcher, durations: Durations) -> None:
        self._store = store
        self._fetcher = fetcher
        self._durations = durations

    def refresh(self, account: Account, demand: Demand | None = None) -> Outcome:
        """Fetch a token if that is due, or if `demand` asks for it.

        Raises `FetchError`, with `retry_in` set, when WeChat gives none, and `StoreUnavailable`.
        """
        wanted = demand or Demand()
        if wanted.rejected:
            # Noted first: whatever happens to us, and whoever is at it now, the report is not forgotten.
            self._store.reject(account.appid, wanted.rejected)
        before = snapshot = self._store.look(account.appid)
        if snapshot.publish_digest != account.publish_digest:
            self.publish(account, snapshot)
        for _ in range(_ROUNDS):
            if snapshot.removed:
                raise UnknownAccount(f"{account.appid} was taken out of the accounts just now", account.appid)
            decision = decide(snapshot, account, wanted, self._durations)
            if decision == Nothing():
                self._plan(account, snapshot)
                return _outcome(snapshot, "fresh" if snapshot.fingerprint == before.fingerprint else "refreshed")
            left = decision.seconds if isinstance(decision, Wait) else self._fetcher.make(account, wanted)
            if left is None:
                return _outcome(snapshot, "busy")
            if left:
                return self._wait(snapshot, left)
            wanted = Demand(rejected=wanted.rejected)
            snapshot = self._store.look(account.appid)
        return _outcome(snapshot, "busy")

    def get(self, account: Account, rejected: str | None = None) -> tuple[Credential, float]:
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
            if _hopeless(snapshot, outcome, deadline):
                raise _unavailable(snapshot, outcome)
            # Watch the token, not the lease: whoever holds that may be dead.
            time.sleep(pause)
            pause = min(0.2, pause * 1.5)

    def publish(self, account: Account, snapshot: Snapshot) -> None:
        """Write the copies of a token that works once more, without a fetch; raises `StoreUnavailable`."""
        token = snapshot.token
        if token is None or not usable(snapshot, None):
            return
        copies = account.copies(token, snapshot.fetched_at)
        problem = self._store.publish(account.appid, token, copies, account.publish_digest)
        if problem and problem != snapshot.publish_error:
            logger.error("%s: a copy of the token can't be written: %s", account.appid, problem)

    def _try_refresh(self, account: Account, demand: Demand) -> Outcome:
        try:
            return self.refresh(account, demand)
        except FetchError as error:
            retry_in = error.retry_in or 0.0
        return Outcome(account.appid, "waiting", None, retry_in)

    def _plan(self, account: Account, snapshot: Snapshot) -> None:
        """Look at an account next when that is due, or sooner for what came since our look."""
        planned = next_look(snapshot, account, self._durations)
        self._store.plan(snapshot.appid, planned)
        # A report, say: it had the account looked at at once, and our plan undid that.
        again = next_look(self._store.look(snapshot.appid), account, self._durations)
        if again < planned:
            self._store.plan(snapshot.appid, again)

    def _wait(self, snapshot: Snapshot, seconds: float) -> Outcome:
        """Leave the account for later."""
        self._store.plan(snapshot.appid, snapshot.now + seconds)
        return _outcome(snapshot, "waiting", seconds)


def _hopeless(snapshot: Snapshot, outcome: Outcome, deadline: float) -> bool:
    """Say whether waiting on brings nothing: the last fetch failed, or the next one comes too late."""
    if outcome.outcome == "waiting" and snapshot.error:
        return True
    return time.monotonic() + outcome.retry_in >= deadline


def _outcome(snapshot: Snapshot, outcome: Result, wait: float = 0.0) -> Outcome:
    left = snapshot.token.expires_in(snapshot.now) if snapshot.token else None
    return Outcome(snapshot.appid, outcome, left, wait)


def _unavailable(snapshot: Snapshot, outcome: Outcome) -> TokenUnavailable:
    return TokenUnavailable(
        snapshot.error or _REASONS[outcome.outcome],
        snapshot.appid,
        snapshot.errcode,
        snapshot.hint,
        snapshot.failed_at or None,
        outcome.retry_in or None,
    )
