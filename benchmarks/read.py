"""How long one read of a token takes, side by side: ours, redis-py's bare GET, and other SDKs.

All take turns in one run, 20 reads each, so that what else the machine does hits all alike. The SDKs run in
processes of their own; `benchmarks/install` installs them. Ends with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import IO, cast

import redis
from server import running_server

from tokenworker import AsyncTokenReader, Durations, TokenReader

APPID = "wx0123456789abcdef"
KEY = f"tokenworker:{{{APPID}}}:access_token"
TOKEN = "t" * 136
BATCH = 20

#: The goals: times a bare GET without the copy, times as fast as wechatpy with it.
MOST_WITHOUT_COPY = 1.35
LEAST_WITH_COPY = 50

HERE = Path(__file__).parent
SDKS = HERE.parent / ".venv" / "conformance"

GET = "redis-py, bare GET"
COPY = "TokenReader"
NO_COPY = "TokenReader without its copy"
WECHATPY = ("wechatpy 1.8.18", "wechatpy 2.0.0a26")

#: Makes so many reads and returns how long each took, in nanoseconds.
Contestant = Callable[[int], list[int]]


def timed(read: Callable[[], object]) -> Contestant:
    def run(reads: int) -> list[int]:
        times = []
        for _ in range(reads):
            began = time.perf_counter_ns()
            read()
            times.append(time.perf_counter_ns() - began)
        return times

    return run


@contextmanager
def async_reader(url: str, durations: Durations) -> Iterator[Contestant]:
    reader = AsyncTokenReader(url, durations=durations)

    async def run(reads: int) -> list[int]:
        times = []
        for _ in range(reads):
            began = time.perf_counter_ns()
            await reader.get_token(APPID)
            times.append(time.perf_counter_ns() - began)
        return times

    with asyncio.Runner() as runner:
        yield lambda reads: runner.run(run(reads))


@contextmanager
def peer(command: list[str], url: str) -> Iterator[Contestant]:
    """Run an SDK in a process that makes reads when it is told how many."""
    environ = os.environ | {"NODE_PATH": str(SDKS / "node" / "node_modules")}
    process = subprocess.Popen(
        [*command, url, APPID, TOKEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
    )
    # Leaving closes its input, and that ends it.
    with process:
        orders, results = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)

        def run(reads: int) -> list[int]:
            print(reads, file=orders, flush=True)
            times: list[int] = json.loads(results.readline())
            return times

        yield run


def peers() -> dict[str, list[str]]:
    """List the SDKs that are installed, and how to run them."""
    found = {}
    for name in WECHATPY:
        python = SDKS / name.replace(" ", "-") / "bin" / "python"
        if python.exists():
            found[name] = [str(python), str(HERE / "peers" / "wechatpy_read.py")]
    if (SDKS / "node" / "node_modules" / "co-wechat-api").exists():
        found["co-wechat-api, ioredis"] = ["node", str(HERE / "peers" / "co-wechat-api-read.js")]
    return found


def contestants(url: str, stack: ExitStack) -> dict[str, Contestant]:
    client = stack.enter_context(redis.Redis.from_url(url))
    client.set(KEY, TOKEN, px=7_000_000)
    ask_always = Durations(reader_copy=0)
    with_copy = stack.enter_context(TokenReader(url))
    without = stack.enter_context(TokenReader(url, durations=ask_always))
    return {
        GET: timed(lambda: client.get(KEY)),
        NO_COPY: timed(lambda: without.get_token(APPID)),
        COPY: timed(lambda: with_copy.get_token(APPID)),
        "AsyncTokenReader without its copy": stack.enter_context(async_reader(url, ask_always)),
        "AsyncTokenReader": stack.enter_context(async_reader(url, Durations())),
    } | {name: stack.enter_context(peer(command, url)) for name, command in peers().items()}


def measure(reads: int) -> dict[str, list[int]]:
    with running_server() as server, ExitStack() as stack:
        runs = contestants(server.url, stack)
        times: dict[str, list[int]] = {name: [] for name in runs}
        for run in runs.values():
            run(BATCH)
        for _ in range(reads // BATCH):
            for name, run in runs.items():
                times[name] += run(BATCH)
    return times


def goals(times: dict[str, list[int]]) -> Iterator[tuple[str, bool]]:
    ratio = median(times[NO_COPY]) / median(times[GET])
    yield f"without its copy within {MOST_WITHOUT_COPY} of a bare GET: {ratio:.2f}", ratio <= MOST_WITHOUT_COPY
    for name in WECHATPY:
        if name in times:
            factor = median(times[name]) / median(times[COPY])
            yield (
                f"with its copy at least {LEAST_WITH_COPY} times as fast as {name}: {factor:.0f}",
                factor >= LEAST_WITH_COPY,
            )


def report(times: dict[str, list[int]]) -> bool:
    print(f"{'':36}{'p50':>10}{'p99':>10}   microseconds")
    for name, taken in times.items():
        print(f"{name:36}{median(taken) / 1e3:10.2f}{quantiles(taken, n=100)[98] / 1e3:10.2f}")
    for name in (*WECHATPY, "co-wechat-api, ioredis"):
        if name not in times:
            print(f"{name:36} not installed: run benchmarks/install")
    results = list(goals(times))
    print()
    for goal, reached in results:
        print("pass" if reached else "FAIL", goal)
    return all(reached for _, reached in results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reads", type=int, default=4000, help="of each (default 4000)")
    sys.exit(0 if report(measure(parser.parse_args().reads)) else 1)
