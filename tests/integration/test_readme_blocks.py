"""Every block of the README that can run does run, in both languages."""

from __future__ import annotations

import ast
import asyncio
import inspect
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from support.pages import ALL, APPID, PAGES, URL, Block, blocks
from support.processes import RedisServer, Stack, wait_for

from tokenworker import TokenReader
from tokenworker.accounts.account import load_accounts
from tokenworker.sandbox import Sandbox

#: What is run elsewhere, or can't be, by how the block begins; each with the reason.
ELSEWHERE = {
    "make": "this is one of its tests; test_makefile.py and test_up.py run the parts",
    "WECHAT_APPID=wx… WECHAT_SECRET=… make up": "needs an account of WeChat's",
    "docker compose": "needs an engine; test_compose.py looks at the file",
    "pip install": "needs a registry; the conformance suite installs the package into environments of its own",
    "redis-cli": "needs Redis's client; GET is what the reader does",
    "client = WeChatClient": "tests/conformance/wechatpy_app.py runs it",
    "const read = async": "tests/conformance/co-wechat-api.js runs it",
    "class RedisCache": "tests/conformance/node-easywechat.js runs it",
    "$app->setCache": "tests/conformance/cache.php runs the caches",
    "new WxMpRedisConfigImpl": "compared with WxJava's source",
}
#: A token of long ago.
OLD = "t" * 40
#: Run by the conformance suite.
OTHER_LANGUAGES = ("js", "php", "java", "go")

RUNNABLE = [
    block
    for block in ALL
    if block.language not in OTHER_LANGUAGES and not any(block.first.startswith(words) for words in ELSEWHERE)
]


def of(*languages: str) -> list[Block]:
    return [block for block in RUNNABLE if block.language in languages]


@pytest.fixture
def running(stack: Stack, server: RedisServer) -> Stack:
    stack.worker()
    with server.client() as client:
        wait_for(lambda: client.get(f"tokenworker:{{{APPID}}}:access_token"))
    return stack


def test_both_pages_have_the_same_blocks() -> None:
    english, chinese = ([(block.language, block.bare) for block in blocks(page)] for page in PAGES)

    assert english == chinese


def test_every_block_runs_somewhere() -> None:
    assert {block.language for block in RUNNABLE} == {"python", "toml", "console"}
    for words in ELSEWHERE:
        assert any(block.first.startswith(words) for block in ALL), words


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python_runs(block: Block, server: RedisServer, sandbox: Sandbox) -> None:
    code = block.code.replace(URL, server.url).replace("https://api.weixin.qq.com", sandbox.url).replace("{...}", "{}")
    with Celery("yourapp", broker=server.url, backend=server.url, set_as_current=False) as app:
        app.conf.beat_schedule = {}
        with TokenReader(server.url) as reader:
            # What blocks further up made.
            names: dict[str, Any] = {"app": app, "reader": reader, "token": OLD, "TokenReader": TokenReader}
            compiled = compile(code, block.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(compiled, names)  # noqa: S307  our own README
            if inspect.iscoroutine(result):
                asyncio.run(result)

    if names["token"] != OLD:
        assert sandbox.verdict(names["token"]).works


@pytest.mark.parametrize("block", of("toml"), ids=str)
def test_accounts_files_can_be_read(block: Block, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef" * 2)
    file = tmp_path / "accounts.toml"
    file.write_text(block.code.replace("/run/secrets/shop", str(tmp_path / "secret")), encoding="utf-8")
    faults: list[str] = []
    accounts = load_accounts(file, {}, faults)

    assert faults == []
    assert [account.appid for account in accounts.values()] == [APPID]


@pytest.mark.parametrize("block", of("console"), ids=str)
def test_commands_run(block: Block, running: Stack, sandbox: Sandbox) -> None:
    include = next(it.code for it in blocks(block.page) if it.code.startswith("app.conf.include"))
    url = running.environ["REDIS_URL"]
    app = f"from celery import Celery\napp = Celery('yourapp', broker={url!r}, backend={url!r})\n"
    (running.folder / "yourapp.py").write_text(app + "app.conf.beat_schedule = {}\n" + include)
    for line in block.bare.splitlines():
        command = line.removeprefix("$ ").replace("http://127.0.0.1:8788", sandbox.url)
        if command.startswith("celery"):
            starts(running, shlex.split(command))
        else:
            succeeds(running, shlex.split(command))


def starts(running: Stack, command: list[str]) -> None:
    number = len(running.processes)
    running.run(*command, PYTHONUNBUFFERED="1")
    wait_for(lambda: "[queues]" in running.log(number) or "is starting" in running.log(number))


def succeeds(running: Stack, command: list[str]) -> None:
    if command[0].endswith("tokenworker"):
        command = [sys.executable, "-m", "tokenworker.cli", *command[1:]]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=running.folder, env=running.environ)

    assert run.returncode == 0, run.stderr
    assert run.stdout
