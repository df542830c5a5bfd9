"""Who sees everything: each step of a worker, what Redis says, and what is true at WeChat."""

from __future__ import annotations

from typing import Any, cast

from support.targets import look

from model.process import Held, Process
from model.record import DURATIONS, TOLERANCE, BrokenPromiseError, Issue, Promise, Record
from model.servers import Servers
from model.upstream import Upstream
from tokenworker.credential import Credential, fingerprint
from tokenworker.durations import DAY, period_at
from tokenworker.refresh.causes import SLACK
from tokenworker.sandbox import DEMO_APPID
from tokenworker.store.state import Snapshot
from tokenworker.store.store import Store

_LEASE = f"tokenworker:{{{DEMO_APPID}}}:access_token:lease"
_STATE = f"tokenworker:{{{DEMO_APPID}}}:access_token:state"
#: The steps that end a lease.
_ENDS = ("commit", "fail", "release", "withhold")


class Witness:
    """Compares what Redis says with the truth; any method may raise `BrokenPromiseError`."""

    def __init__(self, servers: Servers, upstream: Upstream, record: Record) -> None:
        self._servers = servers
        self._client = servers.client
        self._store = Store(self._client)
        self._old_store = Store(servers.old)
        self._upstream = upstream
        self._record = record
        #: Redis's clock, or what it holds, went back, and no watchdog has seen that yet.
        self.unwatched = False
        self.restored = False
        #: Another server took over, and no watchdog has seen that yet; how often one did.
        self.taken_over = False
        self.failovers = 0
        #: The account was taken out of the settings.
        self.gone = False
        #: Until when Redis remembers that, in epoch seconds by its clock.
        self._remembered_until = 0.0
        #: Somebody who had begun before took a lease after that.
        self._brought_back = False
        self._was_removed = 0
        #: Redis's clock was set since the account came to rest, so that moments in its state mean nothing.
        self.stepped_clock = False
        #: The lease that runs, and the one that was taken last.
        self._holder: Held | None = None
        self._newest: Held | None = None
        #: All that were taken, by their owners.
        self._leases: dict[str, Held] = {}
        self._fencing = 0
        self._seen: set[tuple[str, float, float]] = set()
        self._last: Credential | None = None

    # What Redis says

    def check(self) -> None:
        """Compare the state of the account with the truth."""
        snapshot = self.observe()
        today = self._record.today if self._record.day == period_at(snapshot.now, DAY) else 0
        if snapshot.fetches_today != today:
            raise BrokenPromiseError(Promise.LEDGER, f"{snapshot.fetches_today} instead of {today}")
        if snapshot.fencing < self._fencing:
            raise BrokenPromiseError(Promise.FENCING)
        if snapshot.credential and snapshot.credential.fingerprint == snapshot.probed_dead:
            raise BrokenPromiseError(Promise.WITHHELD)
        back = snapshot.credential and self._upstream.is_ours(snapshot.credential.access_token)
        if back and self.gone and not self._brought_back:
            raise BrokenPromiseError(Promise.GONE)
        if snapshot.credential and self._says_well(snapshot, snapshot.credential):
            self._check_life(snapshot)

    def observe(self) -> Snapshot:
        """Note what gives cause for a fetch: a token that is gone or stale, a lease that ended by itself."""
        snapshot = look(self._store, DEMO_APPID)
        self._compare(self._last, snapshot)
        if (self.gone or self._was_removed) and snapshot.fencing == 0:
            self._fencing = 0  # by now nobody remembers that it was there
        self._was_removed = snapshot.removed
        self._note_once("it is stale", snapshot.now, snapshot.refresh_at, snapshot.fetched_at)
        self._note_once("WeChat may have acted late", snapshot.now, snapshot.in_doubt_until, 0)
        self._last = snapshot.credential
        if self._holder and not self._is_held(self._holder):
            self._holder = None
            self._record.causes.append("a lease ended before its holder's work")
            self._record.tests.clear()
        return snapshot

    def _compare(self, last: Credential | None, snapshot: Snapshot) -> None:
        if last and snapshot.credential is None:
            if snapshot.now < last.expires_at - TOLERANCE:
                raise BrokenPromiseError(Promise.KEPT)
            self._record.causes.append("there is no token")

    def _note_once(self, cause: str, now: float, moment: float, other: float) -> None:
        if now >= moment - TOLERANCE > 0 and (cause, moment, other) not in self._seen:
            self._record.causes.append(cause)
            self._seen.add((cause, moment, other))

    def _check_life(self, snapshot: Snapshot) -> None:
        token = snapshot.credential
        if token and not self._record.excuses(token.fingerprint):
            left, said = self._upstream.left(token.access_token), token.expires_in(snapshot.now)
            if said > left + TOLERANCE:
                raise BrokenPromiseError(Promise.HONEST, f"{said:.1f} s are left in Redis, {left:.1f} s at WeChat")

    def _says_well(self, snapshot: Snapshot, token: Credential, *, held: bool = False) -> bool:
        """Say whether Redis holds no sign that something may be wrong with the token, or is about to change."""
        ours = token.fingerprint == snapshot.fingerprint != snapshot.probed_dead
        settled = snapshot.resolved == snapshot.fencing - held and not snapshot.in_doubt_until
        settled = settled and (held or snapshot.lease_left is None)
        timely = snapshot.fetched_at <= snapshot.now + DURATIONS.tick and not self._is_unseen
        return ours and settled and timely and snapshot.in_doubt is None and not snapshot.suspected_at

    @property
    def _is_unseen(self) -> bool:
        return self.unwatched or self.restored or self.taken_over

    def in_doubt(self) -> bool:
        """Say whether Redis holds a token of ours, and a sign that something may be wrong with it."""
        snapshot = look(self._store, DEMO_APPID)
        token = snapshot.credential
        if token is None or token.fingerprint != snapshot.fingerprint or self._died_at_once(snapshot):
            return False
        return not self._says_well(snapshot, token)

    def _died_at_once(self, snapshot: Snapshot) -> bool:
        """Say whether the last holder of the lease died before he did anything; nobody needs to look for him."""
        newest = self._lease_of(self._client.hget(_STATE, "owner"))
        return newest is not None and newest.begun_at is None and snapshot.resolved == snapshot.fencing - 1

    def _lease_of(self, owner: Any) -> Held | None:
        return self._leases.get(owner.decode()) if isinstance(owner, bytes) else None

    # The stored token

    def token(self) -> Credential:
        """Return the stored token; at rest there is one."""
        token = look(self._store, DEMO_APPID).credential
        if token is None:
            raise BrokenPromiseError(Promise.WORKS, "there is none")
        return token

    def left(self) -> float:
        """Tell for how many seconds the stored token still works."""
        return self._upstream.left(self.token().access_token)

    def check_tested(self) -> None:
        """Look, after a refresh, whether a token that WeChat may have replaced was tested."""
        snapshot = look(self._store, DEMO_APPID)
        token = snapshot.credential
        free = snapshot.lease_left is None and not self.stepped_clock
        ours = token is not None and token.fingerprint == snapshot.fingerprint
        if self._upstream.account.endpoint != "token" or not free or not ours or snapshot.in_doubt is None:
            return
        due = self._client.zscore("tokenworker:due", f"{DEMO_APPID}:access_token")
        if isinstance(due, float) and due <= snapshot.now:
            return  # the doubt came after the refresh had looked, and is next
        if snapshot.probed != snapshot.fingerprint or snapshot.probed_at < snapshot.in_doubt_since - SLACK:
            raise BrokenPromiseError(Promise.TESTED)

    def is_right(self, rejected: str | None) -> bool:
        """Say whether a report names the stored token, and it is dead."""
        token = look(self._store, DEMO_APPID).credential
        return token is not None and token.fingerprint == rejected and not self._upstream.left(token.access_token)

    def hands_out(self, token: Credential, *, refused: bool) -> None:
        """Look at what a reader hands out, which was `refused` just now or not."""
        snapshot = look(self._store, DEMO_APPID)
        if self._upstream.left(token.access_token):
            return
        if token.fingerprint == snapshot.probed_dead:
            raise BrokenPromiseError(Promise.WITHHELD, "by a reader")
        held = snapshot.credential
        if held and held.access_token != token.access_token and self._upstream.left(held.access_token):
            raise BrokenPromiseError(Promise.READ, "there is another")
        if refused and snapshot.probed_alive != token.fingerprint:
            raise BrokenPromiseError(Promise.READ, "it was refused just now")

    # What no worker does

    def expect_loss(self) -> None:
        """Know that the token is about to vanish."""
        self._last = None
        self._record.causes.append("there is no token")

    def expect_flush(self) -> None:
        """Know that everything is about to vanish."""
        self.expect_loss()
        self._forget(fencing=0)

    def expect_removal(self, seconds: float) -> None:
        """Know that the account is about to be taken out of the settings, which Redis remembers for so long."""
        self._last = None
        self.gone = True
        snapshot = look(self._store, DEMO_APPID)
        self._remembered_until, self._brought_back = snapshot.now + seconds, False
        self._forget(fencing=snapshot.fencing)

    def expect_return(self) -> None:
        """Know that the account is about to come back."""
        self.gone = False
        self._record.causes.append("there is no token")

    def expect_restore(self) -> None:
        """Know that Redis is about to go back to what it held before."""
        self.expect_loss()
        self._forget(fencing=0)
        self._record.causes += ["Redis went back", "the watchdog saw it"]
        self.restored = True

    def see_what_is_restored(self) -> None:
        """Take what Redis holds now for what it is."""
        snapshot = look(self._store, DEMO_APPID)
        self._fencing, self._last, self._was_removed = snapshot.fencing, snapshot.credential, snapshot.removed
        # As it is written: of a day that is over a snapshot says nothing, but the clock may go back to it.
        day, today = cast("list[bytes | None]", self._client.hmget(_STATE, "day", "fetches_today"))
        self._record.day, self._record.today = int(day or 0), int(today or 0)

    def expect_failover(self, *, fetches: int, noticed: bool) -> None:
        """Know that another server is about to take over, which knows nothing of so many fetches.

        It is `noticed` when Redis goes back by so much that a watchdog sees a number come again.
        """
        if fetches:
            self._record.causes.append("a failover took back a fetch")
        if noticed:
            self._record.causes.append("the watchdog saw it")
        self.restored = self.restored or noticed
        self.taken_over = True
        self.failovers += 1
        for issue in self._record.issues:
            issue.found_out = True

    def see_what_took_over(self) -> None:
        """Take what the server holds that took over for what it is, when the last writes are lost."""
        self._record.take_back()
        self._record.tests.clear()
        self._record.owed.clear()
        self._lose_sight_of_strays()
        self.see_what_is_restored()
        is_ours = self._client.type(_LEASE) == b"string"
        self._holder = self._lease_of(self._client.get(_LEASE)) if is_ours else None
        for held in self._leases.values():
            held.lost = held.lost or held.fencing > self._fencing
        newest = self._newest
        owner = cast("bytes | None", self._client.hget(_STATE, "owner")) or b""
        can_tell = (
            newest
            and 0 < self._fencing >= newest.fencing - 1
            # A server that missed a flush has another lease of the same number.
            and owner.decode() in (newest.owner, newest.after)
            and self._holder in (None, newest)
            and not self._was_removed
        )
        # Else Redis can't tell whether somebody took a lease since.
        self._newest = newest if can_tell else None

    def _forget(self, *, fencing: int) -> None:
        self._newest, self._fencing = None, fencing
        self._record.today = 0
        self._record.tests.clear()
        self._record.owed.clear()
        self._lose_sight_of_strays()

    def expect_step(self, *, back: bool) -> None:
        """Know that Redis's clock is about to be set."""
        self._lose_sight_of_strays()
        self.stepped_clock = True
        if back:
            self._record.causes += ["the clock went back", "the watchdog saw it"]
            self._record.tests.clear()
            self.unwatched = True

    def _lose_sight_of_strays(self) -> None:
        """Have the store forget, or misjudge, until when WeChat may act late."""
        for stray in self._upstream.strays:
            stray.known = False

    # What workers do

    def stepped(self, process: Process, step: str, args: tuple[Any, ...], result: Any) -> None:
        """Follow the leases, and what the store is told under them."""
        if step == "take_lease" and result:
            self._taken(process, args[0], result)
        elif step in _ENDS and process.held:
            if step == "commit":
                self._note_unsaved(process, process.held, result)
            if not process.cut_off:
                self._ended(process.held, step, result)
            process.held = None

    def _note_unsaved(self, process: Process, held: Held, result: Any) -> None:
        """Remember that a process still has to commit, to a server or to a replica of it."""
        lacks_replica = self._servers.acknowledge(cut_off=process.cut_off) < self._servers.replicas
        if result[0] != b"refused" and lacks_replica:
            process.unsaved.setdefault(held.owner, self._upstream.now())
        else:
            process.unsaved.pop(held.owner, None)

    def done_again(self, step: str, first: Any, again: Any) -> None:
        """Compare what a step answers with what it answers when it is done once more, right after that."""
        if step in ("take_lease", "begin", "commit") and _told(first) != _told(again):
            raise BrokenPromiseError(Promise.REPEATED, step)

    def is_away(self, process: Process, step: str) -> None:
        """Follow a step that reaches no server."""
        held = process.held
        if held is None or step not in _ENDS:
            return
        if step == "commit":
            process.unsaved.setdefault(held.owner, self._upstream.now())
        if held.issue:
            held.issue.known = held.timely and not held.lost
        process.held = None

    def committed_again(self, process: Process, owner: str, result: Any) -> None:
        """Follow a commit that is repeated without the process."""
        held = self._leases[owner]
        self._note_unsaved(process, held, result)
        if not process.cut_off:
            self._ended(held, "commit", result)

    def check_saved(self, process: Process) -> None:
        """Look, after a process repeated its commits and nothing was in the way, whether one is left."""
        young = [at for at in process.unsaved.values() if self._upstream.now() - at < DURATIONS.overlap]
        if young:
            raise BrokenPromiseError(Promise.TAKEN, "it was given up")
        process.unsaved.clear()

    def fetches(self, process: Process) -> None:
        """Count a fetch, and look at what it ends."""
        assert process.held
        process.held.begun_at = self._upstream.now()
        if process.held.calm and not process.held.acknowledged and self._upstream.account.endpoint == "token":
            raise BrokenPromiseError(Promise.AWARE)
        if process.cut_off:
            self._record.ever += 1
            return
        self._record.fetch(period_at(self._store.now(), DAY))
        snapshot = look(self._store, DEMO_APPID)
        if snapshot.credential and not (process.forced or self.stepped_clock or self.restored):
            self._check_spared(snapshot, snapshot.credential)

    def _is_calm(self, process: Process) -> bool:
        """Say whether all is well on the side of a process, and the token works for long."""
        snapshot = look(self._old_store if process.cut_off else self._store, DEMO_APPID)
        token = snapshot.credential
        if token is None or self.stepped_clock or not self._says_well(snapshot, token, held=True):
            return False
        return self._upstream.left(token.access_token) > DURATIONS.overlap / 2 + 1

    def _check_spared(self, snapshot: Snapshot, token: Credential) -> None:
        """Look whether WeChat replaced the token by one that we never saw; one more ends it before its time."""
        ours = token.fingerprint == snapshot.fingerprint
        left = self._upstream.left(token.access_token)
        # Nobody knows when WeChat acted on the fetch that got lost: up to a minute after we gave it up.
        room = DURATIONS.fetch_room + DURATIONS.fetch_timeout + DURATIONS.stray
        if (
            self._upstream.account.endpoint == "token"
            and ours
            and left > room
            and self._record.replaced(token.fingerprint)
        ):
            raise BrokenPromiseError(Promise.SPARED, f"it would work for {left:.1f} s")

    def tests(self, process: Process, access_token: str, *, alive: bool, answered: bool) -> None:
        """Count the test of a token; only one that is dead gives cause for a fetch."""
        assert process.held
        if process.cut_off:
            return
        if not alive:
            self._record.causes.append("a token is dead")
        snapshot = look(self._store, DEMO_APPID)
        doubtful = snapshot.credential is None or not self._says_well(snapshot, snapshot.credential, held=True)
        name = fingerprint(access_token)
        if max(snapshot.in_doubt_since, snapshot.suspected_at) > self._record.tests.get(name, (0.0, True))[0]:
            self._record.tests.pop(name, None)  # another reason to doubt has come since
        self._record.test(name, process.held.taken_at, answered=answered, doubtful=doubtful)
        if process.held is not self._holder:
            self._record.tests.clear()  # without the lease he can't tell anybody

    def issued(self, process: Process, issue: Issue) -> None:
        """Note under which lease WeChat issued a token."""
        assert process.held
        process.held.issue = issue
        process.held.timely = process.held is self._newest

    def handed_again(self) -> None:
        """Know that WeChat handed out a token once more: should it be dead, nothing but a report tells us."""
        for issue in self._record.issues:
            issue.found_out = False

    def _taken(self, process: Process, owner: str, result: Any) -> None:
        fencing, (now, *_), after = result
        acknowledged = self._servers.acknowledge(cut_off=process.cut_off) >= self._servers.replicas
        held = Held(owner, fencing, now / 1000, after.decode(), acknowledged, lost=process.cut_off)
        held.calm = self._is_calm(process)
        if process.cut_off:
            process.held = self._leases[owner] = held
            return
        if self._holder and self._is_held(self._holder):
            self._taken_again(process, self._holder, held)
            return
        if fencing <= self._fencing:
            raise BrokenPromiseError(Promise.FENCING, f"{fencing} after {self._fencing}")
        self._brought_back = self._brought_back or now / 1000 >= self._remembered_until
        self._fencing = fencing
        process.held = self._holder = self._newest = self._leases[owner] = held

    def _taken_again(self, process: Process, before: Held, held: Held) -> None:
        if before.owner != held.owner:
            raise BrokenPromiseError(Promise.ONE_HOLDER)
        if before.fencing != held.fencing:
            raise BrokenPromiseError(Promise.REPEATED, "another number")
        before.acknowledged = held.acknowledged
        process.held = before

    def _ended(self, held: Held, step: str, result: Any) -> None:
        if step == "fail":
            self._failed(held)
        if step == "commit" and result[0] == b"refused":
            if held is self._newest:
                raise BrokenPromiseError(Promise.TAKEN, "it was refused")
            self._record.causes.append("a refused commit")
        elif step == "commit":
            # Also one of another history: it came first here, so that its twin of the same number came too late.
            self._newest = held
        if step == "withhold":
            self._last = look(self._store, DEMO_APPID).credential
        if held.issue:
            held.issue.known = True
        if held is self._holder:
            self._holder = None
        elif self._holder and not self._client.exists(_LEASE):
            raise BrokenPromiseError(Promise.ONE_HOLDER, "somebody else ended the lease")

    def _failed(self, held: Held) -> None:
        if held.begun_at:
            self._record.causes.append("a failed fetch")
        if held.issue:
            held.issue.known = True

    def died(self, held: Held) -> None:
        """Know that a holder died; who comes next can tell from his lease."""
        if held.issue:
            held.issue.known = held.timely and not held.lost

    def _is_held(self, held: Held) -> bool:
        if self._client.type(_LEASE) != b"string":
            return False  # somebody else wrote there
        owner, left = self._client.get(_LEASE), int(self._client.pttl(_LEASE))
        return owner == held.owner.encode() and left <= DURATIONS.lease * 1000 + 1000


def _told(result: Any) -> Any:
    """Return what a worker goes by in the answer of a step."""
    return result[0] if isinstance(result, list) else result
