"""Every block of the README and the pages that can run does run, in both languages."""

from __future__ import annotations

import ast
import asyncio
import inspect
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from support.pages import APPID, RUNNABLE, URL, WECOM, Block, blocks
from support.processes import RedisServer, Stack, free_port, wait_for
from support.web import Web

from tokenworker import TokenReader
from tokenworker.accounts.file import load_accounts
from tokenworker.accounts.files import Files
from tokenworker.sandbox import DEMO_SECRET, Sandbox
from tokenworker.web.clients.registry import Clients

#: A token of long ago, and what an application of WeCom has.
OLD = "t" * 40
OF_WECOM = "w" * 40
#: Where the pages have `tokenworker web`.
WEB = "http://127.0.0.1:8790"

#: Keeps all that the pages read.
ACCOUNTS = f"""
[[account]]
appid = "{APPID}"
secret = "{DEMO_SECRET}"
keep = ["access_token", "jsapi_ticket", "wx_card_ticket"]
"""
KEPT = ("access_token", "jsapi_ticket", "wx_card_ticket")


def of(*languages: str) -> list[Block]:
    """Return what stands in these languages, once each: pages in Chinese have the same blocks but for remarks."""
    once = {block.bare: block for block in reversed(RUNNABLE) if block.language in languages}
    return list(reversed(once.values()))


@pytest.fixture
def running(make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox, tmp_path: Path) -> Stack:
    """Start a worker and beat that keep what the pages read; what WeCom would hand out is put there by hand."""
    file = tmp_path / "kept.toml"
    file.write_text(ACCOUNTS, encoding="utf-8")
    settings = {"TOKENWORKER_ACCOUNTS": str(file), "WECOM_API_URL": sandbox.url}
    stack = make_stack(server, sandbox, WECHAT_APPID="", WECHAT_SECRET="", **settings)
    stack.worker()
    stack.beat()
    with server.client() as client:
        for name in ("access_token", "jsapi_ticket", "agent_ticket"):
            client.set(f"tokenworker:{{{WECOM}}}:{name}", OF_WECOM, px=120_000)
        keys = [f"tokenworker:{{{APPID}}}:{name}" for name in KEPT]
        wait_for(lambda: all(client.mget(keys)))
    return stack


@pytest.fixture
def web(server: RedisServer) -> Iterator[Web]:
    with Web(server.url) as web:
        yield web


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python_runs(block: Block, server: RedisServer, sandbox: Sandbox) -> None:
    code = block.code.replace(URL, server.url).replace("https://api.weixin.qq.com", sandbox.url).replace("{...}", "{}")
    with Celery("yourapp", broker=server.url, backend=server.url, set_as_current=False) as app:
        app.conf.beat_schedule = {}
        with TokenReader(server.url) as reader:
            # What blocks further up made.
            names: dict[str, Any] = {
                "app": app,
                "reader": reader,
                "token": OLD,
                "ticket": OLD,
                "TokenReader": TokenReader,
            }
            compiled = compile(code, block.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(compiled, names)  # noqa: S307  our own pages
            if inspect.iscoroutine(result):
                asyncio.run(result)

    if names["token"] not in (OLD, OF_WECOM):
        assert sandbox.verdict(names["token"]).works


@pytest.mark.parametrize("block", of("toml"), ids=str)
def test_files_can_be_read(block: Block, tmp_path: Path) -> None:
    for name in ("shop", "mini", "crm"):
        (tmp_path / name).write_text("0123456789abcdef" * 2)
    file = tmp_path / "accounts.toml"
    file.write_text(block.code.replace("/run/secrets", str(tmp_path)), encoding="utf-8")
    if "[[client]]" in block.code:
        assert len(Clients(file)) == block.code.count("[[client]]")
        return
    faults: list[str] = []
    accounts = load_accounts(file, {}, Files(), faults)

    assert faults == []
    assert len(accounts) == block.code.count("[[account]]")


@pytest.mark.parametrize("block", of("console"), ids=str)
def test_commands_run(block: Block, running: Stack, sandbox: Sandbox, web: Web) -> None:
    include = next(it.code for it in blocks("docs/celery.md") if it.code.startswith("app.conf.include"))
    url = running.environ["REDIS_URL"]
    app = f"from celery import Celery\napp = Celery('yourapp', broker={url!r}, backend={url!r})\n"
    (running.folder / "yourapp.py").write_text(app + "app.conf.beat_schedule = {}\n" + include)
    for line in block.bare.splitlines():
        command = line.removeprefix("$ ").replace("http://127.0.0.1:8788", sandbox.url).replace(WEB, web.url)
        command = command.replace("--port=5555", f"--port={free_port()}")
        if command.startswith("celery"):
            starts(running, shlex.split(command))
        else:
            succeeds(running, shlex.split(command))


def starts(running: Stack, command: list[str]) -> None:
    number = len(running.processes)
    running.run(*command, PYTHONUNBUFFERED="1")
    signs = ("[queues]", "is starting", "Visit me at")
    wait_for(lambda: any(sign in running.log(number) for sign in signs))


def succeeds(running: Stack, command: list[str]) -> None:
    if command[0].endswith("tokenworker"):
        command = [sys.executable, "-m", "tokenworker.cli", *command[1:]]
    run = execute(running, command)
    if "check" in command and run.returncode:
        # The first tick takes a moment.
        wait_for(lambda: execute(running, command).returncode == 0)
        run = execute(running, command)

    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout


def execute(running: Stack, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=running.folder, env=running.environ)
