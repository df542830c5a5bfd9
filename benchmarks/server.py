"""A Redis server of a benchmark's own."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tokenworker.cli.up.embedded import server_command


@dataclass(frozen=True)
class Server:
    url: str
    process: subprocess.Popen[bytes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server() -> Iterator[Server]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(server_command(port, Path(folder)), stdout=subprocess.DEVNULL)
        try:
            wait_for_port(port)
            yield Server(f"redis://127.0.0.1:{port}/0", process)
        finally:
            process.kill()
            process.wait()


def wait_for_port(port: int) -> None:
    with socket.socket() as probe:
        while probe.connect_ex(("127.0.0.1", port)):
            time.sleep(0.02)
