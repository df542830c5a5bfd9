"""Who sees everything: each step of a worker, what Redis says, and what is true at WeChat."""

from __future__ import annotations

from typing import Any

import redis

from model.process import DURATIONS, Held, Process
from model.record import TOLERANCE, BrokenPromiseError, Issue, Promise, Record
from model.upstream import Upstream
from tokenworker.sandbox import DEMO_APPID
from tokenworker.store import BEIJING, Snapshot, TokenStore
from tokenworker.tokens import AccessToken, fingerprint

_LEASE = f"tokenworker:{{{DEMO_APPID}}}:lease"


class Witness:
    """Compares what Redis says with the truth; any method may raise `BrokenPromiseError`."""

    def __init__(self, client: redis.Redis, upstream: Upstream, record: Record) -> None:
        self._client = client
        self._store = TokenStore(client)
        self._upstream = upstream
        self._record = record
        #: Redis's clock went back, and no watchdog has seen that yet.
        self.unwatched = False
        #: The lease that runs, and the one that was taken last.
        self._holder: Held | None = None
        self._newest: Held | None = None
        self._fencing = 0
        self._seen: set[tuple[str, float, float]] = set()
        self._last: AccessToken | None = None

    # What Redis says

    def check(self) -> None:
        """Compare the state of the account with the truth."""
        snapshot = self.observe()
        if snapshot.fetches_today != self._record.today:
            raise BrokenPromiseError(Promise.LEDGER, f"{snapshot.fetches_today} instead of {self._record.today}")
        if snapshot.fencing < self._fencing:
            raise BrokenPromiseError(Promise.FENCING)
        if snapshot.token and self._says_well(snapshot, snapshot.token):
            self._check_life(snapshot, Promise.HONEST)

    def observe(self) -> Snapshot:
        """Note what gives cause for a fetch: a token that is gone or stale, a lease that ended by itself."""
        snapshot = self._store.look(DEMO_APPID)
        self._compare(self._last, snapshot)
        self._note_once("it is stale", snapshot.now, snapshot.refresh_at, snapshot.fetched_at)
        self._note_once("WeChat may have acted late", snapshot.now, snapshot.stray_until, 0)
        self._last = snapshot.token
        if self._holder and not self._is_held(self._holder):
            self._holder = None
            self._record.causes.append("a lease ended before its holder's work")
            self._record.tested_at = None
        return snapshot

    def _compare(self, last: AccessToken | None, snapshot: Snapshot) -> None:
        if last and snapshot.token is None:
            if snapshot.now < last.expires_at - TOLERANCE:
                raise BrokenPromiseError(Promise.KEPT)
            self._record.causes.append("there is no token")

    def _note_once(self, cause: str, now: float, moment: float, other: float) -> None:
        if now >= moment - TOLERANCE > 0 and (cause, moment, other) not in self._seen:
            self._record.causes.append(cause)
            self._seen.add((cause, moment, other))

    def _check_life(self, snapshot: Snapshot, promise: Promise, least: float = 0) -> None:
        token = snapshot.token
        if token and not self._record.excuses(token.fingerprint):
            left, said = self._upstream.left(token.access_token), token.expires_in(snapshot.now)
            if said > max(left, least) + TOLERANCE:
                raise BrokenPromiseError(promise, f"{said:.1f} s are left in Redis, {left:.1f} s at WeChat")

    def _says_well(self, snapshot: Snapshot, token: AccessToken) -> bool:
        """Say whether Redis holds no sign that something may be wrong with the token, or is about to change."""
        ours = token.fingerprint == snapshot.fingerprint != snapshot.dead
        settled = snapshot.settled == snapshot.fencing and snapshot.lease_left is None and not snapshot.stray_until
        timely = snapshot.fetched_at <= snapshot.now + DURATIONS.tick and not self.unwatched
        return ours and settled and timely and snapshot.suspect is None

    def in_doubt(self) -> bool:
        """Say whether Redis holds a token of ours, and a sign that something may be wrong with it."""
        snapshot = self._store.look(DEMO_APPID)
        token = snapshot.token
        if token is None or token.fingerprint != snapshot.fingerprint or self._died_at_once(snapshot):
            return False
        return not self._says_well(snapshot, token)

    def _died_at_once(self, snapshot: Snapshot) -> bool:
        """Say whether the last holder of the lease died before he did anything; nobody needs to look for him."""
        nothing = self._newest is not None and self._newest.begun_at is None
        return nothing and snapshot.settled == snapshot.fencing - 1

    # The stored token

    def token(self) -> AccessToken:
        """Return the stored token; at rest there is one."""
        token = self._store.look(DEMO_APPID).token
        if token is None:
            raise BrokenPromiseError(Promise.WORKS, "there is none")
        return token

    def left(self) -> float:
        """Tell for how many seconds the stored token still works."""
        return self._upstream.left(self.token().access_token)

    def is_right(self, rejected: str | None) -> bool:
        """Say whether a report names the stored token, and it is dead."""
        token = self._store.look(DEMO_APPID).token
        return token is not None and token.fingerprint == rejected and not self._upstream.left(token.access_token)

    def hands_out(self, token: AccessToken, *, refused: bool) -> None:
        """Look at what a reader hands out, which was `refused` just now or not."""
        snapshot = self._store.look(DEMO_APPID)
        if self._upstream.left(token.access_token):
            return
        held = snapshot.token
        if held and held.access_token != token.access_token and self._upstream.left(held.access_token):
            raise BrokenPromiseError(Promise.READ, "there is another")
        if refused and snapshot.proven != token.fingerprint:
            raise BrokenPromiseError(Promise.READ, "it was refused just now")

    # What no worker does

    def expect_loss(self) -> None:
        """Know that the token is about to vanish."""
        self._last = None
        self._record.causes.append("there is no token")

    def expect_flush(self) -> None:
        """Know that everything is about to vanish."""
        self.expect_loss()
        self._newest, self._fencing = None, 0
        self._record.today, self._record.tested_at = 0, None
        self._record.owed.clear()
        self._lose_sight_of_strays()

    def expect_step(self, *, back: bool) -> None:
        """Know that Redis's clock is about to be set."""
        self._lose_sight_of_strays()
        if back:
            self._record.causes += ["the clock went back", "the watchdog saw it"]
            self._record.tested_at = None
            self.unwatched = True

    def _lose_sight_of_strays(self) -> None:
        """Have the store forget, or misjudge, until when WeChat may act late."""
        for stray in self._upstream.strays:
            stray.known = False

    # What workers do

    def stepped(self, process: Process, step: str, args: tuple[Any, ...], result: Any) -> None:
        """Follow the leases, and what the store is told under them."""
        if step == "take_lease" and result:
            self._taken(process, args[0], *result)
        elif step in ("commit", "fail", "settle") and process.held:
            self._ended(process.held, step, result)
            process.held = None

    def fetches(self, process: Process) -> None:
        """Count a fetch."""
        assert process.held
        process.held.begun_at = self._upstream.now()
        self._record.fetch(int((self._store.now() + BEIJING) // 86_400))

    def tests(self, process: Process, access_token: str, *, alive: bool) -> None:
        """Count the test of a reported token; only one that is dead gives cause for a fetch."""
        assert process.held
        if not alive:
            self._record.causes.append("a reported token is dead")
        self._record.test(fingerprint(access_token), process.held.taken_at, DURATIONS.report_interval)
        if process.held is not self._holder:
            self._record.tested_at = None  # without the lease he can't tell anybody

    def issued(self, process: Process, issue: Issue) -> None:
        """Note under which lease WeChat issued a token."""
        assert process.held
        process.held.issue = issue
        process.held.timely = process.held is self._newest

    def _taken(self, process: Process, owner: str, fencing: int, now: float) -> None:
        if self._holder and self._is_held(self._holder):
            raise BrokenPromiseError(Promise.ONE_HOLDER)
        if fencing <= self._fencing:
            raise BrokenPromiseError(Promise.FENCING, f"{fencing} after {self._fencing}")
        self._fencing = fencing
        process.held = self._holder = self._newest = Held(owner, now / 1000)

    def _ended(self, held: Held, step: str, result: Any) -> None:
        if step == "fail":
            self._failed(held)
        if step == "commit" and result[0] == b"refused":
            self._record.causes.append("a refused commit")
        if held.issue:
            held.issue.known = True
        if held is self._holder:
            self._holder = None
        elif self._holder and not self._client.exists(_LEASE):
            raise BrokenPromiseError(Promise.ONE_HOLDER, "somebody else ended the lease")

    def _failed(self, held: Held) -> None:
        if held.begun_at:
            self._record.causes.append("a failed fetch")
        else:
            self._record.tested_at = None
        if held.issue:
            held.issue.known = True
            self._check_life(self._store.look(DEMO_APPID), Promise.CUT, DURATIONS.overlap)

    def _is_held(self, held: Held) -> bool:
        owner, left = self._client.get(_LEASE), int(self._client.pttl(_LEASE))
        return owner == held.owner.encode() and left <= DURATIONS.lease * 1000 + 1000
