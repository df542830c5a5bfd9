"""The model's world: one account, real Redis, WeChat as a pure model, workers, messages and a reader.

Its public methods are what can happen; each raises `BrokenPromiseError` when the product does not keep a promise.
"""

from __future__ import annotations

from typing import Any

import redis
from support.clock import ClockedServer
from support.targets import look, token_of

from model.clock import Clock
from model.process import Bug, Process, edited
from model.reader import PatientReader
from model.record import DURATIONS, TOLERANCE, BrokenPromiseError, Promise, Record
from model.strangers import Strangers
from model.upstream import Upstream
from model.witness import Witness
from model.workers import END
from tokenworker.accounts.account import Endpoint
from tokenworker.credential import CredentialId, fingerprint
from tokenworker.errors import StoreUnavailable, TokenUnavailable, TransientError, UnknownAccount
from tokenworker.refresh.causes import Demand
from tokenworker.sandbox import DEMO_APPID, Rules
from tokenworker.store.scripts import Scripts
from tokenworker.store.store import Store

TOKEN = CredentialId(DEMO_APPID)

#: The watchdogs of all workers see a step of the clock within that time; the key says that one has.
_MINUTE = 6 * DURATIONS.watchdog_interval
_SEEN = "tokenworker:in_doubt"

#: The keys that each account has of its own.
ACCOUNT_KEYS = ("access_token", "access_token:state", "access_token:lease", "access_token:copies")

#: The way to rest takes no longer: a rest after a failure, and some more fetches.
_LONGEST = 2 * DURATIONS.longest_cooldown


class FaultyScripts(Scripts):
    """Scripts of which one is not the product's."""

    def __init__(self, client: redis.Redis, edit: tuple[str, str]) -> None:
        super().__init__(client)
        self._edit = edit

    def source(self, name: str) -> str:
        return edited(super().source(name), self._edit)


class World:
    """Everything that takes part, and what can happen to it."""

    def __init__(
        self, server: ClockedServer, bug: Bug | None = None, endpoint: Endpoint = "token", **rules: Any
    ) -> None:
        bug = bug or Bug()
        self._client = server.client()
        self._client.flushall()
        self._clock = Clock(server)
        self._record = Record()
        self._store = Store(self._client)
        #: What the watchdog and the settings have to do with Redis; they have the product's faults, too.
        self._faulty_store = Store(self._client, scripts=FaultyScripts(self._client, bug.lua))
        self._reader = PatientReader(server.url, self._clock.now, bug.reader_copy)
        self.upstream = Upstream(self._clock.now, self._record, endpoint, Rules(**rules))
        self.strangers = Strangers(self._store, self._client, self.upstream, self._record)
        self._witness = Witness(self._client, self.upstream, self._record)
        self.processes = [Process(self._witness, self._client, self.upstream, bug) for _ in range(3)]
        #: Messages under way to the workers, and tokens that the reader was handed, oldest first.
        self.messages: list[Demand] = []
        self.handed: list[str] = []
        self._saved: dict[Any, Any] | None = None

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.worker.busy:
                process.worker.die()
        self._reader.close()
        self._client.close()

    # Workers and messages

    def refresh(self, number: int, demand: Demand | None = None, stop_at: str = END) -> None:
        """Have an idle worker handle a message, up to a stop."""
        process, demand = self.processes[number], demand or Demand()
        if self._witness.gone:
            return  # no worker knows the account any more
        if demand.early or demand.force:
            self._record.causes.append("somebody asked for it")
        process.held, process.forced = None, demand.force
        process.worker.start(lambda: self._handle(process, demand), stop_at)

    def _handle(self, process: Process, demand: Demand) -> None:
        """Refresh as the task does: what passes by itself is tried again with the same message."""
        right = self._witness.is_right(demand.rejected)
        try:
            outcome = process.keeper.refresh(token_of(self.upstream.account), demand)
        except UnknownAccount:
            return
        except StoreUnavailable as error:
            raise BrokenPromiseError(Promise.REST, str(error)) from None
        except TransientError:
            self.messages.append(demand)
            raise
        if outcome.result in ("fresh", "refreshed"):
            self._witness.check_tested()
        if right and demand.rejected:
            self._record.owed.add(demand.rejected)

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
        if self._witness.gone:
            return
        if not len(self._store.schedule):
            self._store.schedule.add([CredentialId(each) for each in [DEMO_APPID]])
        if self._witness.unwatched:
            if self._faulty_store.notes.mark("in_doubt", _MINUTE):
                self._faulty_store.records.doubt([TOKEN])
            self._witness.unwatched = False
        if self._witness.restored:
            self._faulty_store.records.doubt([TOKEN], replaced=True)
            self._witness.restored = False
        due = {
            *[id_.account for id_ in self._store.schedule.claim(8, DURATIONS.grace)],
            *[id_.account for id_ in self._store.records.missing([CredentialId(each) for each in [DEMO_APPID]])],
        }
        self.messages += [Demand()] * len(due)

    def lose_message(self) -> None:
        """Lose the oldest message."""
        del self.messages[:1]

    # Time

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self._witness.observe()
        self.upstream.act_late(by=self._clock.now() + seconds)
        self._clock.pass_by(seconds)
        # So that what expired is gone, as it would be by now, and no clock that steps back revives it.
        self._client.scan(count=1000)
        self._witness.observe()

    def step_clock(self, seconds: float) -> None:
        """Set Redis's clock forward, or back; two steps back within a minute count as one, and so are not tried."""
        if seconds < 0 and (self._witness.unwatched or self._client.exists(_SEEN)):
            self.tick()
            self.pass_time(_MINUTE + 1)
        self._witness.observe()
        self._witness.expect_step(back=seconds < 0)
        self._clock.step(seconds)
        self._witness.observe()

    def act_late(self) -> None:
        """Have WeChat act on fetches that we gave up on."""
        self.upstream.act_late(by=float("inf"))

    # Redis

    def lose_token(self) -> None:
        """Delete the token's key."""
        self._witness.expect_loss()
        self._client.delete(self._store.keys.value(CredentialId(DEMO_APPID)))

    def lose_lease(self) -> None:
        """Delete the lease's key."""
        self._client.delete(f"tokenworker:{{{DEMO_APPID}}}:access_token:lease")
        self._witness.observe()

    def scramble(self, name: str) -> None:
        """Have somebody else write what makes no sense to us under a key of the account."""
        if name == "access_token:state":
            self._witness.expect_flush()
        if name == "access_token":
            self._witness.expect_loss()
        key = f"tokenworker:{{{DEMO_APPID}}}:{name}" if name in ACCOUNT_KEYS else f"tokenworker:{name}"
        self._client.delete(key)
        self._client.lpush(key, "theirs")
        self._witness.observe()

    def save(self) -> None:
        """Remember what Redis holds."""
        moment = self._store.now()
        self._saved = {}
        for key in self._client.keys("*"):
            left = self._client.pttl(key)
            self._saved[key] = self._client.dump(key), moment + left / 1000 if left > 0 else None

    def restore(self) -> None:
        """Have Redis go back to what it held before, as after a failover, or when a backup is put back."""
        if self._saved is None or self._witness.gone:
            return
        self._witness.observe()
        self._witness.expect_restore()
        self._client.flushall()
        for key, (value, end) in self._saved.items():
            left = 0 if end is None else round((end - self._store.now()) * 1000)
            if left >= 0:
                self._client.restore(key, left, value)
        self._saved = None
        self._witness.see_what_is_restored()
        self._witness.observe()

    # Settings

    def remove(self) -> None:
        """Take the account out of the settings."""
        self._witness.expect_removal()
        self._faulty_store.records.clear(CredentialId(DEMO_APPID), 600.0)
        self._witness.observe()

    def add(self) -> None:
        """Put the account back into the settings."""
        if self._witness.gone:
            self._witness.expect_return()
            self._faulty_store.records.announce({TOKEN: self.upstream.account.settings_digest})
            self._store.schedule.add([CredentialId(each) for each in [DEMO_APPID]])

    def lose_everything(self) -> None:
        """Flush Redis."""
        self._witness.expect_flush()
        self._client.flushall()
        self._witness.observe()

    # Readers

    def read(self) -> str:
        """Read a token, if there is one."""
        try:
            token = self._reader.get_token(DEMO_APPID)
        except TokenUnavailable:
            return ""
        self.handed.append(token.access_token)
        self._witness.hands_out(token, refused=self._reader.was_refused(token))
        self._reader.absolve()
        return token.access_token

    def report(self, access_token: str, *, by_message: bool = False) -> None:
        """Report that WeChat refused a token, whether or not that is so."""
        name = fingerprint(access_token)
        self._record.reported.add(name)
        if by_message:
            self.messages.append(Demand(rejected=name))
            return
        right = self._witness.is_right(name)
        try:
            self._reader.reject(DEMO_APPID, access_token)
        except StoreUnavailable:
            right = False  # it heard that nobody hears it, while keys hold what makes no sense
        if right:
            self._record.owed.add(name)

    # What must hold

    def check(self) -> None:
        """Compare what Redis says with the truth."""
        self._witness.check()

    def come_to_rest(self) -> None:
        """Let all that runs end, and WeChat answer, until nothing is due: then the token must work."""
        self.upstream.faults.clear()
        self.add()
        for process in self.processes:
            while process.worker.busy:
                process.worker.go_on()
        self._settle_down()
        if self._witness.in_doubt():
            raise BrokenPromiseError(Promise.REST, "what is known to be doubtful stays so")
        if self._witness.token().fingerprint in self._record.owed and not self._witness.left():
            raise BrokenPromiseError(Promise.REPORTED)
        if self._record.excuses(self._witness.token().fingerprint):
            self._let_readers_find_out()
        self._witness.check()
        if not self._witness.left():
            raise BrokenPromiseError(Promise.WORKS)
        self._record.rest()
        self._witness.stepped_clock = False

    def _settle_down(self) -> None:
        end = self._clock.now() + _LONGEST
        while self._clock.now() < end:
            self.tick()
            messages, self.messages = self.messages, []
            for demand in messages:
                self.refresh(0, demand)
            if self._is_at_rest():
                return
            # A little later, so that no sum of such waits ends on the millisecond when something changes.
            self.pass_time(max(DURATIONS.tick, self._next_look()) + 0.03)
        raise BrokenPromiseError(Promise.REST)

    def _is_at_rest(self) -> bool:
        snapshot = look(self._store, DEMO_APPID)
        planned = snapshot.now + self._next_look()
        # A token in doubt heals when the overlap is nearly over, which may be after it is stale.
        fresh = snapshot.credential is not None and snapshot.now < snapshot.refresh_at <= planned + TOLERANCE
        return fresh and snapshot.in_doubt is None

    def _next_look(self) -> float:
        score = self._client.zscore("tokenworker:due", str(TOKEN))
        return float(score or 0.0) - self._store.now()

    def _let_readers_find_out(self) -> None:
        """Nothing but a report can tell us of this death; it may come only after the overlap.

        A token of somebody else's, under our key, may be followed by a dead one of ours.
        """
        self.pass_time(DURATIONS.overlap + 1)
        self._settle_down()
        for _ in range(2):
            if not self._witness.left():
                self.report(self._witness.token().access_token)
                self._settle_down()
