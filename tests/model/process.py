"""A worker's process as the model runs it: the product's keeper between Redis and WeChat, watched at each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import redis

from model.record import DURATIONS, Issue
from model.upstream import Fault, Stray, Upstream
from model.workers import Worker
from tokenworker.accounts.account import Account
from tokenworker.credential import Issued
from tokenworker.credentials.kind import Kind
from tokenworker.durations import Durations
from tokenworker.refresh.fetcher import Fetcher, Limits
from tokenworker.refresh.keeper import Keeper
from tokenworker.secret import Secret
from tokenworker.store.records import Records
from tokenworker.store.scripts import Call, Command, Scripts
from tokenworker.store.store import Store


@dataclass
class Held:
    """A lease as it really is, whatever its holder and Redis believe."""

    owner: str
    taken_at: float
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


class SteppingScripts(Scripts):
    """A worker's way to Redis; the worker can be stopped before each step, and dies there."""

    def __init__(self, process: Process, client: redis.Redis, edit: tuple[str, str]) -> None:
        super().__init__(client)
        self._process = process
        self._edit = edit

    def source(self, name: str) -> str:
        return edited(super().source(name), self._edit)

    def together(self, *steps: Call | Command) -> list[Any]:
        called = steps[0] if isinstance(steps[0], Call) else None
        # What is not done by a script is the setting of the schedule.
        self._process.worker.reaches(called.script if called else "plan")
        results = super().together(*steps)
        if called:
            self._process.observer.stepped(self._process, called.script, tuple(called.args), results[0])
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
        return fetched


@dataclass(frozen=True)
class Bug:
    """A fault put into the product: in one of its scripts, or by a class in the place of the product's."""

    #: A text in a Lua script, and what stands there instead.
    lua: tuple[str, str] = ("", "")
    records: type[Records] = Records
    durations: Durations = DURATIONS
    fetcher: type[Fetcher] = Fetcher
    reader_copy: float = 0.0


class Process:
    """A worker with all that it needs."""

    def __init__(self, observer: Observer, client: redis.Redis, upstream: Upstream, bug: Bug) -> None:
        self.observer = observer
        self.worker = Worker()
        self.held: Held | None = None
        #: Whether somebody asked it to end the token that we have.
        self.forced = False
        store = Store(client, scripts=SteppingScripts(self, client, bug.lua))
        store.records.__class__ = bug.records
        source = SteppingSource(self, upstream)
        self.keeper = Keeper(
            store, bug.fetcher(store, source, bug.durations, limits=lambda: Limits(patience=0)), bug.durations
        )
