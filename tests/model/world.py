"""The model's world: one account, real Redis, WeChat as a pure model, workers, messages and a reader.

Its public methods are what can happen. What Redis says is compared with the record of what is true, and
`BrokenPromiseError` is raised when the product does not keep a promise.
"""

from __future__ import annotations

from typing import Any

import redis
from clocked import ClockedServer

from model.clock import Clock
from model.process import DURATIONS, Bug, Held, Process
from model.reader import PatientReader
from model.record import TOLERANCE, BrokenPromiseError, Issue, Promise, Record
from model.strangers import Strangers
from model.upstream import Upstream
from model.workers import END
from tokenworker.accounts import Endpoint
from tokenworker.errors import TokenUnavailable, TransientError
from tokenworker.policy import Demand
from tokenworker.sandbox import DEMO_APPID, Rules
from tokenworker.store import BEIJING, Snapshot, TokenStore
from tokenworker.tokens import AccessToken, fingerprint

LEASE = f"tokenworker:{{{DEMO_APPID}}}:lease"
SUSPECTED = "tokenworker:suspected"

#: The watchdogs of all workers see a step of the clock within that time.
_MINUTE = 6 * DURATIONS.watchdog_interval

#: The way to rest takes no longer: a rest after a failure, and some more fetches.
_LONGEST = 2 * DURATIONS.longest_rest


class FaultyRedis(redis.Redis):
    """Redis with another script than the product's: `edit` is a text in it, and what stands there instead."""

    edit = ("", "")

    def register_script(self, script: Any) -> Any:
        old, new = self.edit
        return super().register_script(script.replace(old, new) if old else script)


class World:
    """Everything that takes part, and what can happen to it."""

    def __init__(
        self, server: ClockedServer, bug: Bug | None = None, endpoint: Endpoint = "token", **rules: Any
    ) -> None:
        bug = bug or Bug()
        self._client = server.client()
        self._client.flushall()
        self._faulty = FaultyRedis(port=server.port)
        self._faulty.edit = bug.lua
        self.record = Record()
        self.clock = Clock(server)
        self.upstream = Upstream(self.clock.now, self.record, endpoint, Rules(**rules))
        self.store = TokenStore(self._client)
        self.processes = [Process(self, self._faulty, self.upstream, bug) for _ in range(3)]
        self.strangers = Strangers(self.store, self._client, self.upstream, self.record)
        self.reader = PatientReader(server.url, self.clock.now, bug.reader_copy)
        #: Messages under way to the workers, and tokens that the reader was handed, oldest first.
        self.messages: list[Demand] = []
        self.handed: list[str] = []
        #: The lease that runs, and the one that was taken last.
        self._holder: Held | None = None
        self._newest: Held | None = None
        self._fencing = 0
        self._seen: set[tuple[str, float, float]] = set()
        self._last: AccessToken | None = None
        self._unwatched = False
        self.observe()

    # What can happen

    def refresh(self, number: int, demand: Demand | None = None, stop_at: str = END) -> None:
        """Have an idle worker handle a message, up to a stop."""
        process, demand = self.processes[number], demand or Demand()
        if demand.early or demand.force:
            self.record.causes.append("somebody asked for it")
        process.held = None
        process.worker.start(lambda: self._handle(process, demand), stop_at)

    def go_on(self, number: int, stop_at: str = END) -> None:
        """Let a stopped worker go on."""
        self.processes[number].worker.go_on(stop_at)

    def die(self, number: int) -> None:
        """Kill a stopped worker."""
        process = self.processes[number]
        process.worker.die()
        if process.held and process.held.issue:
            process.held.issue.known = process.held.timely

    def tick(self) -> None:
        """Look for what is due, as beat and the watchdog do, and send the messages."""
        if not self.store.enrolled():
            self.store.enroll([DEMO_APPID])
        if self._unwatched:
            self.store.suspect([DEMO_APPID], _MINUTE)
            self._unwatched = False
        due = {*self.store.take_due(8, DURATIONS.grace), *self.store.without_token([DEMO_APPID])}
        self.messages += [Demand()] * len(due)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.observe()
        self.upstream.act_late(by=self.clock.now() + seconds)
        self.clock.pass_by(seconds)
        # So that what expired is gone, as it would be by now, and no clock that steps back revives it.
        self._client.scan(count=1000)
        self.observe()

    def act_late(self) -> None:
        """Have WeChat act on fetches that we gave up on."""
        self.upstream.act_late(by=float("inf"))

    def step_clock(self, seconds: float) -> None:
        """Set Redis's clock forward, or back; two steps back within a minute count as one, and so are not tried."""
        if seconds < 0 and (self._unwatched or self._client.exists(SUSPECTED)):
            self.tick()
            self.pass_time(_MINUTE + 1)
        self.observe()
        self.clock.step(seconds)
        self._lose_sight_of_strays()
        if seconds < 0:
            self.record.causes += ["the clock went back", "the watchdog saw it"]
            self.record.tested_at = None
            self._unwatched = True
        self.observe()

    def lose_token(self) -> None:
        """Delete the token's key."""
        self._forget()
        self._client.delete(self.store.token_key(DEMO_APPID))

    def lose_lease(self) -> None:
        """Delete the lease's key."""
        self._client.delete(LEASE)
        self.observe()

    def lose_everything(self) -> None:
        """Flush Redis."""
        self._forget()
        self._client.flushall()
        self._lose_sight_of_strays()
        self._newest, self._fencing = None, 0
        self.record.today, self.record.tested_at = 0, None
        self.record.owed.clear()
        self.observe()

    def lose_message(self) -> None:
        """Lose the oldest message."""
        del self.messages[:1]

    def read(self) -> str:
        """Read a token, if there is one, and see whether a better one could be known."""
        try:
            token = self.reader.get_token(DEMO_APPID)
        except TokenUnavailable:
            return ""
        self.handed.append(token.access_token)
        if not self.upstream.left(token.access_token):
            self._explain(token)
        return token.access_token

    def report(self, access_token: str, *, by_message: bool = False) -> None:
        """Report that WeChat refused a token, whether or not that is so."""
        name = fingerprint(access_token)
        self.record.reported.add(name)
        if by_message:
            self.messages.append(Demand(rejected=name))
            return
        right = self._is_right(name)
        self.reader.reject(DEMO_APPID, access_token)
        if right:
            self.record.owed.add(name)

    def come_to_rest(self) -> None:
        """Let all that runs end, and WeChat answer, until nothing is due: then the token must work."""
        self.upstream.faults.clear()
        for process in self.processes:
            while process.worker.busy:
                process.worker.go_on()
        self._settle_down()
        if self._in_doubt():
            raise BrokenPromiseError(Promise.REST, "what is known to be doubtful stays so")
        if self._token().fingerprint in self.record.owed and not self._left():
            raise BrokenPromiseError(Promise.REPORTED)
        if self.record.excuses(self._token().fingerprint):
            self._let_readers_find_out()
        self.check()
        if not self._left():
            raise BrokenPromiseError(Promise.WORKS)
        self.record.rest()

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.worker.busy:
                process.worker.die()
        self.reader.close()
        self._client.close()
        self._faulty.close()

    # What must hold

    def check(self) -> None:
        """Compare what Redis says with the truth."""
        snapshot = self.observe()
        if snapshot.fetches_today != self.record.today:
            raise BrokenPromiseError(Promise.LEDGER, f"{snapshot.fetches_today} instead of {self.record.today}")
        if snapshot.fencing < self._fencing:
            raise BrokenPromiseError(Promise.FENCING)
        if snapshot.token and self._says_well(snapshot, snapshot.token):
            self._check_life(snapshot, Promise.HONEST)

    def observe(self) -> Snapshot:
        """Note what gives cause for a fetch: a token that is gone or stale, a lease that ended by itself."""
        snapshot = self.store.look(DEMO_APPID)
        self._compare(self._last, snapshot)
        self._note_once("it is stale", snapshot.now, snapshot.refresh_at, snapshot.fetched_at)
        self._note_once("WeChat may have acted late", snapshot.now, snapshot.stray_until, 0)
        self._last = snapshot.token
        if self._holder and not self._is_held(self._holder):
            self._holder = None
            self.record.causes.append("a lease ended before its holder's work")
            self.record.tested_at = None
        return snapshot

    def _check_life(self, snapshot: Snapshot, promise: Promise, least: float = 0) -> None:
        token = snapshot.token
        if token and not self.record.excuses(token.fingerprint):
            left, said = self.upstream.left(token.access_token), token.expires_in(snapshot.now)
            if said > max(left, least) + TOLERANCE:
                raise BrokenPromiseError(promise, f"{said:.1f} s are left in Redis, {left:.1f} s at WeChat")

    def _compare(self, last: AccessToken | None, snapshot: Snapshot) -> None:
        if last and snapshot.token is None:
            if snapshot.now < last.expires_at - TOLERANCE:
                raise BrokenPromiseError(Promise.KEPT)
            self.record.causes.append("there is no token")

    def _note_once(self, cause: str, now: float, moment: float, other: float) -> None:
        if now >= moment - TOLERANCE > 0 and (cause, moment, other) not in self._seen:
            self.record.causes.append(cause)
            self._seen.add((cause, moment, other))

    def _says_well(self, snapshot: Snapshot, token: AccessToken) -> bool:
        """Say whether Redis holds no sign that something may be wrong with the token, or is about to change."""
        ours = token.fingerprint == snapshot.fingerprint != snapshot.dead
        settled = snapshot.settled == snapshot.fencing and snapshot.lease_left is None and not snapshot.stray_until
        timely = snapshot.fetched_at <= snapshot.now + DURATIONS.tick and not self._unwatched
        return ours and settled and timely and snapshot.suspect is None

    def _explain(self, token: AccessToken) -> None:
        """Say why a reader may be handed a dead token: Redis holds no other."""
        snapshot = self.store.look(DEMO_APPID)
        held = snapshot.token
        if held and held.access_token != token.access_token and self.upstream.left(held.access_token):
            raise BrokenPromiseError(Promise.READ, "there is another")
        if self.reader.was_refused(token) and snapshot.proven != token.fingerprint:
            raise BrokenPromiseError(Promise.READ, "it was refused just now")

    def _is_held(self, held: Held) -> bool:
        owner, left = self._client.get(LEASE), int(self._client.pttl(LEASE))
        return owner == held.owner.encode() and left <= DURATIONS.lease * 1000

    def _forget(self) -> None:
        """Expect the token to be gone."""
        self._last = None
        self.record.causes.append("there is no token")

    def _lose_sight_of_strays(self) -> None:
        """Have the store forget, or misjudge, until when WeChat may act late."""
        for stray in self.upstream.strays:
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
        process.held.begun_at = self.clock.now()
        self.record.fetch(int((self.store.now() + BEIJING) // 86_400))

    def tests(self, process: Process, access_token: str, *, alive: bool) -> None:
        """Count the test of a reported token; only one that is dead gives cause for a fetch."""
        assert process.held
        if not alive:
            self.record.causes.append("a reported token is dead")
        self.record.test(fingerprint(access_token), process.held.taken_at, DURATIONS.report_interval)

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
        if held.issue:
            held.issue.known = True
            if step == "fail":
                self._check_life(self.store.look(DEMO_APPID), Promise.CUT, DURATIONS.overlap)
        if step == "commit" and result[0] == b"refused":
            self.record.causes.append("a refused commit")
        if step == "fail" and held.begun_at:
            self.record.causes.append("a failed fetch")
        if step == "fail" and not held.begun_at:
            self.record.tested_at = None
        if held is self._holder:
            self._holder = None
        elif self._holder and not self._client.exists(LEASE):
            raise BrokenPromiseError(Promise.ONE_HOLDER, "somebody else ended the lease")

    def _handle(self, process: Process, demand: Demand) -> None:
        """Refresh as the task does: what passes by itself is tried again with the same message."""
        right = self._is_right(demand.rejected)
        try:
            process.refresher.refresh(self.upstream.account, demand)
        except TransientError:
            self.messages.append(demand)
            raise
        if right and demand.rejected:
            self.record.owed.add(demand.rejected)

    # The way to rest

    def _settle_down(self) -> None:
        end = self.clock.now() + _LONGEST
        while self.clock.now() < end:
            self.tick()
            messages, self.messages = self.messages, []
            for demand in messages:
                self.refresh(0, demand)
            if self._is_at_rest():
                return
            self.pass_time(max(DURATIONS.tick, self._next_look() + 0.01))
        raise BrokenPromiseError(Promise.REST)

    def _is_at_rest(self) -> bool:
        snapshot = self.store.look(DEMO_APPID)
        planned = snapshot.now + self._next_look()
        return snapshot.token is not None and snapshot.now < snapshot.refresh_at <= planned + TOLERANCE

    def _in_doubt(self) -> bool:
        """Say whether Redis holds a token of ours, and a sign that something may be wrong with it."""
        snapshot = self.store.look(DEMO_APPID)
        ours = snapshot.token and snapshot.token.fingerprint == snapshot.fingerprint
        return bool(ours and snapshot.token and not self._says_well(snapshot, snapshot.token))

    def _next_look(self) -> float:
        score = self._client.zscore("tokenworker:due", DEMO_APPID)
        return float(score or 0.0) - self.store.now()

    def _let_readers_find_out(self) -> None:
        """Nothing but a report can tell us of this death; it may come only after the overlap.

        A token of somebody else's, under our key, may be followed by a dead one of ours.
        """
        self.pass_time(DURATIONS.overlap + 1)
        self._settle_down()
        for _ in range(2):
            if not self._left():
                self.report(self._token().access_token)
                self._settle_down()

    def _token(self) -> AccessToken:
        token = self.store.look(DEMO_APPID).token
        if token is None:
            raise BrokenPromiseError(Promise.WORKS, "there is none")
        return token

    def _left(self) -> float:
        return self.upstream.left(self._token().access_token)

    def _is_right(self, rejected: str | None) -> bool:
        """Say whether a report names the stored token, and it is dead."""
        token = self.store.look(DEMO_APPID).token
        return token is not None and token.fingerprint == rejected and not self.upstream.left(token.access_token)
