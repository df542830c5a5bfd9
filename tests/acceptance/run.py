"""The run: one scenario after the other, and the table."""

from __future__ import annotations

import argparse
import random
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.processes import RedisServer

from acceptance import (
    answers,
    deaths,
    failover,
    herds,
    holders,
    hosts,
    neighbours,
    outages,
    queues,
    stalls,
    strangers,
    tickets,
    workers,
)
from acceptance.crowd import Crowd
from acceptance.rows import HEADING, INHERENT, Row, versions
from acceptance.stage import Prover

Scenario = Callable[[Prover], Iterator[Row]]

SCENARIOS: dict[str, Scenario] = {
    "herd-32": herds.herd_of_32,
    "herd-200": herds.herd_of_200,
    "holders": holders.holders,
    "early": holders.early,
    "stalled": stalls.stalled,
    "answers-lost": answers.answers_lost,
    "call-down": answers.token_call_down,
    "two-beats": workers.two_beats,
    "doubled": workers.doubled,
    "deaths": deaths.deaths,
    "redis-killed": outages.redis_killed,
    "flushall": outages.flushall,
    "failover": failover.failover,
    "hosts": hosts.hosts,
    "rival": strangers.rival,
    "hostile": strangers.hostile,
    "neighbours": neighbours.neighbours,
    "tickets": tickets.tickets,
}
#: Those that need what few machines have.
ON_REQUEST: dict[str, Scenario] = {"rabbitmq": queues.rabbitmq}
EVERY = SCENARIOS | ON_REQUEST


def main() -> int:
    """Run the scenarios, print the table, and return the exit code."""
    arguments = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="tokenworker-prove-"))
    crowd = Crowd(folder / "crowd.log")
    began = time.monotonic()
    print(f"seed {arguments.seed}, {_versions(folder)}\n\n{HEADING}", flush=True)
    try:
        rows = {name: _run(name, arguments.seed, folder, crowd) for name in arguments.only or SCENARIOS}
    finally:
        crowd.end()
    if any(row.inherent for each in rows.values() for row in each):
        print(f"\n{INHERENT}")
    failed = [name for name, each in rows.items() if any(row.faults for row in each)]
    print(f"\n{time.monotonic() - began:.0f} s; ", end="")
    if failed:
        print(f"FAILED: {', '.join(failed)}; logs are in {folder}; again: --seed {arguments.seed} --only {failed[0]}")
        return 1
    shutil.rmtree(folder)
    print("everything holds")
    return 0


def _arguments() -> argparse.Namespace:
    told = "\n".join(f"  {name:12} {scenario.__doc__}" for name, scenario in EVERY.items())
    parser = argparse.ArgumentParser(
        prog="acceptance",
        description="Prove on real processes that there is one fetch per token life.",
        epilog=f"scenarios (by --only alone: {', '.join(ON_REQUEST)}):\n{told}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", choices=EVERY, metavar="NAME", help="run this one; repeatable")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="repeat a run's moments of chance")
    return parser.parse_args()


def _run(name: str, seed: int, folder: Path, crowd: Crowd) -> list[Row]:
    """Run a scenario, and print its rows as they come."""
    chance = random.Random(f"{seed} {name}")  # noqa: S311  it must be repeatable
    rows = []
    for row in _rows(name, Prover(folder, chance, crowd)):
        rows.append(row)
        print(row, flush=True)
    return rows


def _rows(name: str, prover: Prover) -> Iterator[Row]:
    try:
        yield from EVERY[name](prover)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  the other scenarios must have their turn
        yield Row.broken(name, f"it broke: {type(error).__name__}: {error}")


def _versions(folder: Path) -> str:
    server = RedisServer(folder)
    server.start()
    try:
        with server.client() as client:
            return versions(client)
    finally:
        server.kill()
