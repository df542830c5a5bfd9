"""A worker's process as the model runs it: the product's keeper between Redis and WeChat, watched at each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from model.commits import SteppedCommits
from model.record import DURATIONS, Issue
from model.servers import Servers
from model.upstream import Fault, Stray, Upstream
from model.workers import Worker
from tokenworker.accounts.account import Account
from tokenworker.credential import Issued
from tokenworker.credentials.kind import Kind
from tokenworker.durations import Durations
from tokenworker.errors import StoreUnavailable
from tokenworker.refresh.fetcher import Fetcher
from tokenworker.refresh.keeper import Keeper
from tokenworker.refresh.prober import Prober
from tokenworker.refresh.turns import Limits
from tokenworker.secret import Secret
from tokenworker.store.connect import exchange
from tokenworker.store.exchange import Patience
from tokenworker.store.records import Records, Replication
from tokenworker.store.scripts import Call, Command, Scripts
from tokenworker.store.store import Store
from tokenworker.worker.failovers import Failovers


@dataclass
class Held:
    """A lease as it really is, whatever its holder and Redis believe."""

    owner: str
    fencing: int
    taken_at: float
    #: The owner of the lease before, as Redis had it then, or "".
    after: str
    #: Whether a replica knew of it at once, if one had to; whether all was well then, with time left.
    acknowledged: bool = True
    calm: bool = False
    #: Whether Redis does not know of it any more, or never did: it was taken on a side that was thrown away.
    lost: bool = False
    #: When a fetch was begun under it, by the true time.
    begun_at: float | None = None
    #: What WeChat issued under it, until the store hears of that; `timely`: before the next lease was taken.
    issue: Issue | None = None
    timely: bool = True


class Observer(Protocol):
    """Who watches: it is told of each step before the next one can happen, and raises when one is wrong."""

    def stepped(self, process: Process, step: str, args: tuple[Any, ...], result: Any) -> None: ...

    def fetches(self, process: Process) -> None: ...

    def tests(self, process: Process, access_token: str, *, alive: bool, answered: bool) -> None: ...

    def issued(self, process: Process, issue: Issue) -> None: ...

    def handed_again(self) -> None: ...

    def done_again(self, step: str, first: Any, again: Any) -> None: ...

    def is_away(self, process: Process, step: str) -> None: ...

    def committed_again(self, process: Process, owner: str, result: Any) -> None: ...


class Way(Scripts):
    """A process's way to Redis: to the side that it is on, if there is any way."""

    def __init__(self, process: Process, servers: Servers, edit: tuple[str, str]) -> None:
        super().__init__(servers.client)
        self._process = process
        self._servers = servers
        self._edit = edit
        self._sides = self._exchange, exchange(servers.old, Patience())

    def source(self, name: str) -> str:
        return edited(super().source(name), self._edit)

    def together(self, *steps: Call | Command) -> list[Any]:
        if self._process.away:
            raise StoreUnavailable("there is no way to it")
        self._exchange = self._sides[self._process.cut_off]
        return super().together(*steps)

    def _try(self, steps: Sequence[Call | Command], by: str) -> list[Any]:
        """Do it; the model answers for the replicas."""
        answers = iter(super()._try([step for step in steps if not _is_wait(step)], by))
        acknowledged = self._servers.acknowledge(cut_off=self._process.cut_off)
        return [acknowledged if _is_wait(step) else next(answers) for step in steps]


def _is_wait(step: Call | Command) -> bool:
    return isinstance(step, Command) and step.words[0] == "WAIT"


class SteppingWay(Way):
    """A worker's way to Redis; the worker can be stopped before each step, and dies there."""

    def together(self, *steps: Call | Command) -> list[Any]:
        called = steps[0] if isinstance(steps[0], Call) else None
        # What is not done by a script is the setting of the schedule.
        name = called.script if called else "plan"
        self._process.worker.reaches(name)
        held = self._process.held
        results = self._watched(name, steps)
        if name in self._process.lost_replies:
            self._process.lost_replies.remove(name)
            # The ledger counts a fetch a moment before the model does.
            alone = name == "begin" or not self._process.worker.reaches("again")
            self._process.held = held or self._process.held
            first, results = results, self._watched(name, steps)
            if alone:
                self._process.observer.done_again(name, first[0], results[0])
        return results

    def _watched(self, name: str, steps: Sequence[Call | Command]) -> list[Any]:
        try:
            results = super().together(*steps)
        except StoreUnavailable:
            self._process.observer.is_away(self._process, name)
            raise
        if isinstance(steps[0], Call):
            self._process.observer.stepped(self._process, name, tuple(steps[0].args), results[0])
        return results


class WayAgain(Way):
    """The way of a process's thread that repeats its commits."""

    def together(self, *steps: Call | Command) -> list[Any]:
        results = super().together(*steps)
        if isinstance(steps[0], Call) and steps[0].script == "commit":
            self._process.observer.committed_again(self._process, str(steps[0].args[0]), results[0])
        return results


def edited(source: str, edit: tuple[str, str]) -> str:
    """Return a script with a text in it replaced."""
    old, new = edit
    return source.replace(old, new) if old else source


class SteppingSource:
    """A worker's way to WeChat: it can be stopped before its request leaves, and before the answer comes."""

    def __init__(self, process: Process, upstream: Upstream) -> None:
        self._process = process
        self._upstream = upstream

    def fetch(self, kind: Kind, account: Account, inputs: Mapping[str, Secret], *, force: bool = False) -> Issued:
        self._process.observer.fetches(self._process)
        self._process.worker.reaches("send")
        fault = self._upstream.next_fault()
        fetched = self._act(fault, force=force)
        self._process.worker.reaches("answer")
        if fault:
            raise fault.error()
        assert fetched
        return fetched

    def is_alive(self, kind: Kind, value: Secret) -> bool:
        token = value.reveal()
        self._process.worker.reaches("send")
        fault = self._upstream.next_fault()
        alive = self._upstream.left(token) > 0
        self._process.observer.tests(self._process, token, alive=alive, answered=fault is None)
        self._process.worker.reaches("answer")
        if fault:
            raise fault.error()
        return alive

    def _act(self, fault: Fault | None, *, force: bool) -> Issued | None:
        held = self._process.held
        if fault and fault.acts_late and held and held.begun_at:
            until = held.begun_at + DURATIONS.fetch_timeout + DURATIONS.stray - 1
            self._upstream.strays.append(Stray(force, until))
        if fault and not fault.acts:
            return None
        fetched, issue = self._upstream.fetch(force=force)
        if issue:
            self._process.observer.issued(self._process, issue)
        else:
            self._process.observer.handed_again()
        return fetched


@dataclass(frozen=True)
class Bug:
    """A fault put into the product: in one of its scripts, or by a class in the place of the product's."""

    #: A text in a Lua script, and what stands there instead.
    lua: tuple[str, str] = ("", "")
    records: type[Records] = Records
    durations: Durations = DURATIONS
    fetcher: type[Fetcher] = Fetcher
    prober: type[Prober] = Prober
    commits: type[SteppedCommits] = SteppedCommits
    failovers: type[Failovers] = Failovers
    reader_copy: float = 0.0


class Process:
    """A worker with all that it needs."""

    def __init__(self, observer: Observer, servers: Servers, upstream: Upstream, bug: Bug) -> None:
        self.observer = observer
        self.worker = Worker()
        self.held: Held | None = None
        #: Whether somebody asked it to end the token that we have.
        self.forced = False
        #: Whether it has no way to Redis; whether it goes on with the old master.
        self.away = self.cut_off = False
        #: Steps of which the next reply does not arrive, so that they are done again.
        self.lost_replies: set[str] = set()
        #: Leases whose commit no server took, or no replica, and since when: it goes on trying.
        self.unsaved: dict[str, float] = {}
        replication = Replication(servers.replicas)
        store = Store(servers.client, scripts=SteppingWay(self, servers, bug.lua), replication=replication)
        again = Store(servers.client, scripts=WayAgain(self, servers, bug.lua), replication=replication)
        store.records.__class__ = again.records.__class__ = bug.records
        source = SteppingSource(self, upstream)
        fetcher = bug.fetcher(store, source, bug.durations, limits=lambda: Limits(patience=0))
        self.commits = bug.commits(store.records, again.records, upstream.now)
        fetcher._commits = self.commits
        fetcher._prober.__class__ = bug.prober
        self.keeper = Keeper(store, fetcher, bug.durations)

    def die(self) -> None:
        """Kill it where it stands, with all that it still wanted to do."""
        self.worker.die()
        self.commits.forget()
        self.unsaved.clear()
        self.lost_replies.clear()
