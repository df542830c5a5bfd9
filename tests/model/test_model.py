"""Whatever happens, in whatever order, the promises hold; and the model finds what would break them."""

from __future__ import annotations

from itertools import product
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from support.clock import ClockedServer
from support.processes import ROOT

from model.bugs import BUGS
from model.machine import Machine
from model.process import Bug
from model.record import BrokenPromiseError
from model.stories import FAILOVERS, STORIES, Story
from model.world import World
from tokenworker.accounts.account import ENDPOINTS

#: Endpoint; whether a third classic token kills the first; whether a forced refresh leaves the one before alive.
VARIANTS = list(product(ENDPOINTS, (False, True), (False, True)))


def tell(story: Story, server: ClockedServer, bug: Bug | None = None, replicas: int = 0) -> None:
    """Let a story happen in each variant of what WeChat may do."""
    for endpoint, strict, keeps in VARIANTS:
        rules = {"two_newest_only": strict, "force_keeps_previous": keeps}
        world = World(server, bug, endpoint=endpoint, replicas=replicas, **rules)
        try:
            world.come_to_rest()
            story(world)
            world.come_to_rest()
        finally:
            world.close()


@pytest.mark.parametrize("name", STORIES)
def test_the_promises_hold(clocked: ClockedServer, name: str) -> None:
    tell(STORIES[name], clocked)


@pytest.mark.parametrize("replicas", [0, 1])
@pytest.mark.parametrize("name", FAILOVERS)
def test_the_promises_hold_in_a_failover(clocked: ClockedServer, name: str, replicas: int) -> None:
    tell(FAILOVERS[name], clocked, replicas=replicas)


def test_the_promises_hold_whatever_happens(clocked: ClockedServer) -> None:
    run_state_machine_as_test(
        cast("type[Machine]", lambda: Machine(clocked)),
        settings=settings(stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)),
    )


@pytest.mark.parametrize("name", BUGS)
def test_the_model_finds_a_fault(clocked: ClockedServer, name: str) -> None:
    seed = BUGS[name]
    with pytest.raises(BrokenPromiseError) as broken:
        tell(seed.story, clocked, seed.bug, seed.replicas)

    assert broken.value.promise is seed.breaks


@pytest.mark.parametrize("text", [seed.bug.lua[0] for seed in BUGS.values() if seed.bug.lua[0]])
def test_each_fault_changes_one_script(text: str) -> None:
    scripts = [path.read_text(encoding="utf-8") for path in (ROOT / "tokenworker" / "store" / "lua").glob("*.lua")]

    assert sum(text in script for script in scripts) == 1
