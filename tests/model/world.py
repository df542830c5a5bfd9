"""The model's world: one account, real Redis, WeChat as a pure model, workers, messages and a reader.

Its public methods are what can happen; each raises `BrokenPromiseError` when the product does not keep a promise.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import redis
from support.clock import ClockedServer
from support.targets import look, token_of

from model.clock import Clock
from model.process import Bug, Process, edited
from model.reader import PatientReader
from model.record import DURATIONS, TOLERANCE, BrokenPromiseError, Promise, Record
from model.servers import Copy, KnownLineage, Servers, copy_of, put
from model.strangers import Strangers
from model.upstream import Upstream
from model.witness import Witness
from model.workers import END
from tokenworker.accounts.account import Endpoint
from tokenworker.credential import CredentialId, fingerprint
from tokenworker.errors import StoreUnavailable, TokenUnavailable, TransientError, UnknownAccount
from tokenworker.refresh.causes import Demand
from tokenworker.refresh.turns import Limits
from tokenworker.sandbox import DEMO_APPID, Rules
from tokenworker.store.scripts import Scripts
from tokenworker.store.store import Store
from tokenworker.worker.reconciler import Reconciler

TOKEN = CredentialId(DEMO_APPID)

#: For how many seconds Redis remembers that an account was taken out.
_MEMORY = 600.0
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
        self,
        server: ClockedServer,
        bug: Bug | None = None,
        endpoint: Endpoint = "token",
        replicas: int = 0,
        **rules: Any,
    ) -> None:
        bug = bug or Bug()
        self._servers = Servers(server, replicas)
        self._client = self._servers.client
        self._clock = Clock(server)
        self._record = Record()
        self._store = Store(self._client)
        #: What the watchdog and the settings have to do with Redis; they have the product's faults, too.
        scripts = FaultyScripts(self._client, bug.lua)
        self._faulty_store = Store(self._client, scripts=scripts)
        self._faulty_store.lineage = KnownLineage(scripts, self._faulty_store.keys, self._servers)
        self._reader = PatientReader(server.url, self._clock.now, bug.reader_copy)
        self.upstream = Upstream(self._clock.now, self._record, endpoint, Rules(**rules))
        self.strangers = Strangers(self._store, self._client, self.upstream, self._record)
        self._witness = Witness(self._servers, self.upstream, self._record)
        self.processes = [Process(self._witness, self._servers, self.upstream, bug) for _ in range(3)]
        reconciler = SimpleNamespace(targets={TOKEN: token_of(self.upstream.account)})
        self._failovers = bug.failovers(self._faulty_store, cast("Reconciler", reconciler), Limits)
        self._failovers.look()
        #: Fetches ever made when nothing got to the replica any more.
        self._fetches_copied = 0
        #: Messages under way to the workers, and tokens that the reader was handed, oldest first.
        self.messages: list[Demand] = []
        self.handed: list[str] = []
        self._saved: Copy | None = None

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.worker.busy:
                process.worker.die()
        self._reader.close()
        self._servers.close()

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
        right = self._witness.is_right(demand.rejected) and not process.cut_off
        failovers = self._witness.failovers
        try:
            outcome = process.keeper.refresh(token_of(self.upstream.account), demand)
        except UnknownAccount:
            return
        except StoreUnavailable as error:
            if process.away:
                return
            raise BrokenPromiseError(Promise.REST, str(error)) from None
        except TransientError:
            self.messages.append(demand)
            raise
        if outcome.result in ("fresh", "refreshed") and not process.cut_off:
            self._witness.check_tested()
        if right and demand.rejected and failovers == self._witness.failovers:
            self._record.owed.add(demand.rejected)

    def go_on(self, number: int, stop_at: str = END) -> None:
        """Let a stopped worker go on."""
        self.processes[number].worker.go_on(stop_at)

    def die(self, number: int) -> None:
        """Kill a stopped worker."""
        process = self.processes[number]
        process.die()
        if process.held:
            self._witness.died(process.held)

    def commit_again(self, number: int) -> None:
        """Have a process repeat its commits, as its thread does."""
        process = self.processes[number]
        process.commits.repeat()
        acknowledged = self._servers.acknowledge(cut_off=process.cut_off) >= self._servers.replicas
        if acknowledged and not process.away:
            self._witness.check_saved(process)

    def lose_reply(self, number: int, step: str) -> None:
        """Have a process do a step twice, since Redis's answer to the first time does not arrive."""
        self.processes[number].lost_replies.add(step)

    def leave(self, number: int) -> None:
        """Cut a process off from Redis."""
        self.processes[number].away = True

    def come_back(self, number: int) -> None:
        """Lead a process to the master, from wherever it was."""
        process = self.processes[number]
        process.away = process.cut_off = False

    def tick(self) -> None:
        """Look for what is due, as beat and the watchdog do, and send the messages."""
        if self._witness.gone:
            return
        if not len(self._store.schedule):
            self._store.schedule.add([CredentialId(each) for each in [DEMO_APPID]])
        if self._witness.unwatched:
            if self._faulty_store.notes.mark("in_doubt", _MINUTE):
                self._faulty_store.bulk.doubt([TOKEN])
            self._witness.unwatched = False
        if self._witness.restored:
            self._faulty_store.bulk.doubt([TOKEN], replaced=True)
            self._witness.restored = False
        self._look_for_failovers()
        if self._faulty_store.bulk.accepted([TOKEN]).get(TOKEN) == "":
            self._announce()  # Redis went back to when the account was out
        due = {
            *[id_.account for id_ in self._store.schedule.claim(8, DURATIONS.grace)],
            *[id_.account for id_ in self._store.bulk.missing([CredentialId(each) for each in [DEMO_APPID]])],
        }
        self.messages += [Demand()] * len(due)

    def _look_for_failovers(self) -> None:
        before = self._faulty_store.lineage.noted()
        self._failovers.look()
        if before != self._faulty_store.lineage.noted():
            # What is due at that very moment is due, whatever Valkey's clock makes of a moment.
            self._clock.pass_by(0.03)
        seen = self._faulty_store.lineage.noted() == self._servers.lineage
        if seen or not self._client.exists(self._store.keys.mark("suspected")):
            self._witness.taken_over = False  # else another watchdog is at it, or died: the next one waits for it

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
        self._saved = copy_of(self._client)

    def restore(self) -> None:
        """Have Redis go back to what it held before, as after a failover, or when a backup is put back."""
        if self._saved is None or self._witness.gone:
            return
        self._witness.observe()
        self._witness.expect_restore()
        put(self._client, self._saved)
        self._saved = None
        self._witness.see_what_is_restored()
        self._witness.observe()

    def stall(self) -> None:
        """Let nothing more get from the master to its replica."""
        if self._servers.stall():
            self._fetches_copied = self._record.ever

    def flow(self) -> None:
        """Let the replica catch up."""
        self._servers.flow()

    def fail_over(self, cut_off: int | None = None) -> None:
        """Have the replica take over, with what it has; a process may be cut off, and go on with the old master."""
        if self._witness.gone:
            return
        for process in self.processes:
            process.cut_off = False  # an older master is gone by now
        self._witness.observe()
        lag = self._servers.lag()
        fetches = 0 if lag is None else self._record.ever - self._fetches_copied
        self._witness.expect_failover(fetches=fetches, noticed=lag is not None and lag > DURATIONS.pulse)
        self._servers.fail_over()
        if lag is not None:
            self._witness.see_what_took_over()
        if cut_off is not None:
            self.processes[cut_off].cut_off = True
        self._witness.observe()

    # Settings

    def remove(self) -> None:
        """Take the account out of the settings."""
        self._witness.expect_removal(_MEMORY)
        self._faulty_store.records.clear(CredentialId(DEMO_APPID), _MEMORY)
        self._witness.observe()

    def add(self) -> None:
        """Put the account back into the settings."""
        if self._witness.gone:
            self._witness.expect_return()
            self._announce()
            self._store.schedule.add([CredentialId(each) for each in [DEMO_APPID]])

    def _announce(self) -> None:
        self._faulty_store.bulk.announce({TOKEN: self.upstream.account.settings_digest})

    def lose_everything(self) -> None:
        """Flush Redis."""
        self._witness.expect_flush()
        self._client.flushdb()
        self._failovers.look()
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
        self.flow()
        for number, process in enumerate(self.processes):
            self.come_back(number)
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
            for number in range(len(self.processes)):
                self.commit_again(number)
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
        return fresh and snapshot.in_doubt is None and not self._witness.taken_over

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
