"""Prometheus, where it is installed: its tool, and a server that scrapes what a test names."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from support.ports import reserve_port
from support.web import ask

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"


def program(name: str) -> str:
    """Return where a program of Prometheus's is; skips the test where there is none."""
    unpacked = ROOT / ".venv" / "prometheus" / "usr" / "bin" / name
    found = str(unpacked) if unpacked.exists() else shutil.which(name)
    if not found:
        pytest.skip(f"needs {name}: tests/conformance/install-prometheus unpacks Debian's")
    return found


class Prometheus:
    """A Prometheus with our alerts, in a folder of its own; skips the test where there is none."""

    def __init__(self, folder: Path) -> None:
        self._program = program("prometheus")
        self._folder = folder
        self.url = f"http://127.0.0.1:{reserve_port()}"

    @contextmanager
    def scraping(self, ports: Mapping[str, int], key: str) -> Iterator[None]:
        """Have it scrape ports of this machine, by the names of their jobs, with a client's key."""
        self._folder.mkdir()
        (self._folder / "key").write_text(key)
        (self._folder / "prometheus.yml").write_text(json.dumps(_config(ports)))
        command = [self._program, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"]
        command += [f"--web.listen-address={self.url.removeprefix('http://')}"]
        with (self._folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()

    def empty(self, queries: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return those of the queries, each behind its title, that find no number; all while it does not answer."""
        return [(title, query) for title, query in queries if not self._numbers(query)]

    def _numbers(self, query: str) -> list[float]:
        try:
            answer = ask(f"{self.url}/api/v1/query?{urlencode({'query': query})}")
        except OSError:
            return []
        assert answer.status in (200, 503), answer.body
        found = answer.json["data"]["result"] if answer.status == 200 else []
        return [float(row["value"][1]) for row in found if math.isfinite(float(row["value"][1]))]


def _config(ports: Mapping[str, int]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "250ms", "evaluation_interval": "250ms"},
        "rule_files": [str(DEPLOY / "prometheus" / "alerts.yml")],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
                "authorization": {"credentials_file": "key"},
            }
            for job, port in ports.items()
        ],
    }
