"""One line in the log for each attempt that fails, and no traceback for what is expected to fail now and then."""

from __future__ import annotations

import re
from collections.abc import Callable

from support.processes import RedisServer, Stack, wait_for

from tokenworker.sandbox import Sandbox

#: How each line of ours begins.
LINE = re.compile(r"\[\d{4}-\d\d-\d\d [\d:,]+: [A-Z]+/")


def after_start(log: str, words: str = " ready.") -> list[str]:
    """Return the lines since the worker was ready."""
    return log.partition(words)[2].strip().splitlines()


def test_a_fetch_that_fails_is_one_line_whoever_made_it(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox
) -> None:
    # After ten retries the tick and the watchdog go on.
    stack = make_stack(server, sandbox, TOKENWORKER_TIME_SCALE="0.001")
    sandbox.fault("status", status=502, times=None)
    stack.worker()
    stack.beat()
    wait_for(lambda: len(re.findall("HTTP status 502", stack.log(0))) > 15, timeout=30)
    lines = after_start(stack.log(0))
    told = [line for line in lines if "HTTP status 502" in line]

    assert [line for line in told if "WARNING" not in line or "next attempt in" not in line] == []
    assert [line for line in lines if not LINE.match(line)] == []


def test_a_redis_that_is_away_is_one_line_an_attempt(
    make_stack: Callable[..., Stack], own_server: RedisServer, sandbox: Sandbox
) -> None:
    stack = make_stack(own_server, sandbox)
    stack.worker()
    stack.beat()
    wait_for(lambda: "committed" in stack.log(0))
    own_server.kill()
    wait_for(lambda: stack.log(0).count("Cannot connect") > 1 and "Trying again" in stack.log(1), timeout=20)
    lines = after_start(stack.log(0)) + after_start(stack.log(1), "Starting...")

    assert [line for line in lines if not LINE.match(line)] == []
    assert "Traceback" not in stack.logs()
