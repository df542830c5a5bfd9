"""Whatever happens to a ticket and to the token that it is made from, there is one that WeChat accepts."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.clock import ClockedServer

from model.tickets import TICKET, TOKEN, BrokenPromiseError, TicketWorld
from model.workers import END
from tokenworker.errors import FetchError
from tokenworker.refresh.attempt import Attempt, Refused
from tokenworker.refresh.causes import Demand
from tokenworker.refresh.events import Asked
from tokenworker.refresh.fetcher import Fetcher

SECONDS = st.sampled_from([1.3, 16.2, 61.9, 303.3, 3707.7, 6601.1])
STOP = st.sampled_from([END, "take_lease", "acquire", "begin", "answer", "commit", "fail", "release"])
DEMAND = st.sampled_from([Demand(), Demand(), Demand(early=True)])
FAULTS = st.sampled_from(["lost", "garbled", "cut off", "busy", "minute limit", "whitelist"])


class Machine(RuleBasedStateMachine):
    """A world to which hypothesis does what it likes, and which must come to rest in the end."""

    def __init__(self, server: ClockedServer) -> None:
        super().__init__()
        self._server = server
        self.world: TicketWorld

    @initialize(endpoint=st.sampled_from(["token", "stable_token"]), aligned=st.booleans(), is_cold=st.booleans())
    def begin(self, endpoint: Any, *, aligned: bool, is_cold: bool) -> None:
        self.world = TicketWorld(self._server, endpoint, ticket_windows_aligned=aligned)
        if not is_cold:
            self.world.come_to_rest()

    def _is(self, *, busy: bool) -> list[int]:
        return [number for number, worker in enumerate(self.world.workers) if worker.busy == busy]

    @precondition(lambda self: self._is(busy=False))
    @rule(demand=DEMAND, stop=STOP)
    def refresh(self, demand: Demand, stop: str) -> None:
        self.world.refresh(self._is(busy=False)[0], demand, stop)

    @precondition(lambda self: self._is(busy=True))
    @rule()
    def go_on(self) -> None:
        self.world.go_on(self._is(busy=True)[0])

    @precondition(lambda self: self._is(busy=True))
    @rule()
    def die(self) -> None:
        self.world.die(self._is(busy=True)[0])

    @rule()
    def tick(self) -> None:
        self.world.tick()

    @rule(seconds=SECONDS)
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(early=st.booleans())
    def refresh_token(self, *, early: bool) -> None:
        self.world.refresh_token(Demand(early=early))

    @rule()
    def revoke_token(self) -> None:
        self.world.revoke_token()

    @rule()
    def report(self) -> None:
        self.world.report()

    @rule(name=FAULTS)
    def fail(self, name: str) -> None:
        self.world.fail(name)

    @rule(id_=st.sampled_from([TICKET, TOKEN]))
    def lose(self, id_: Any) -> None:
        self.world.lose(id_)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.come_to_rest()
            finally:
                self.world.close()


def test_the_promises_hold_for_a_ticket_whatever_happens(clocked: ClockedServer) -> None:
    run_state_machine_as_test(
        cast("type[Machine]", lambda: Machine(clocked)),
        settings=settings(stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)),
    )


def test_the_model_finds_a_ticket_whose_clock_a_repeat_restarts(clocked: ClockedServer) -> None:
    world = TicketWorld(clocked, ticket_dies_at_window_end=True)
    world.come_to_rest()
    world.alter(counts_from_first_sight=False)
    world.pass_time(3600)

    with pytest.raises(BrokenPromiseError, match="at WeChat"):
        world.refresh_and_check(Demand(early=True))
    world.close()


def test_the_model_finds_a_refused_token_that_counts_as_a_failure_of_the_ticket(
    clocked: ClockedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(
        fetcher: Fetcher, attempt: Attempt, asked: Asked, failure: FetchError, _: object, *, lost: bool
    ) -> Refused:
        raise fetcher._failed(attempt, asked, failure, lost=lost)

    monkeypatch.setattr(Fetcher, "_refuse", refuse)
    world = TicketWorld(clocked)
    world.come_to_rest()
    world.revoke_token()
    world.lose(TICKET)

    with pytest.raises(BrokenPromiseError, match="fetches for"):
        world.come_to_rest()
    world.close()
