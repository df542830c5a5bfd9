"""What many accounts cost a worker: to load, to look at, to read again, and what others wait for meanwhile.

Each row is a process of its own with a Redis server beside it. Another thread does what get_token costs a worker: a
look at a credential, and the round trips of Celery; calm, and while the accounts are read again. Ends with 1 when a
goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import redis
from server import running_server

from tokenworker.accounts.registry import AccountRegistry
from tokenworker.credential import CredentialId
from tokenworker.settings.config import Config
from tokenworker.store.store import Store, connect

SIZES = (100, 10_000, 100_000)
#: The goals: milliseconds for a look at files that did not change, sound or broken; times a calm sequence.
MOST_LOOK = 5.0
MOST_SLOWER = 3.0
#: Seconds of a reload that others can wait for: a shorter one meets too few of them to tell.
LONG = 1.0

#: How many looks, reloads and calm seconds a row is made of; Celery's round trips in a sequence (it takes a message,
#: acknowledges it, and keeps and publishes a result); and seconds between two sequences.
LOOKS = 50
RELOADS = 3
CALM = 3.0
ROUND_TRIPS = 4
PAUSE = 0.002

ID = CredentialId("wx0123456789abcdef")

COLUMNS = {
    "load": "load s",
    "look": "look ms",
    "broken": "broken ms",
    "reload": "reload s",
    "rss": "RSS MB",
    "peak": "peak MB",
    "calm_p50": "calm p50",
    "calm_p99": "p99 ms",
    "busy_p50": "reload p50",
    "busy_p99": "p99 ms",
    "busy_max": "max ms",
}


def write(folder: Path, accounts: int, kind: str) -> Path:
    file = folder / "accounts.toml"
    with file.open("w") as text:
        for number in range(accounts):
            text.write(f'[[account]]\nappid = "wx{number:016x}"\n')
            text.write(_rest(folder, number, kind))
    return file


def _rest(folder: Path, number: int, kind: str) -> str:
    if kind != "secret_file":
        named = f'name = "shop {number}"\npublish = ["YG-TOKEN-{number}", "wechatpy:{number}"]\n'
        return f'secret = "{number:032x}"\n' + (named if kind == "copies" else "")
    secret = folder / "secrets" / f"{number:06d}"
    secret.parent.mkdir(exist_ok=True)
    secret.write_text(f"{number:032x}\n")
    return f'secret_file = "{secret}"\n'


def seconds(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


class Sequences(threading.Thread):
    """Makes the round trips of a get_token in another thread, one sequence after the other."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._client = redis.Redis.from_url(url)
        self._store = Store(connect(url), "tokenworker")
        self._over = threading.Event()
        #: When each began, and how long it took, in seconds.
        self.taken: list[tuple[float, float]] = []

    def run(self) -> None:
        while not self._over.wait(PAUSE):
            began = time.perf_counter()
            self._store.records.look(ID)
            for _ in range(ROUND_TRIPS):
                self._client.get("key")
            self.taken.append((began, time.perf_counter() - began))

    def stop(self) -> None:
        self._over.set()
        self.join()


def measure(url: str, accounts: int, kind: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder), accounts, kind)
        began = time.perf_counter()
        registry = Config(accounts_file=file).registry({})
        found = {"load": time.perf_counter() - began, "rss": _memory("VmRSS"), "peak": _memory("VmHWM")}
        registry.reload()
        found["look"] = 1000 * median(seconds(registry.reload) for _ in range(LOOKS))
        found |= _reloads(url, registry, file)
        file.write_text(file.read_text() + "[[account]]\nappid = 5\n")
        registry.reload()
        # Where a broken file is read again at each look, a few of them say enough.
        looks = 2 if seconds(registry.reload) > 1 else LOOKS
        found["broken"] = 1000 * median(seconds(registry.reload) for _ in range(looks))
    return found


def _reloads(url: str, registry: AccountRegistry, file: Path) -> dict[str, float]:
    others = Sequences(url)
    others.start()
    began = time.perf_counter()
    time.sleep(CALM)
    calm = [taken for start, taken in others.taken if start > began + 0.2]
    took, busy = [], []
    for _ in range(RELOADS):
        os.utime(file)
        began = time.perf_counter()
        took.append(seconds(registry.reload))
        busy += [taken for start, taken in list(others.taken) if began <= start < began + took[-1]]
    others.stop()
    return {"reload": median(took), **_spread("calm", calm), **_spread("busy", busy)}


def _spread(name: str, taken: list[float]) -> dict[str, float]:
    """Return p50, p99 and the longest, in milliseconds; a reload that ends before two sequences has none.

    A long one counts as often as a client would have come in its time, or else the many short ones would hide it.
    """
    if not taken[1:]:
        return {f"{name}_p50": 0.0, f"{name}_p99": 0.0, f"{name}_max": 0.0}
    taken = [each for each in taken for _ in range(1 + int(each / PAUSE))]
    return {
        f"{name}_p50": 1000 * median(taken),
        f"{name}_p99": 1000 * quantiles(taken, n=100)[98],
        f"{name}_max": 1000 * max(taken),
    }


def _memory(field: str) -> float:
    """Return a line of what Linux says of this process's memory, in MB; 0 elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith(f"{field}:")), 0.0)


def row(url: str, accounts: int, kind: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--row", url, str(accounts), kind]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def goals(name: str, found: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    yield f"{name}: a look at unchanged files takes at most {MOST_LOOK:g} ms", found["look"] <= MOST_LOOK
    yield f"{name}: a look at an unchanged broken file too", found["broken"] <= MOST_LOOK
    if found["reload"] < LONG:
        return
    slower = found["busy_p50"] / found["calm_p50"]
    yield (
        f"{name}: others take at most {MOST_SLOWER:g} times as long during a reload: {slower:.1f}",
        slower <= MOST_SLOWER,
    )


def report(sizes: tuple[int, ...]) -> bool:
    print(f"{'':22}" + "".join(f"{title:>11}" for title in COLUMNS.values()))
    results = []
    with running_server() as server:
        for accounts in sizes:
            for kind in ("plain", "copies", "secret_file"):
                found, name = row(server.url, accounts, kind), f"{accounts} {kind}"
                print(f"{name:22}" + "".join(f"{found[column]:11.2f}" for column in COLUMNS), flush=True)
                results += goals(name, found)
    print()
    for goal, reached in results:
        print("pass" if reached else "FAIL", goal)
    return all(reached for _, reached in results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, action="append", help=f"how many (default {SIZES}); may be repeated")
    parser.add_argument("--row", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.row:
        print(json.dumps(measure(given.row[0], int(given.row[1]), given.row[2])))
        sys.exit(0)
    sys.exit(0 if report(tuple(given.accounts or SIZES)) else 1)
