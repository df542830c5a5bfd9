"""The commands, run as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result
from conftest import RedisServer

from tokenworker.cli import main
from tokenworker.store import TokenStore
from tokenworker.tokens import AccessToken


@pytest.fixture
def cli(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner(env={"REDIS_URL": server.url, "WECHAT_APPID": "wx1", "WECHAT_SECRET": "canary-secret"})


def put(store: TokenStore, appid: str = "wx1") -> None:
    lease = store.take_lease(appid, 5)
    assert lease
    token = AccessToken(f"token-of-{appid}", lease.taken_at + 100)
    store.commit(lease, token, refresh_at=lease.taken_at + 50)


def ends_with_one_sentence(result: Result) -> bool:
    return result.exit_code == 1 and result.stderr.count("\n") == 1 and "Traceback" not in result.output


def test_get_prints_the_token_and_nothing_else(cli: CliRunner, store: TokenStore) -> None:
    put(store)

    assert cli.invoke(main, ["get"]).stdout == "token-of-wx1\n"
    assert cli.invoke(main, ["get", "wx1"]).stdout == "token-of-wx1\n"


def test_get_asks_which_account_when_there_are_several(cli: CliRunner, store: TokenStore) -> None:
    put(store)
    put(store, "wx2")
    result = cli.invoke(main, ["get"])

    assert ends_with_one_sentence(result)
    assert "say which appid" in result.stderr
    assert cli.invoke(main, ["get", "wx2"]).stdout == "token-of-wx2\n"


def test_get_of_an_unknown_account_makes_no_key(cli: CliRunner, client: redis.Redis) -> None:
    result = cli.invoke(main, ["get", "wx9"])

    assert ends_with_one_sentence(result)
    assert "nobody keeps a token" in result.stderr
    assert client.keys("*") == []


def test_status_shows_every_account_and_no_token(cli: CliRunner, store: TokenStore) -> None:
    put(store)
    result = cli.invoke(main, ["status"])

    assert result.exit_code == 0
    assert "wx1" in result.stdout
    assert "live" in result.stdout
    assert "token-of" not in result.stdout


def test_status_as_json_is_one_object_an_account(cli: CliRunner, store: TokenStore) -> None:
    put(store)
    put(store, "wx2")
    rows = [json.loads(line) for line in cli.invoke(main, ["status", "--json"]).stdout.splitlines()]

    assert [row["appid"] for row in rows] == ["wx1", "wx2"]
    assert rows[0]["state"] == "live"
    assert "token-of" not in repr(rows)


def test_status_fails_when_an_account_has_no_token(cli: CliRunner, store: TokenStore) -> None:
    put(store)
    store.enroll(["wx2"])
    result = cli.invoke(main, ["status"])

    assert result.exit_code == 1
    assert "no token" in result.stdout


def test_check_lists_all_faults_and_shows_no_secret(cli: CliRunner) -> None:
    result = cli.invoke(main, ["check"], env={"WECHAT_SECRET_FILE": "/nowhere", "TOKENWORKER_TICK": "0"})

    assert result.exit_code == 1
    assert "WECHAT_SECRET_FILE" in result.stdout
    assert "TOKENWORKER_TICK" in result.stdout
    assert "canary-secret" not in result.output


@pytest.mark.parametrize("command", ["get", "status"])
def test_without_redis_every_command_ends_with_one_sentence(cli: CliRunner, command: str) -> None:
    result = cli.invoke(main, [command], env={"REDIS_URL": "redis://127.0.0.1:1/0"})

    assert ends_with_one_sentence(result)
    assert "refused" in result.stderr


@pytest.mark.parametrize(
    ("url", "sentence"), [("", "no worker answered"), ("redis://127.0.0.1:1/0", "the queue can't be reached")]
)
def test_refresh_without_a_worker_or_a_queue_says_so(server: RedisServer, url: str, sentence: str) -> None:
    command = [sys.executable, "-m", "tokenworker.cli", "refresh", "--timeout", "0.5"]
    environ = os.environ | {"REDIS_URL": url or server.url}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)

    assert run.returncode == 1
    assert sentence in run.stderr
    assert run.stderr.count("\n") == 1
