"""Error trackers and tracers in the same process see no AppSecret and no token; `install` installs them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.processes import ROOT, RedisServer

from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Rules, Sandbox

pytestmark = pytest.mark.conformance

PYTHON = ROOT / ".venv" / "conformance" / "trackers" / "bin" / "python"
PROGRAM = Path(__file__).parent / "tracked.py"

CALLS = ("requests", "httpx", "async-httpx")
CASES = ["fetch", "probe", "report", *CALLS, *(f"{call}-refused" for call in CALLS)]


def tracked(server: RedisServer, sandbox: Sandbox, *arguments: str, endpoint: str = "token") -> dict[str, int]:
    if not PYTHON.exists():
        pytest.skip(f"{PYTHON.parent.parent.name}: not installed; tests/conformance/install does that")
    environ = os.environ | {
        "REDIS_URL": server.url,
        "WECHAT_API_URL": sandbox.url,
        "WECHAT_APPID": DEMO_APPID,
        "WECHAT_SECRET": DEMO_SECRET,
        "WECHAT_ENDPOINT": endpoint,
        "TOKENWORKER_FETCH_TIMEOUT": "0.5",
        "TOKENWORKER_TIME_SCALE": "0.001",
    }
    run = subprocess.run(
        [str(PYTHON), str(PROGRAM), *arguments], capture_output=True, text=True, check=False, env=environ, timeout=60
    )
    assert run.returncode == 0, run.stderr
    seen: dict[str, int] = json.loads(run.stdout.splitlines()[-1])
    return seen


@pytest.mark.parametrize("endpoint", ["token", "stable_token"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tracker", [("sentry", "1"), ("sentry", "0"), ("otel", "1")], ids="-".join)
def test_trackers_see_calls_but_no_secret(
    server: RedisServer, tracker: tuple[str, str], case: str, endpoint: str
) -> None:
    with Sandbox(Rules(life=7200)) as sandbox:
        seen = tracked(server, sandbox, *tracker, case, endpoint=endpoint)

    assert seen["hits"] == 0
    # Not for want of looking: what is traced is seen, but for what stands in it.
    assert seen["wechat"] or case == "report" or tracker == ("sentry", "0")


@pytest.mark.parametrize("kind", ["hang", "reset", "truncated", "status", "errcode"])
@pytest.mark.parametrize("case", ["fetch", "probe", "requests"])
def test_failures_show_no_secret_either(server: RedisServer, case: str, kind: str) -> None:
    with Sandbox(Rules(life=7200)) as sandbox:
        fault = {"kind": kind, "times": 3} | ({"errcode": 40001} if kind == "errcode" else {})
        seen = tracked(server, sandbox, "sentry", "1", case, json.dumps(fault))

    assert seen["hits"] == 0
