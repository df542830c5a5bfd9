"""What one installation with 100,000 accounts costs, and whether it keeps them all.

Each part prints a goal and a figure; ends with 1 when a goal is missed. Goals are ratios inside one run wherever
possible, since a machine that does something else is slower at everything.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import redis
from server import free_port, running_server, wait_for_port

HERE = Path(__file__).parent
SECRET = "0" * 32

#: Printed with each goal.
Results = Iterator[tuple[str, bool]]


def appid(number: int) -> str:
    return f"wx{number:016x}"


@dataclass
class Installation:
    """Accounts, a Redis of their own, WeChat in its barest form, and whatever runs for them, in one folder."""

    folder: Path
    url: str
    upstream: str
    environ: dict[str, str] = field(default_factory=dict)

    def write_accounts(self, count: int) -> None:
        rows = (f'[[account]]\nappid = "{appid(number)}"\nsecret = "{SECRET}"\n' for number in range(count))
        (self.folder / "accounts.toml").write_text("\n".join(rows))

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "REDIS_URL": self.url,
            "WECHAT_API_URL": self.upstream,
            "TOKENWORKER_ACCOUNTS": str(self.folder / "accounts.toml"),
            **self.environ,
        }

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    @contextmanager
    def running(self, *command: str) -> Iterator[None]:
        with (self.folder / f"{time.monotonic_ns()}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], stdout=log, stderr=log, cwd=self.folder, env=self.environment
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait()

    @contextmanager
    def workers(self, count: int) -> Iterator[None]:
        """Run workers as the README starts them, and a beat."""
        with ExitStack() as stack:
            for number in range(count):
                name = f"--hostname=w{number}@%h"
                stack.enter_context(
                    self.running("celery", "--app=tokenworker", "worker", "-P", "threads", "-c", "8", name)
                )
            stack.enter_context(self.running("celery", "--app=tokenworker", "beat"))
            yield

    def calls(self) -> list[float]:
        with urllib.request.urlopen(f"{self.upstream}/calls") as answer:  # noqa: S310  our own
            calls: list[float] = json.load(answer)
        return calls


@contextmanager
def installation(accounts: int, life: int = 7200, **environ: str) -> Iterator[Installation]:
    port = free_port()
    with TemporaryDirectory() as folder, running_server() as server:
        upstream = subprocess.Popen(
            [sys.executable, str(HERE / "upstream.py"), "--port", str(port), "--life", str(life)]
        )
        try:
            wait_for_port(port)
            made = Installation(Path(folder), server.url, f"http://127.0.0.1:{port}", environ)
            made.write_accounts(accounts)
            yield made
        finally:
            upstream.kill()
            upstream.wait()


def live(client: redis.Redis, accounts: int) -> int:
    keys = [f"tokenworker:{{{appid(number)}}}:access_token" for number in range(accounts)]
    return int(client.exists(*keys))  # type: ignore[arg-type]  # redis-py's types know of async clients


# The set rate


def steady(seconds: int = 180) -> Results:
    """Keep 943 accounts whose tokens live 75 s: as many fetches a second as 100,000 accounts need."""
    with installation(943, life=75, TOKENWORKER_LEEWAY="10") as made, made.workers(1), made.client() as client:
        began, counts = time.monotonic(), []
        while (spent := time.monotonic() - began) < seconds:
            time.sleep(5)
            if spent >= 60:  # noqa: PLR2004  a cold start takes 943 / 20 s
                counts.append(live(client, 943))
    yield f"943 accounts of 943 have a token at every look from 60 s on: {counts}", min(counts) == 943  # noqa: PLR2004


def cold(accounts: int = 2000) -> Results:
    """Fetch the first tokens with the default rate of 20 a second."""
    for workers in (1, 3):
        with installation(accounts) as made, made.workers(workers):
            end = time.monotonic() + accounts / 20 * 3
            while len(calls := made.calls()) < accounts and time.monotonic() < end:
                time.sleep(1)
        rate = (len(calls) - 1) / (calls[-1] - calls[0])
        sentence = (
            f"{workers} worker(s) make at least 19 of 20 fetches a second from cold: {rate:.1f}, {len(calls)} in all"
        )
        yield sentence, rate >= 19 and len(calls) >= accounts  # noqa: PLR2004


PARTS: dict[str, Callable[[], Results]] = {"steady": steady, "cold": cold}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all by default")
    missed = 0
    for name in parser.parse_args().parts or PARTS:
        for sentence, reached in PARTS[name]():
            print("pass" if reached else "FAIL", f"{name:10}", sentence, flush=True)
            missed += not reached
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
