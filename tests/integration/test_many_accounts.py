"""Many accounts: a worker, its forks and commands read their file no oftener than they must."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import redis
from support.opened import OpenedElsewhere
from support.processes import Stack, wait_for, wait_for_beat

from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET

KEY = f"tokenworker:{{{DEMO_APPID}}}:access_token"


class Many:
    """A stack whose one account stands in a file, with its secret in another; notes who opens them."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.file, self.secret = folder / "accounts" / "accounts.toml", folder / "accounts" / "secret"
        self.file.parent.mkdir()
        self.file.write_text(f'[[account]]\nappid = "{DEMO_APPID}"\nname = "shop"\nsecret_file = "{self.secret}"\n')
        self.secret.write_text(DEMO_SECRET)
        self.opened = OpenedElsewhere(self.file.parent, folder / "notes")
        stack.environ |= {"TOKENWORKER_ACCOUNTS": str(self.file), **self.opened.environ}
        del stack.environ["WECHAT_APPID"], stack.environ["WECHAT_SECRET"]

    @property
    def once(self) -> list[str]:
        return [str(self.file), str(self.secret)]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tokenworker.cli.commands", *arguments]
        environ = self.stack.environ
        return subprocess.run(command, capture_output=True, text=True, cwd=self.stack.folder, env=environ, check=False)


def wait_for_ticks(client: redis.Redis) -> None:
    """Wait until every thread or fork of a few has had a tick."""
    wait_for(lambda: client.get(KEY))
    for _ in range(5):
        wait_for_beat(client)


@pytest.fixture
def many(stack: Stack, tmp_path: Path) -> Many:
    return Many(stack, tmp_path)


@pytest.mark.parametrize("options", [("-P", "threads", "-c", "3"), ("-P", "processes", "-c", "3")])
def test_a_worker_and_all_its_forks_read_the_accounts_once(
    options: tuple[str, ...], many: Many, client: redis.Redis
) -> None:
    many.stack.worker(*options)
    many.stack.beat()
    wait_for_ticks(client)

    assert many.opened.names() == many.once


def test_a_fork_that_starts_later_reads_nothing_either(many: Many, client: redis.Redis) -> None:
    many.stack.worker("-P", "processes", "-c", "1", "--max-tasks-per-child", "1")
    many.stack.beat()
    wait_for_ticks(client)

    assert many.opened.names() == many.once


def test_a_changed_file_is_read_by_whoever_notices_and_by_nobody_twice(many: Many, client: redis.Redis) -> None:
    many.stack.worker("-P", "threads", "-c", "3")
    many.stack.beat()
    wait_for_ticks(client)
    many.file.write_text(many.file.read_text().replace("shop", "store"))
    wait_for_ticks(client)

    assert many.opened.names() == many.once * 2


def test_faults_are_all_listed_after_one_reading(many: Many) -> None:
    with many.file.open("a") as file:
        file.write('[[account]]\nappid = "other"\n')
    many.secret.write_text("no secret")
    process = many.stack.run("celery", "--app=tokenworker", "worker")

    assert process.wait(30) != 0
    assert "account 2 (other): secret is missing" in many.stack.logs()
    assert "secret_file holds no AppSecret" in many.stack.logs()
    assert many.opened.names() == many.once


def test_a_check_reads_the_accounts_once(many: Many) -> None:
    found = many.command("check")

    assert "1 account" in found.stdout
    assert many.opened.names() == many.once


def test_a_command_about_an_id_that_is_kept_reads_no_accounts(many: Many, client: redis.Redis) -> None:
    many.stack.worker("-P", "threads")
    wait_for(lambda: client.get(KEY))
    before = many.opened.names()

    assert many.command("get", DEMO_APPID).returncode == 0
    assert many.opened.names() == before
    assert many.command("get", "shop").returncode == 0
    assert many.opened.names() == before + many.once
