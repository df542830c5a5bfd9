"""The web face as compose starts it while nothing is set: well, and open to nobody."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
import yaml
from support.ports import reserve_port
from support.processes import ROOT, RedisServer
from support.web import Web

from tokenworker.web.clients.client import new_key

SERVICE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["web"]


@pytest.fixture
def web(server: RedisServer) -> Iterator[Web]:
    with Web(server.url, TOKENWORKER_WEB_CLIENTS=str(ROOT / "deploy" / "web" / "clients.toml")) as web:
        yield web


def healthcheck(port: int) -> int:
    _, *command = [word.replace("8790", str(port)) for word in SERVICE["healthcheck"]["test"]]
    return subprocess.run(command, stderr=subprocess.DEVNULL, timeout=10, check=False).returncode


def test_the_health_check_passes(web: Web) -> None:
    assert healthcheck(web.port) == 0


def test_the_health_check_fails_where_nobody_answers() -> None:
    assert healthcheck(reserve_port()) != 0


@pytest.mark.parametrize("path", ["/", "/metrics", "/v1/status", "/v1/credentials/wx1/access_token"])
def test_nobody_is_let_in(web: Web, path: str) -> None:
    assert web.ask(path).status == 401
    assert web.ask(path, new_key()).status in (401, 403)
