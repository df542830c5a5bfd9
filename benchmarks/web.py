"""What a read over HTTP costs: `GET /v1/credentials/…` beside a bare Tornado handler that returns a constant.

Both servers run in processes of their own and are asked in turns, over connections that stay open, so that what else
the machine does hits both alike; on a busy one, judge by requests a second of the server's own processor time, as the
goal does. Ends with 1 when it is missed. (Not called http.py: each script in this folder would import it for Python's.)
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import redis
from server import free_port, running_server, wait_for_port
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from tokenworker.credential import Credential, CredentialId
from tokenworker.settings.config import Config
from tokenworker.store.store import Store
from tokenworker.web.clients.client import digest, new_key
from tokenworker.web.connections import listen
from tokenworker.web.held import Held
from tokenworker.web.server import serve

APPID = "wx0123456789abcdef"
#: Of a client's file: one that is asked with, among so many.
CLIENTS = 100
CONNECTIONS = 32
ROUNDS = 50
SECONDS = 0.2
#: The goal: requests a second of processor time, as a share of the bare handler's.
LEAST = 0.7


class Constant(RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.write(
            '{"account":"wx0123456789abcdef","name":"access_token","value":"' + "t" * 136 + '","expires_in":7199}'
        )


async def bare(port: int) -> None:
    HTTPServer(Application([("/v1/.*", Constant)])).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


async def ours(port: int, url: str, clients: str) -> None:
    config = Config.from_env({"REDIS_URL": url, "TOKENWORKER_WEB_CLIENTS": clients})
    await serve(Held.from_config(config, config.broker_url), listen("127.0.0.1", port), asyncio.Event())


@contextmanager
def child(*arguments: str) -> Iterator[tuple[int, int]]:
    """Serve in a process of its own, and yield its port and its id."""
    port = free_port()
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(port), *arguments])
    try:
        wait_for_port(port)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def put(url: str) -> None:
    """Put a token into Redis as a worker does."""
    store = Store(redis.Redis.from_url(url))
    taken = store.records.lease(CredentialId(APPID), 5)
    assert taken
    lease, _ = taken
    store.records.commit(lease, Credential("t" * 136, lease.taken_at + 7200), refresh_at=lease.taken_at + 6900)


class Asker(asyncio.Protocol):
    """Asks again as soon as it has an answer; it costs so little that the server is what is measured."""

    def __init__(self, request: bytes, times: list[float]) -> None:
        self._request = request
        self._times = times
        self._length = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        if not self._length:
            # All answers are of one length, and come in one piece.
            assert data.startswith(b"HTTP/1.1 200"), data
            self._length = len(data)
        assert len(data) == self._length
        self._times.append(time.perf_counter() - self._began)
        self._ask()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)


async def load(port: int, key: str, seconds: float) -> list[float]:
    """Ask for so long over all connections, and return how long each answer took."""
    times: list[float] = []
    request = (
        f"GET /v1/credentials/{APPID}/access_token HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Asker(request, times), "127.0.0.1", port) for _ in range(CONNECTIONS)]
    await asyncio.sleep(seconds)
    for transport, _ in made:
        transport.abort()
    return times


def spent(pid: int) -> float:
    """Return the processor's time that a process took, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def clients_file(folder: Path) -> tuple[Path, str]:
    keys = [new_key() for _ in range(CLIENTS)]
    file = folder / "clients.toml"
    tables = (f'[[client]]\nname = "c{n}"\nkey_sha256 = "{digest(key)}"\n' for n, key in enumerate(keys))
    file.write_text("".join(tables), encoding="utf-8")
    return file, keys[CLIENTS // 2]


@dataclass
class Taken:
    """What one server was measured to do: how long each answer took in each round, and its processor's time."""

    port: int
    pid: int
    rounds: list[list[float]] = field(default_factory=list)
    cpu: float = 0.0

    def run(self, key: str, seconds: float) -> None:
        before = spent(self.pid)
        self.rounds.append(asyncio.run(load(self.port, key, seconds)))
        self.cpu += spent(self.pid) - before

    def rate(self, seconds: float) -> float:
        return median(len(times) / seconds for times in self.rounds)

    @property
    def pace(self) -> float:
        """Requests a second of the processor's time that the server took."""
        return len(self.times) / self.cpu

    @property
    def times(self) -> list[float]:
        return [1000 * time_ for times in self.rounds for time_ in times]


def measure(rounds: int, seconds: float) -> dict[str, Taken]:
    with ExitStack() as stack:
        url = stack.enter_context(running_server()).url
        put(url)
        file, key = clients_file(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        commands = {"bare": ["bare"], "ours": ["ours", url, str(file)]}
        taken = {name: Taken(*stack.enter_context(child(*command))) for name, command in commands.items()}
        for each in taken.values():
            asyncio.run(load(each.port, key, seconds / 2))
        for _ in range(rounds):
            for each in taken.values():
                each.run(key, seconds)
    return taken


def report(taken: dict[str, Taken], seconds: float) -> float:
    print(f"{CONNECTIONS} connections, {CLIENTS} clients in the file; rounds of {seconds:g} s, in turns")
    print(f"{'':6}{'requests/s':>12}{'per CPU s':>12}{'median ms':>12}{'p99 ms':>12}")
    for name, each in taken.items():
        p99 = quantiles(each.times, n=100)[98]
        print(f"{name:6}{each.rate(seconds):12.0f}{each.pace:12.0f}{median(each.times):12.2f}{p99:12.2f}")
    return taken["ours"].pace / taken["bare"].pace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        port, name, *rest = given.serve
        asyncio.run(bare(int(port)) if name == "bare" else ours(int(port), *rest))
        return
    share = report(measure(given.rounds, given.seconds), given.seconds)
    fine = "ok  " if share >= LEAST else "MISS"
    print(f"{fine} at least {LEAST} of a bare handler's requests a second: {share:.2f}")
    sys.exit(share < LEAST)


if __name__ == "__main__":
    main()
