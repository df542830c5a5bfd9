"""Everything that can happen, in any order."""

from __future__ import annotations

import sys
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.clock import ClockedServer

from model.upstream import FAULTS
from model.workers import END, REPLIES, STOPS
from model.world import ACCOUNT_KEYS, World
from tokenworker.refresh.causes import Demand

DEMANDS = st.sampled_from([Demand(), Demand(), Demand(early=True), Demand(force=True)])
#: Most happens while somebody waits for WeChat.
STOP = st.sampled_from([END, "send", "answer", "commit"]) | st.sampled_from(STOPS)
#: Fractions, so that no sum of them comes within a millisecond of one of our durations.
SECONDS = st.sampled_from([1.3, 5.1, 16.2, 16.2, 31.7, 61.9, 303.3, 3707.7])
STEPS = st.sampled_from([-10.09, -100.08, -20_000.07, 20.06, 5000.05])


class Machine(RuleBasedStateMachine):
    """A world to which hypothesis does what it likes, and which must come to rest in the end."""

    def __init__(self, server: ClockedServer) -> None:
        super().__init__()
        self._server = server
        self.world: World

    @initialize(
        endpoint=st.sampled_from(["token", "stable_token"]),
        strict=st.booleans(),
        keeps=st.booleans(),
        is_cold=st.booleans(),
        replicas=st.sampled_from([1, 0]),
    )
    def begin(self, endpoint: Any, *, strict: bool, keeps: bool, is_cold: bool, replicas: int) -> None:
        rules: dict[str, Any] = {"two_newest_only": strict, "force_keeps_previous": keeps}
        self.world = World(self._server, endpoint=endpoint, replicas=replicas, **rules)
        if not is_cold:
            self.world.come_to_rest()

    # Workers and messages

    def _is(self, *, busy: bool) -> list[int]:
        return [number for number, process in enumerate(self.world.processes) if process.worker.busy == busy]

    @precondition(lambda self: self._is(busy=False))
    @rule(demand=DEMANDS, stop=STOP)
    def refresh(self, demand: Demand, stop: str) -> None:
        self.world.refresh(self._is(busy=False)[0], demand, stop)

    @precondition(lambda self: self._is(busy=False) and self.world.messages)
    @rule(message=st.integers(0, 2), doubled=st.booleans(), stop=STOP)
    def deliver(self, message: int, *, doubled: bool, stop: str) -> None:
        messages = self.world.messages
        index = message % len(messages)
        demand = messages[index] if doubled else messages.pop(index)
        self.world.refresh(self._is(busy=False)[0], demand, stop)

    @precondition(lambda self: self._is(busy=True))
    @rule(worker=st.integers(0, 2), stop=STOP)
    def go_on(self, worker: int, stop: str) -> None:
        busy = self._is(busy=True)
        self.world.go_on(busy[worker % len(busy)], stop)

    @precondition(lambda self: self._is(busy=True))
    @rule(worker=st.integers(0, 2))
    def die(self, worker: int) -> None:
        busy = self._is(busy=True)
        self.world.die(busy[worker % len(busy)])

    @precondition(lambda self: len(self._is(busy=False)) > 1)
    @rule(demand=DEMANDS, stop=STOP, seconds=st.sampled_from([5.1, 16.2, 3707.7]), other_stop=STOP)
    def fall_behind(self, demand: Demand, stop: str, seconds: float, other_stop: str) -> None:
        first, second, *_ = self._is(busy=False)
        self.world.refresh(first, demand, stop)
        self.world.pass_time(seconds)
        self.world.refresh(second, stop_at=other_stop)

    # What goes wrong

    @rule(fault=st.sampled_from(sorted(FAULTS)))
    def fault(self, fault: str) -> None:
        self.world.upstream.faults.append(fault)

    @rule(what=st.sampled_from(["token", "lease", "message", "everything"]))
    def lose(self, what: str) -> None:
        getattr(self.world, f"lose_{what}")()

    @rule(what=st.sampled_from(["overwrite", "crowd", "fetch", "force", "revoke", "revoke_and_hand_out"]))
    def interfere(self, what: str) -> None:
        getattr(self.world.strangers, what)()

    @rule(key=st.sampled_from([*ACCOUNT_KEYS, "due", "{limiter}:running", "{limiter}:waiting", "{limiter}:rate"]))
    def scramble(self, key: str) -> None:
        self.world.scramble(key)

    @rule()
    def save(self) -> None:
        self.world.save()

    @rule()
    def restore(self) -> None:
        self.world.restore()

    # Servers and the way to them

    @rule()
    def stall(self) -> None:
        self.world.stall()

    @rule()
    def flow(self) -> None:
        self.world.flow()

    @rule(cut_off=st.sampled_from([None, None, 0, 1]))
    def fail_over(self, cut_off: int | None) -> None:
        self.world.fail_over(cut_off)

    @rule(demand=DEMANDS, stop=STOP, other_stop=STOP, cut_off=st.sampled_from([None, None, 0, 1]))
    def fail_over_under_a_refresh(self, demand: Demand, stop: str, other_stop: str, cut_off: int | None) -> None:
        if idle := self._is(busy=False):
            self.world.refresh(idle[0], demand, stop)
            self.world.stall()
            self.world.go_on(idle[0], other_stop)
        self.world.fail_over(cut_off)

    @rule(worker=st.integers(0, 2))
    def leave(self, worker: int) -> None:
        self.world.leave(worker)

    @rule(worker=st.integers(0, 2))
    def come_back(self, worker: int) -> None:
        self.world.come_back(worker)

    @rule(worker=st.integers(0, 2))
    def commit_again(self, worker: int) -> None:
        self.world.commit_again(worker)

    @rule(worker=st.integers(0, 2), step=st.sampled_from(REPLIES))
    def lose_reply(self, worker: int, step: str) -> None:
        self.world.lose_reply(worker, step)

    # Settings

    @rule()
    def remove(self) -> None:
        self.world.remove()

    @rule()
    def add(self) -> None:
        self.world.add()

    @precondition(lambda self: self.world.upstream.strays)
    @rule()
    def act_late(self) -> None:
        self.world.act_late()

    # Time

    @rule(seconds=SECONDS)
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(seconds=STEPS)
    def step_clock(self, seconds: float) -> None:
        self.world.step_clock(seconds)

    @rule()
    def tick(self) -> None:
        self.world.tick()

    # Readers

    @rule()
    def read(self) -> None:
        self.world.read()

    @rule(age=st.integers(0, 2), by_message=st.booleans())
    def report(self, age: int, *, by_message: bool) -> None:
        self.world.read()
        tokens = [*reversed(self.world.handed), "garbage"]
        self.world.report(tokens[age % len(tokens)], by_message=by_message)

    # What must hold

    @rule()
    def come_to_rest(self) -> None:
        self.world.come_to_rest()

    @invariant()
    def promises_hold(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if sys.exception() is None:
                self.world.come_to_rest()
        finally:
            self.world.close()
