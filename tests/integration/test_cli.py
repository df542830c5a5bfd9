"""The commands, run as a user runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result
from support.credentials import put as put_credential
from support.processes import RedisServer, Stack, wait_for
from support.readers import put_named as put
from support.targets import look

from tokenworker.cli.commands import main
from tokenworker.credential import CredentialId
from tokenworker.durations import Durations
from tokenworker.refresh.causes import Demand
from tokenworker.refresh.outcomes import reason
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Sandbox
from tokenworker.store.state import Snapshot
from tokenworker.store.store import Store

#: A shell that knows no account.
UNCONFIGURED: dict[str, str | None] = {"WECHAT_APPID": None, "WECHAT_SECRET": None}
DEMO = CredentialId(DEMO_APPID)
SECRET = "0123456789abcdef0123456789abcdef"


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def cli(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner(env={"REDIS_URL": server.url, "WECHAT_APPID": "wx1", "WECHAT_SECRET": "canary-secret"})


def ends_with_one_sentence(result: Result) -> bool:
    return result.exit_code == 1 and result.stderr.count("\n") == 1 and "Traceback" not in result.output


def test_get_prints_the_token_and_nothing_else(cli: CliRunner, store: Store) -> None:
    put(store)

    assert cli.invoke(main, ["get"]).stdout == "token-of-wx1\n"
    assert cli.invoke(main, ["get", "wx1"]).stdout == "token-of-wx1\n"


def test_get_asks_which_account_when_there_are_several(cli: CliRunner, store: Store) -> None:
    put(store)
    put(store, "wx2")
    store.notes.rename({"wx2": "shop"})
    result = cli.invoke(main, ["get"], env=UNCONFIGURED)

    assert ends_with_one_sentence(result)
    assert result.stderr == "there are 2 accounts, wx1, wx2 (shop): say which one you mean, by its id or name\n"
    assert cli.invoke(main, ["get", "wx2"]).stdout == "token-of-wx2\n"


def test_of_many_accounts_a_few_are_listed(cli: CliRunner, store: Store) -> None:
    store.schedule.add(CredentialId(f"wx{number:04}") for number in range(1000))
    result = cli.invoke(main, ["get"], env=UNCONFIGURED)

    assert ends_with_one_sentence(result)
    assert "there are 1000 accounts, wx0000, wx0001, wx0002, wx0003, wx0004 and 995 more" in result.stderr


@pytest.mark.parametrize("command", ["get", "status"])
def test_an_account_that_is_not_kept_is_an_error_that_says_which_are(
    cli: CliRunner, store: Store, client: redis.Redis, command: str
) -> None:
    put(store)
    before = client.keys("*")
    result = cli.invoke(main, [command, "wx9"])

    assert ends_with_one_sentence(result)
    assert "no account here has the id or the name 'wx9': there is wx1" in result.stderr
    assert client.keys("*") == before


# Names.


def test_a_name_stands_for_its_appid(cli: CliRunner, store: Store) -> None:
    put(store)
    put(store, "wx2")
    store.notes.rename({"wx1": "shop", "wx2": "官方旗舰店"})

    assert cli.invoke(main, ["get", "shop"]).stdout == "token-of-wx1\n"
    assert cli.invoke(main, ["get", "官方旗舰店"]).stdout == "token-of-wx2\n"
    status = cli.invoke(main, ["status", "官方旗舰店"]).stdout
    assert re.search("^wx2 +官方旗舰店 ", status, re.MULTILINE)
    assert "wx1" not in status


def test_an_appid_wins_over_a_name(cli: CliRunner, store: Store) -> None:
    put(store)
    put(store, "wx2")
    store.notes.rename({"wx2": "wx1"})

    assert cli.invoke(main, ["get", "wx1"]).stdout == "token-of-wx1\n"


def test_a_name_that_two_accounts_have_is_not_enough(cli: CliRunner, store: Store) -> None:
    put(store)
    put(store, "wx2")
    store.notes.rename({"wx1": "shop", "wx2": "shop"})
    result = cli.invoke(main, ["get", "shop"])

    assert ends_with_one_sentence(result)
    assert "wx1 (shop), wx2 (shop): that name is given twice, so write the id" in result.stderr


@pytest.mark.parametrize("nobody", ["", " ", "sh", "SHOP", "wx"])
def test_a_part_of_a_name_or_nothing_at_all_is_nobody(cli: CliRunner, store: Store, nobody: str) -> None:
    put(store)
    put(store, "wx2")
    store.notes.rename({"wx2": "shop"})
    result = cli.invoke(main, ["get", nobody])

    assert ends_with_one_sentence(result)
    assert f"no account here has the id or the name {nobody!r}: there are 2 accounts" in result.stderr


@pytest.mark.parametrize("secret", ["81_" + "a-_9Z" * 27, "c0ffee11c0ffee22c0ffee33c0ffee44"])
def test_a_token_or_a_secret_in_the_place_of_an_account_is_not_printed(
    cli: CliRunner, store: Store, secret: str
) -> None:
    put(store)
    result = cli.invoke(main, ["get", secret])

    assert ends_with_one_sentence(result)
    assert "no account here has the id or the name '***': there is wx1" in result.stderr


def test_a_name_of_the_settings_here_counts_too(cli: CliRunner, store: Store, tmp_path: Path) -> None:
    put(store, "wx2")
    file = tmp_path / "accounts.toml"
    file.write_text(f'[[account]]\nappid = "wx2"\nsecret = "{SECRET}"\nname = "shop"\n')
    environ = UNCONFIGURED | {"TOKENWORKER_ACCOUNTS": str(file)}

    assert cli.invoke(main, ["get", "shop"], env=environ).stdout == "token-of-wx2\n"


def test_status_shows_the_accounts_that_are_named(cli: CliRunner, store: Store) -> None:
    for appid in ("wx1", "wx2", "wx3"):
        put(store, appid)
    rows = cli.invoke(main, ["status", "--json", "wx3", "wx1"]).stdout.splitlines()

    assert [json.loads(row)["account"] for row in rows] == ["wx3", "wx1"]


def test_status_shows_all_credentials_of_an_account_that_is_named(cli: CliRunner, store: Store) -> None:
    put(store)
    put_credential(store, "a-ticket", name="jsapi_ticket")
    put(store, "wx2")
    store.notes.rename({"wx1": "shop"})
    rows = [json.loads(row) for row in cli.invoke(main, ["status", "--json", "shop"]).stdout.splitlines()]

    assert [(row["account"], row["credential"]) for row in rows] == [("wx1", "access_token"), ("wx1", "jsapi_ticket")]
    assert re.findall("^wx1 +(access_token|jsapi_ticket) ", cli.invoke(main, ["status"]).stdout, re.MULTILINE) == [
        "access_token",
        "jsapi_ticket",
    ]


# Which account, and where.


def test_one_account_in_the_settings_is_meant_whatever_else_is_kept(cli: CliRunner, store: Store) -> None:
    put(store)
    put(store, DEMO_APPID)

    assert cli.invoke(main, ["get"]).stdout == "token-of-wx1\n"


def test_settings_that_this_shell_cannot_use_are_no_hindrance(cli: CliRunner, store: Store) -> None:
    put(store)
    for environ in ({"WECHAT_SECRET": None}, UNCONFIGURED | {"TOKENWORKER_ACCOUNTS": "/nowhere.toml"}):
        assert cli.invoke(main, ["get"], env=environ).stdout == "token-of-wx1\n"


@pytest.mark.parametrize("command", ["get", "get wx1", "status", "status wx1", "status --json", "refresh", "leak"])
def test_where_nothing_is_kept_that_is_said_with_the_place(cli: CliRunner, server: RedisServer, command: str) -> None:
    environ = UNCONFIGURED | {"REDIS_URL": f"{server.url}?password=", "TOKENWORKER_PREFIX": "shop"}
    result = cli.invoke(main, command.split(), env=environ)

    assert ends_with_one_sentence(result)
    assert f"no account is kept here yet ({server.url}, prefix shop): does a worker run" in result.stderr
    assert result.stdout == ""


def test_the_place_is_said_without_its_password(cli: CliRunner, server: RedisServer, client: redis.Redis) -> None:
    client.acl_setuser("reader", enabled=True, passwords=["+canary"], keys=["*"], categories=["+@all"])
    for url in (
        f"redis://reader:canary@127.0.0.1:{server.port}/2",
        f"{server.url[:-2]}?username=reader&password=canary",
    ):
        result = cli.invoke(main, ["get"], env=UNCONFIGURED | {"REDIS_URL": url})
        assert "no account is kept here yet" in result.stderr
        assert "canary" not in result.output
    client.acl_deluser("reader")


def test_who_may_only_read_a_token_gets_it_by_its_appid(
    cli: CliRunner, store: Store, server: RedisServer, client: redis.Redis
) -> None:
    put(store)
    rights = ["+get", "+pttl", "+time"]
    client.acl_setuser("reader", enabled=True, passwords=["+pw"], keys=["tokenworker:{wx1}:*"], commands=rights)
    url = f"redis://reader:pw@127.0.0.1:{server.port}/0"

    assert cli.invoke(main, ["get", "wx1"], env={"REDIS_URL": url}).stdout == "token-of-wx1\n"
    assert ends_with_one_sentence(cli.invoke(main, ["get"], env={"REDIS_URL": url}))
    client.acl_deluser("reader")


@pytest.mark.parametrize("command", ["get", "get wx1", "status", "refresh", "leak"])
@pytest.mark.skipif(listens(6379), reason="a Redis of somebody else's is at the usual port")
def test_in_the_wrong_folder_it_is_said_what_to_do(cli: CliRunner, command: str) -> None:
    for environ in (UNCONFIGURED, UNCONFIGURED | {"WECHAT_APPID": "wx1"}):
        result = cli.invoke(main, command.split(), env=environ | {"REDIS_URL": None})
        assert ends_with_one_sentence(result)
        assert "REDIS_URL is not set, and nothing answers at 127.0.0.1:6379: set REDIS_URL, or run" in result.stderr
        assert "in the folder where `tokenworker up` runs" in result.stderr


# The state of all.


def test_status_shows_every_account_and_no_token(cli: CliRunner, store: Store) -> None:
    put(store)
    result = cli.invoke(main, ["status"])

    assert result.exit_code == 0
    assert "wx1" in result.stdout
    assert "live" in result.stdout
    assert "token-of" not in result.stdout


def test_status_as_json_is_one_object_an_account(cli: CliRunner, store: Store) -> None:
    put(store)
    put(store, "wx2")
    rows = [json.loads(line) for line in cli.invoke(main, ["status", "--json"]).stdout.splitlines()]

    assert [row["account"] for row in rows] == ["wx1", "wx2"]
    assert rows[0]["state"] == "live"
    assert "token-of" not in repr(rows)


def test_status_of_many_shows_counts_and_who_needs_attention(cli: CliRunner, store: Store) -> None:
    put(store)
    store.schedule.add(CredentialId(f"wx{number:04}") for number in range(120))
    lines = cli.invoke(main, ["status"]).stdout.splitlines()

    assert lines[0] == "121 credentials: 1 live, 120 missing, 0 contested"
    assert lines[1] == "70 more than are shown here: --limit or --all shows them"
    assert len(lines) == 3 + 50
    assert not any(line.startswith("wx1 ") for line in lines)


def test_status_of_many_shows_as_many_as_are_asked_for(cli: CliRunner, store: Store) -> None:
    put(store)
    store.schedule.add(CredentialId(f"wx{number:04}") for number in range(120))

    def rows(*options: str) -> list[str]:
        found = cli.invoke(main, ["status", "--json", *options]).stdout.splitlines()
        return [json.loads(row)["account"] for row in found]

    assert len(rows("--all")) == 121
    assert rows("--limit", "2") == ["wx0000", "wx0001"]
    assert rows("--state", "live") == ["wx1"]
    assert rows("wx1", "wx0003") == ["wx1", "wx0003"]
    assert rows("--state", "missing", "wx1", "wx0003") == ["wx0003"]


def test_status_fails_when_an_account_has_no_token(cli: CliRunner, store: Store) -> None:
    put(store)
    store.schedule.add([CredentialId("wx2")])
    result = cli.invoke(main, ["status"])

    assert result.exit_code == 1
    assert "missing" in result.stdout


def test_status_shows_what_is_wrong_with_the_accounts_file_until_it_is_put_right(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "accounts.toml"
    account = f'[[account]]\nappid = "{DEMO_APPID}"\nsecret = "{DEMO_SECRET}"\n'
    file.write_text(account)
    stack = make_stack(server, sandbox, WECHAT_APPID="", WECHAT_SECRET="", TOKENWORKER_ACCOUNTS=str(file))
    stack.worker()
    wait_for(lambda: DEMO in store.schedule.ids() and look(store, DEMO_APPID).credential)
    assert run_in(stack, "status").returncode == 0
    file.write_text(account + "[[account]\n")
    wait_for(store.notes.accounts_error)
    table, lines = run_in(stack, "status"), run_in(stack, "status", "--json")

    assert table.returncode == lines.returncode == 1
    assert "live" in table.stdout
    assert str(file) in table.stdout.splitlines()[-1]
    assert str(file) in json.loads(lines.stdout)["accounts_error"]
    file.write_text(account)
    wait_for(lambda: not store.notes.accounts_error())
    assert run_in(stack, "status").returncode == 0


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
    ("environ", "sentence"),
    [
        ({}, "no worker answered within 0.5 s: is one running"),
        ({"CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}, "the queue can't be reached"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "refused"),
        ({"TOKENWORKER_PREFIX": "other", "WECHAT_APPID": "wx1"}, "no worker answered within 0.5 s: no account is kept"),
    ],
)
def test_refresh_without_a_worker_or_a_queue_says_so(
    server: RedisServer, store: Store, environ: dict[str, str], sentence: str
) -> None:
    put(store)
    command = [sys.executable, "-m", "tokenworker.cli", "refresh", "wx1", "--timeout", "0.5"]
    env = os.environ | {"REDIS_URL": server.url} | environ
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=env)

    assert run.returncode == 1
    assert sentence in run.stderr
    assert run.stderr.count("\n") == 1


# What came of a refresh, when it came to nothing.


def test_a_refresh_whose_results_need_a_library_that_is_not_here_says_so(server: RedisServer, tmp_path: Path) -> None:
    shell = {"PATH": os.environ["PATH"], "REDIS_URL": server.url, "CELERY_RESULT_BACKEND": "mongodb://127.0.0.1:1"}
    environ = shell | {"WECHAT_APPID": "wx1", "WECHAT_SECRET": "canary-secret"}
    command = [sys.executable, "-m", "tokenworker.cli", "refresh"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environ)

    assert run.returncode == 1
    assert "results can't be kept: ImproperlyConfigured: You need to install the pymongo library" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("command", ["refresh", "leak"])
def test_what_keeps_an_account_from_being_refreshed_is_said(
    stack: Stack, sandbox: Sandbox, store: Store, command: str
) -> None:
    sandbox.add_account(DEMO_APPID, frozen=True)
    stack.worker()
    wait_for(lambda: DEMO in store.schedule.ids() and look(store, DEMO_APPID).error)
    run = run_in(stack, command)

    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert "40243" in run.stderr
    assert "AppSecret" in run.stderr


def test_a_failure_that_is_tried_again_is_said_too(stack: Stack, sandbox: Sandbox, store: Store) -> None:
    stack.worker()
    wait_for(lambda: DEMO in store.schedule.ids() and look(store, DEMO_APPID).credential)
    time.sleep(5)  # sooner a third token could kill the first
    sandbox.fault("status", times=50, status=502)
    run = run_in(stack, "refresh", "--timeout", "0.5")

    assert run.returncode == 1
    assert run.stderr.startswith("not refreshed within 0.5 s: ")
    assert "502" in run.stderr


def test_a_refresh_too_early_says_so_and_is_no_failure(stack: Stack, store: Store) -> None:
    stack.worker()
    wait_for(lambda: DEMO in store.schedule.ids() and look(store, DEMO_APPID).credential)
    run = run_in(stack, "refresh")

    assert run.returncode == 0
    assert json.loads(run.stdout)["outcome"] == "fresh"
    assert re.fullmatch(
        r"not refreshed: it is new, and one more could kill the one before it: again in \d s\n", run.stderr
    )


NOW = 1_000_000.0
SNAPSHOT = Snapshot(id=CredentialId("wx1"), now=NOW, credential=None, lease_left=None)


@pytest.mark.parametrize(
    ("outcome", "facts", "demand", "sentence"),
    [
        ("refreshed", {"error": "old"}, Demand(early=True), ""),
        ("busy", {"lease_left": 7.4}, Demand(), "another fetch for it is under way, for at most 7 s more"),
        ("busy", {}, Demand(), "another fetch for it is under way"),
        ("waiting", {"error": "no", "hint": "do", "retry_at": NOW + 9}, Demand(), "no: do; the next attempt is in 9 s"),
        ("waiting", {"error": "no"}, Demand(force=True), "no"),
        ("waiting", {"retry_at": NOW + 9}, Demand(), "it is too early to ask WeChat again; the next attempt is in 9 s"),
        ("fresh", {"forced_at": NOW - 5}, Demand(force=True), "so soon after the one before: again in 30 s"),
        ("fresh", {"fetched_at": NOW - 5}, Demand(early=True), "it is new, .*: again in 295 s"),
    ],
)
def test_each_outcome_has_its_reason(outcome: str, facts: dict[str, Any], demand: Demand, sentence: str) -> None:
    said = reason(outcome, replace(SNAPSHOT, **facts), demand, Durations())

    assert re.search(f"{sentence}$", said)
    assert bool(said) == bool(sentence)


def run_in(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tokenworker.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=stack.environ, cwd=stack.folder)


# The sandbox by itself.


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--account", text] for text in ("nocolon", ":secret", "wx0123456789abcdef:", "", "short:secret")),
        *(["--time-scale", text] for text in ("0", "-1", "nan", "inf", "x")),
        *(["--life", text] for text in ("0", "-1", "nan", "inf")),
        *(["--port", text] for text in ("99999", "-1", "1x")),
        ["--host", "nowhere.invalid"],
        ["--host", "a" * 70 + ".example"],
    ],
    ids=" ".join,
)
def test_what_the_sandbox_cannot_use_is_one_sentence(cli: CliRunner, arguments: list[str]) -> None:
    result = cli.invoke(main, ["sandbox", *arguments])

    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])  # noqa: S104
def test_the_sandbox_says_where_it_is_and_how_to_try_it(host: str) -> None:
    command = [sys.executable, "-m", "tokenworker.cli", "sandbox", "--port=0", f"--host={host}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(5)]
        url = re.search(r"curl '(.*)'", lines[-1])
        assert url
        with urllib.request.urlopen(url[1]) as answer:  # noqa: S310  our own
            assert json.load(answer)["access_token"]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stdout.read() == ""

    assert DEMO_APPID in lines[1]
    assert DEMO_SECRET in lines[2]


def test_the_sandbox_does_not_show_a_secret_that_was_given() -> None:
    account = "wx00000000000000aa:canary-secret"
    command = [sys.executable, "-m", "tokenworker.cli", "sandbox", "--port=0", "--account", account]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        text = "".join(process.stdout.readline() for _ in range(5))
        process.terminate()

    assert "wx00000000000000aa" in text
    assert "canary" not in text
