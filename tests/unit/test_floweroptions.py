"""Flower as it comes up with our app."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from urllib.error import URLError

from support.processes import RedisServer, Stack, free_port, wait_for

from tokenworker.sandbox import Sandbox
from tokenworker.worker.floweroptions import set_options


def test_what_a_user_set_stays_and_what_kubernetes_set_goes() -> None:
    environ = {"FLOWER_PORT": "tcp://10.0.0.1:5555", "FLOWER_NATURAL_TIME": "False"}
    set_options(environ)

    assert environ["FLOWER_NATURAL_TIME"] == "False"
    assert environ["FLOWER_TASKS_COLUMNS"].startswith("state,result")
    assert "FLOWER_PORT" not in environ


def test_flower_shows_our_columns_by_itself_also_beside_kubernetes(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox
) -> None:
    port = free_port()
    stack = make_stack(server, sandbox, FLOWER_PORT="tcp://10.0.0.1:5555")
    stack.run("celery", "--app=tokenworker", "flower", "--address=127.0.0.1", f"--port={port}")

    def page() -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/tasks", timeout=2) as answer:
                return str(answer.read().decode())
        except URLError:
            return None

    assert "Exception" in wait_for(page, timeout=20)
