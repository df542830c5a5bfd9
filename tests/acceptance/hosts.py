"""Several hosts with clocks minutes apart, each of them cut off from Redis for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

from support.clock import WallClock
from support.hosts import Host, HubServer, Network, NoNamespaces, Outlet
from support.processes import Stack

from acceptance.crowd import kept_environ
from acceptance.failover import Plan, faults, kept_accounts, mints
from acceptance.reads import LIMIT, Reads
from acceptance.rows import Row
from acceptance.stage import Prover, Stage
from tokenworker.sandbox import Rules, Sandbox

#: By the host: how far its clock is ahead, in seconds, and whether a beat runs there.
CLOCKS = ((-420.0, True), (0.0, True), (240.0, False))

#: Which hosts are cut off, one after another, for how many seconds each, and how many lie between.
CUT_OFF, AWAY, BETWEEN = (2, 0), 10.0, 8.0

PLAN = Plan("3 hosts, clocks 11 min apart, 2 cut off in turn", len(CUT_OFF), 46, life=14, overlap=7)


@dataclass
class _WeChat:
    """The sandbox, as an outlet leads to it."""

    port: int
    url: str

    @classmethod
    def of(cls, sandbox: Sandbox) -> _WeChat:
        return cls(urlsplit(sandbox.url).port or 0, sandbox.url)


def hosts(prover: Prover) -> Iterator[Row]:
    """Three workers and two beats run on hosts of their own, whose clocks differ; one is cut off, then another."""
    with ExitStack() as exits:
        try:
            network = exits.enter_context(Network())
            machines = [network.host() for _ in CLOCKS]
        except NoNamespaces as error:
            skipped = f"skipped, no network namespaces can be made: {error}"
            yield Row(scenario=PLAN.name, processes=0, expected=(0, 0), seen=0, note=skipped)
            return
        yield from _row(prover, network, machines, exits)


def _row(prover: Prover, network: Network, machines: list[Host], exits: ExitStack) -> Iterator[Row]:
    folder = prover.folder / f"hub-{time.monotonic_ns()}"
    folder.mkdir()
    server = HubServer(folder, network)
    exits.callback(server.kill)
    server.start()
    rules = Rules(life=PLAN.life, overlap=PLAN.overlap)
    environ = {"REDIS_URL": server.url}
    with Stage(prover, kept_accounts(PLAN, 10), rules, scale=PLAN.overlap / 300, environ=environ) as stage, exits:
        stacks = [_stack(stage, server, host, number, exits) for number, host in enumerate(machines)]
        for stack, (_, with_beat) in zip(stacks, CLOCKS, strict=True):
            stack.worker(f"--hostname=worker@{stack.folder.name}")
            if with_beat:
                stack.beat()
        stage.wait_for_tokens(timeout=20)
        with Reads(stage) as reads:
            before = mints(stage)
            _cut_off(machines)
            made = {appid: count - before[appid] for appid, count in mints(stage).items()}
        yield Row(
            scenario=PLAN.name,
            processes=5,
            expected=PLAN.expected,
            seen=max(made.values()),
            slowest=reads.slowest,
            limit=LIMIT,
            bad_reads=reads.bad,
            others=tuple(faults(stage, *stacks)),
            note=f"{min(made.values())}-{max(made.values())} tokens an account, {reads.count} reads{reads.story}",
        )


def _stack(stage: Stage, server: HubServer, host: Host, number: int, exits: ExitStack) -> Stack:
    """Return what runs on a host: with its clock, and its ways to Redis and to WeChat."""
    folder = stage.folder / f"host{number}"
    folder.mkdir()
    clock = WallClock(folder)
    clock.go_ahead(CLOCKS[number][0])
    outlet = exits.enter_context(Outlet(host, _WeChat.of(stage.upstream)))
    ways = {"REDIS_URL": server.hosts_url, "WECHAT_API_URL": outlet.url}
    stack = Stack(folder, kept_environ() | stage.settings | ways | clock.environ, prefix=host.prefix)
    exits.callback(stack.stop)
    return stack


def _cut_off(machines: list[Host]) -> None:
    began = time.monotonic()
    for number in CUT_OFF:
        time.sleep(BETWEEN)
        machines[number].cut_off()
        time.sleep(AWAY)
        machines[number].heal()
    time.sleep(max(0.0, began + PLAN.seconds - time.monotonic()))
