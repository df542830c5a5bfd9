"""What the units of systemd forbid keeps nobody from working."""

from __future__ import annotations

import sys
import urllib.request

import pytest
import redis
from support import cage
from support.flower import Flower
from support.ports import reserve_port
from support.processes import ROOT, Stack, wait_for, wait_for_beat

COMMON = ROOT / "deploy" / "systemd" / "tokenworker-.service.d" / "10-common.conf"


@pytest.fixture
def caged(stack: Stack) -> Stack:
    """A stack whose processes may ask of the kernel what the units allow."""
    if lack := cage.missing():
        pytest.skip(f"can't forbid what systemd forbids here: {lack}")
    stack.prefix = (sys.executable, cage.__file__, str(COMMON))
    return stack


def test_the_cage_is_one(caged: Stack) -> None:
    code = "import os\ntry:\n os.chown('.', 0, 0)\nexcept PermissionError:\n print('forbidden')"
    (caged.folder / "forbidden.py").write_text(code)
    caged.run("forbidden").wait(10)

    assert caged.log(0) == "forbidden\n"


def test_everybody_works_within_it(caged: Stack, client: redis.Redis) -> None:
    port = reserve_port()
    caged.worker()
    caged.beat()
    caged.web(port)
    flower = Flower(caged)
    wait_for_beat(client)
    wait_for(lambda: list(client.scan_iter("tokenworker:{*}:access_token")))
    flower.finds_worker_and_queue()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        assert answer.status == 200
    assert "Operation not permitted" not in caged.logs()
