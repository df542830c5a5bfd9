"""Settings and accounts files as people and platforms spoil them: one message, a sentence a fault, no secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from tokenworker.cli.commands import main

APPID = "wxfedcba9876543210"
#: Looks like an AppSecret; nothing that people see may hold it, nor a part of it.
CANARY = "c0ffee11c0ffee22c0ffee33c0ffee44"
TOKEN = "81_" + "a-_9Z" * 27
CANARY_PARTS = [CANARY[at : at + 8] for at in range(0, 32, 8)]
SINGLE = {"WECHAT_APPID": APPID, "WECHAT_SECRET": CANARY}
SHELL = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
TITLE = "tokenworker cannot start with these settings:"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def faults(message: str) -> list[str]:
    """Return the faults of the message that ends a start, after a look at its shape."""
    title, *lines = message.rstrip("\n").split("\n")
    assert title == TITLE
    assert [line[:4] for line in lines] == ["  - "] * len(lines)
    assert max(map(len, lines)) < 400
    assert not [part for part in CANARY_PARTS if part in message.lower()]
    assert TOKEN[:10] not in message
    return [line[4:] for line in lines]


def checked(environ: Mapping[str, str]) -> list[str]:
    """Return the faults that `tokenworker check` finds."""
    result = CliRunner().invoke(main, ["check", "--json"], env=dict(environ))
    assert result.exit_code == 1
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert {(it["level"], it["subject"]) for it in found} <= {("fault", "settings")}
    # A file .env that can't be read ends every command in the same way.
    return faults(result.stderr or "\n  - ".join([TITLE, *(it["sentence"] for it in found)]))


# Settings.

SETTINGS: list[tuple[dict[str, str], list[str]]] = [
    # Nothing, or half of it.
    ({}, ["no account is configured: set WECHAT_APPID and WECHAT_SECRET"]),
    ({"WECHAT_APPID": " ", "WECHAT_SECRET": "\t"}, ["no account is configured"]),
    ({"WECHAT_APPID": APPID}, ["WECHAT_SECRET or WECHAT_SECRET_FILE for WECHAT_APPID: neither is set"]),
    ({"WECHAT_SECRET": CANARY}, ["WECHAT_APPID is missing"]),
    ({"WECHAT_SECRET_FILE": "/none"}, ["WECHAT_APPID is missing", "WECHAT_SECRET_FILE /none can't be read"]),
    (SINGLE | {"WECHAT_SECRET_FILE": "/none"}, ["both are set"]),
    ({"WECHAT_ENDPOINT": "token"}, ["WECHAT_APPID is missing", "neither is set"]),
    # Appids and secrets in each other's place, and in pieces.
    ({"WECHAT_APPID": CANARY, "WECHAT_SECRET": APPID}, ["WECHAT_APPID must be an appid"]),
    ({"WECHAT_APPID": f"{APPID}:{CANARY}", "WECHAT_SECRET": CANARY}, ["WECHAT_APPID must be an appid"]),
    ({"WECHAT_APPID": f"{APPID},wx2", "WECHAT_SECRET": CANARY}, ["WECHAT_APPID must be an appid"]),
    ({"WECHAT_APPID": APPID, "WECHAT_SECRET": f"{CANARY} {CANARY}"}, ["WECHAT_SECRET holds no AppSecret"]),
    ({"WECHAT_APPID": "ｗｘ０１", "WECHAT_SECRET": CANARY}, ["WECHAT_APPID must be an appid"]),  # noqa: RUF001
    ({"WECHAT_APPID": "wx\u200b123", "WECHAT_SECRET": CANARY}, ["WECHAT_APPID must be an appid"]),
    ({"WECHAT_APPID": "公众号", "WECHAT_SECRET": CANARY}, ["WECHAT_APPID must be an appid"]),
    ({"WECHAT_APPID": "wx" * 100_000, "WECHAT_SECRET": CANARY}, ["WECHAT_APPID must be an appid"]),
    ({"WECHAT_APPID": APPID, "WECHAT_SECRET": f"{CANARY}\n{CANARY}"}, ["WECHAT_SECRET holds no AppSecret"]),
    ({"WECHAT_APPID": APPID, "WECHAT_SECRET": f"“{CANARY}”"}, ["WECHAT_SECRET holds no AppSecret"]),
    ({"WECHAT_APPID": APPID, "WECHAT_SECRET": CANARY * 40_000}, ["WECHAT_SECRET holds no AppSecret"]),
    ({"WECHAT_APPID": APPID, "WECHAT_SECRET": f"\ufeff{CANARY}"}, ["WECHAT_SECRET holds no AppSecret"]),
    ({"WECHAT_APPID": f"'{APPID}'", "WECHAT_SECRET": f"'{CANARY}'"}, ["WECHAT_APPID is in", "WECHAT_SECRET is in"]),
    # Secret files that are something else.
    ({"WECHAT_APPID": APPID, "WECHAT_SECRET_FILE": CANARY}, ["WECHAT_SECRET_FILE can't be read: No such file"]),
    ({"WECHAT_APPID": APPID, "WECHAT_SECRET_FILE": "/"}, ["WECHAT_SECRET_FILE / can't be read: it is a directory"]),
    ({"WECHAT_APPID": APPID, "WECHAT_SECRET_FILE": "/dev/zero"}, ["it is not a regular file"]),
    ({"WECHAT_APPID": APPID, "WECHAT_SECRET_FILE": "~/secret"}, ["only a shell replaces the ~"]),
    ({"WECHAT_APPID": APPID, "WECHAT_SECRET_FILE": "/dev/" + "y" * 300}, ["can't be read: File name too long"]),
    ({"WECHAT_APPID": APPID, "WECHAT_SECRET_FILE": sys.executable}, ["WECHAT_SECRET_FILE"]),
    # What people write for an endpoint or a key.
    (SINGLE | {"WECHAT_ENDPOINT": "/cgi-bin/token"}, ["WECHAT_ENDPOINT must be stable_token or token"]),
    (SINGLE | {"WECHAT_ENDPOINT": "TOKEN"}, ["WECHAT_ENDPOINT must be stable_token or token"]),
    (SINGLE | {"WECHAT_TOKEN_KEY": "a\x1bb"}, ["WECHAT_TOKEN_KEY must be a Redis key"]),
    (SINGLE | {"WECHAT_TOKEN_KEY": "tokenworker:{wx}:access_token"}, ["WECHAT_TOKEN_KEY is one of tokenworker's own"]),
    # Numbers.
    (SINGLE | {"TOKENWORKER_TICK": "５"}, ["TOKENWORKER_TICK is '５': write a number"]),  # noqa: RUF001
    (SINGLE | {"TOKENWORKER_TICK": "1_0"}, ["TOKENWORKER_TICK is '1_0': write a number"]),
    (SINGLE | {"TOKENWORKER_TICK": "fünf"}, ["TOKENWORKER_TICK is 'fünf': write a number"]),
    (SINGLE | {"TOKENWORKER_TICK": "5 s"}, ["TOKENWORKER_TICK is '5 s': write a number"]),
    (SINGLE | {"TOKENWORKER_TICK": "-0"}, ["TOKENWORKER_TICK is '-0': write a number"]),
    (
        SINGLE | {"TOKENWORKER_TICK": "nan", "TOKENWORKER_FETCH_TIMEOUT": "-inf"},
        ["TOKENWORKER_TICK", "TOKENWORKER_FETCH"],
    ),
    (SINGLE | {"TOKENWORKER_TIME_SCALE": "1" * 5000}, ["TOKENWORKER_TIME_SCALE is '***'"]),
    *(
        (SINGLE | {name: value}, [f"{name} is '{shown}': write a"])
        for name in (
            "TOKENWORKER_TICK",
            "TOKENWORKER_LEEWAY",
            "TOKENWORKER_FETCH_TIMEOUT",
            "TOKENWORKER_FETCH_RATE",
            "TOKENWORKER_FETCH_CONCURRENCY",
            "TOKENWORKER_TIME_SCALE",
        )
        for value, shown in (
            (CANARY, "***"),
            (CANARY[:-1], "***"),
            (TOKEN, "***"),
            (f"the AppSecret is: {CANARY.upper()}", "the AppSecret is: ***"),
        )
    ),
    (SINGLE | {"TOKENWORKER_PREFIX": f"a {CANARY}"}, ["TOKENWORKER_PREFIX is 'a ***': use letters"]),
    (SINGLE | {"TOKENWORKER_LEEWAY": "0x12c"}, ["TOKENWORKER_LEEWAY is '0x12c': write a number"]),
    (SINGLE | {"TOKENWORKER_LEEWAY": "7200"}, ["TOKENWORKER_LEEWAY is 7200, but WECHAT_APPID has the endpoint"]),
    (SINGLE | {"TOKENWORKER_FETCH_RATE": "20/s"}, ["TOKENWORKER_FETCH_RATE is '20/s': write a number"]),
    (
        SINGLE | {"TOKENWORKER_FETCH_CONCURRENCY": "8.0"},
        ["TOKENWORKER_FETCH_CONCURRENCY is '8.0': write a whole number"],
    ),
    (SINGLE | {"TOKENWORKER_TICK": "\x1b[2J\x07"}, ["TOKENWORKER_TICK is '\\x1b[2J\\x07': write a number"]),
    # URLs.
    (SINGLE | {"REDIS_URL": "redis：//localhost"}, ["REDIS_URL must begin with one of redis://"]),  # noqa: RUF001
    (SINGLE | {"REDIS_URL": f"redis://:{CANARY}@localhost:６３７９"}, ["REDIS_URL is malformed"]),  # noqa: RUF001
    (SINGLE | {"REDIS_URL": f"redis://:{CANARY}@localhost\nredis://other"}, ["REDIS_URL is malformed"]),
    (SINGLE | {"REDIS_URL": f"'redis://:{CANARY}@localhost/x'"}, ["REDIS_URL is in quotes", "REDIS_URL is malformed"]),
    (SINGLE | {"REDIS_URL": f"redis-cli -a {CANARY} -h localhost"}, ["REDIS_URL must begin with one of redis://"]),
    (SINGLE | {"REDIS_URL": "redis://h x" + "h" * 1_000_000}, ["REDIS_URL is malformed"]),
    (SINGLE | {"WECHAT_API_URL": f"https://api.weixin.qq.com?secret={CANARY}"}, ["WECHAT_API_URL is malformed"]),
    (SINGLE | {"WECHAT_API_URL": "http://api.weixin.qq.com"}, ["WECHAT_API_URL would send the AppSecret in clear"]),
    (SINGLE | {"WECHAT_PROXY": f"socks5://me:{CANARY}@proxy:1080"}, ["WECHAT_PROXY is malformed"]),
    ({"TOKENWORKER_SANDBOX": f"{CANARY}:8788"}, ["TOKENWORKER_SANDBOX is malformed"]),
    (
        SINGLE | {"BROKER_URL": f"redis://:{CANARY}@a", "CELERY_BROKER_URL": "redis://b"},
        ["BROKER_URL and CELERY_BROKER"],
    ),
    # Places of results.
    (SINGLE | {"CELERY_RESULT_BACKEND": f"nope://:{CANARY}@h"}, ["CELERY_RESULT_BACKEND names no place that Celery"]),
    (SINGLE | {"CELERY_RESULT_BACKEND": "memcached://h"}, ["CELERY_RESULT_BACKEND names no place that Celery knows"]),
    (SINGLE | {"CELERY_RESULT_BACKEND": CANARY}, ["CELERY_RESULT_BACKEND names no place that Celery knows"]),
    (SINGLE | {"CELERY_RESULT_BACKEND": "redis"}, ["CELERY_RESULT_BACKEND names no server: write for example redis:"]),
    (SINGLE | {"RESULT_BACKEND": "nope://"}, ["RESULT_BACKEND names no place that Celery knows"]),
    # Prefixes.
    (SINGLE | {"TOKENWORKER_PREFIX": "{tokenworker}"}, ["TOKENWORKER_PREFIX is '{tokenworker}': use letters"]),
    (SINGLE | {"TOKENWORKER_PREFIX": "a\nb"}, ["TOKENWORKER_PREFIX is 'a\\nb': use letters"]),
    # Paths of accounts files.
    ({"TOKENWORKER_ACCOUNTS": "accounts.toml"}, ["accounts.toml (in /"]),
    ({"TOKENWORKER_ACCOUNTS": "~/accounts.toml"}, ["only a shell replaces the ~"]),
    ({"TOKENWORKER_ACCOUNTS": "$HOME/accounts.toml"}, ["$HOME/accounts.toml (in /"]),
    ({"TOKENWORKER_ACCOUNTS": "/"}, ["/: can't be read: it is a directory"]),
    ({"TOKENWORKER_ACCOUNTS": "/dev/null/x"}, ["/dev/null/x: can't be read: Not a directory"]),
    ({"TOKENWORKER_ACCOUNTS": "x" * 5000}, ["xxx"]),
    (
        {"TOKENWORKER_ACCOUNTS": f'[[account]]\nappid = "a"\nsecret = "{CANARY}"'},
        ["TOKENWORKER_ACCOUNTS must be the path"],
    ),
    ({"TOKENWORKER_ACCOUNTS": f"account=[{{secret='{CANARY}'}}]"}, ["TOKENWORKER_ACCOUNTS must be the path"]),
    ({"TOKENWORKER_ACCOUNTS": CANARY}, ["TOKENWORKER_ACCOUNTS must be the path"]),
    ({"TOKENWORKER_ACCOUNTS": f" {CANARY}:{CANARY}"}, ["***:*** (in /"]),
    ({"TOKENWORKER_ACCOUNTS": f"secret={CANARY.upper()}"}, ["secret=*** (in /"]),
    ({"TOKENWORKER_ACCOUNTS": f"/run/{CANARY}/accounts.toml"}, ["/run/***/accounts.toml: can't be read: No such"]),
    ({"TOKENWORKER_ACCOUNTS": f"/{'run/' * 46}{CANARY}"}, ["run/***: can't be read: No such"]),
    ({"TOKENWORKER_ACCOUNTS": TOKEN}, ["*** (in /"]),
    (
        {"TOKENWORKER_ACCOUNTS": "/etc/the-accounts-of-all-shops-in-the-whole-country-2026/accounts.toml"},
        ["/etc/the-accounts-of-all-shops-in-the-whole-country-2026/accounts.toml: can't be read: No such"],
    ),
    # Names that are not ours, or nearly.
    (SINGLE | {"TOKENWORKER_ACCOUNT": "/x"}, ["TOKENWORKER_ACCOUNT is set, but there is no such setting"]),
    ({"WECHAT_APP_ID": APPID, "WECHAT_APPSECRET": CANARY}, ["WECHAT_APP_ID is", "WECHAT_APPSECRET is", "no account"]),
    (SINGLE | {f"TOKENWORKER_{CANARY}": "1"}, ["TOKENWORKER_*** is set, but there is no such setting"]),
    (SINGLE | {f"TOKENWORKER_TICK_{CANARY}": "1"}, ["TOKENWORKER_TICK_*** is set, but there is no such setting"]),
    # A bit of everything.
    (
        {"REDIS_URL": CANARY, "TOKENWORKER_TICK": "x", "WECHAT_SECRET": CANARY, "TOKENWORKER_TOCK": "1"},
        ["REDIS_URL", "TOKENWORKER_TICK", "TOKENWORKER_TOCK", "WECHAT_APPID is missing"],
    ),
]


def account(*lines: str) -> str:
    """Return one account, less the fields that the lines give anew."""
    fields = {"appid": f'"{APPID}"', "secret": f'"{CANARY}"'}
    kept = [f"{name} = {value}" for name, value in fields.items() if not any(line.startswith(name) for line in lines)]
    return "\n".join(["[[account]]", *kept, *lines, ""])


# Accounts files.

FILES: list[tuple[str | bytes, list[str]]] = [
    # Nothing, or something else.
    ("", ["lists no account"]),
    (" \n\t\n", ["lists no account"]),
    ("\ufeff", ["lists no account"]),
    ("account = []", ["lists no account"]),
    (f"WECHAT_APPID={APPID}\nWECHAT_SECRET={CANARY}\n", ["is not TOML: look at line 1"]),
    (f'{{"account": [{{"appid": "{APPID}", "secret": "{CANARY}"}}]}}', ["is not TOML: look at line 1"]),
    (f"account:\n  - appid: {APPID}\n    secret: {CANARY}\n", ["is not TOML: look at line 1"]),
    (f"<account secret='{CANARY}'/>", ["is not TOML: look at line 1"]),
    (f"{APPID} {CANARY}\n", ["is not TOML: look at line 1"]),
    # Encodings.
    (account('name = "店"').encode("gbk"), ["is not UTF-8 text"]),
    (account().encode("utf-16"), ["is not UTF-8 text"]),
    (account().encode("utf-16-le"), ["is not TOML"]),
    (account('name = "é"').encode("latin-1"), ["is not UTF-8 text"]),
    (account().encode() + b"\x00", ["is not TOML"]),
    (account().encode()[:-3] + b"\xff", ["is not UTF-8 text"]),
    (account().replace("\n", "\r"), ["is not TOML"]),
    (account().replace("[[account]]", "［［account］］"), ["is not TOML: look at line 1"]),  # noqa: RUF001
    (account().replace(" = ", "＝"), ["is not TOML: look at line 2"]),  # noqa: RUF001
    (account().replace('"', "”"), ["is not TOML: look at line 2"]),
    (account().replace("\n", "\u2028"), ["is not TOML: look at line 1"]),
    # Brackets.
    (account().replace("[[account]]", "[account]"), ["write [[account]], with two brackets"]),
    (account().replace("[[account]]", "[[account]"), ["is not TOML"]),
    (account().replace("[[account]]", "[[[account]]]"), ["is not TOML"]),
    (account().replace("[[account]]", "[[accounts]]"), ["'accounts' is unknown here"]),
    (account().replace("[[account]]", "[[Account]]"), ["'Account' is unknown here"]),
    (account() + account().replace("[[account]]", "[account]"), ["is not TOML"]),
    (account().replace("[[account]]\n", ""), ["'appid' is unknown", "'secret' is unknown"]),
    (f'account = ["{APPID}"]', ["write [[account]], with two brackets"]),
    ("account = 2026-01-01", ["write [[account]], with two brackets"]),
    (f"account = {'[' * 900}{']' * 900}", ["account"]),
    (f"x = {'[' * 100_000}", ["is not TOML"]),
    (f"x = {'{a=' * 100_000}", ["is not TOML"]),
    (f'account = [{{ appid = "{APPID}", secret = "{CANARY}" }}, 1]', ["write [[account]], with two brackets"]),
    # Fields of the wrong type.
    (account("appid = 2026-01-01T00:00:00Z"), ["appid must be an appid"]),
    (account("appid = 0xfedcba9876543210"), ["appid must be an appid"]),
    (account("appid = nan"), ["appid must be an appid"]),
    (account('appid = "ｗｘ０１"'), ["appid must be an appid"]),  # noqa: RUF001
    (account(f'appid = "{APPID}\\u200b"'), ["appid must be an appid"]),
    (account(f'appid = "{"w" * 1_000_000}"'), ["appid must be an appid"]),
    (account("secret = 07:32:00"), ["secret must be a text"]),
    (account(f'secret = [["{CANARY}"]]'), ["secret must be a text"]),
    (account(f'secret.value = "{CANARY}"'), ["secret must be a text"]),
    (account(f'secret = "{CANARY * 40_000}"'), ["secret holds no AppSecret"]),
    (account(f'secret = """\n{CANARY}\n{CANARY}\n"""'), ["secret holds no AppSecret"]),
    (account("secret_file = { path = 1 }"), ["secret_file must be a text"]),
    (account('secret = ""'), ["secret must be a text that is not empty"]),
    (account("leeway = 1e999"), ["leeway must be a number"]),
    (account("leeway = -1"), ["leeway must be a number"]),
    (account("leeway = 2026-01-01"), ["leeway must be a number"]),
    (account("quota = 99999999999999999999"), ["quota must be"]),
    (account("quota = 1.0"), ["quota must be"]),
    (account("publish = [[]]"), ["publish must be a list"]),
    (account("name = []"), ["name must be a text"]),
    (account("[account.more]", f'value = "{CANARY}"'), ["'more' is unknown"]),
    (account(f'"{"k" * 1_000_000}" = 1'), ["is unknown"]),
    (account('"a\\nb" = 1'), ["is unknown"]),
    # Secrets and tokens in places of names.
    (account(f'{CANARY} = "x"'), ["account 1 (wxfedcba9876543210): '***' is unknown: use"]),
    (account(f'AppSecret-{CANARY} = "x"'), ["'***' is unknown: use"]),
    (account(f'"the AppSecret: {CANARY}" = "x"'), ["'the AppSecret: ***' is unknown: use"]),
    (account(f'{TOKEN} = "x"'), ["'***' is unknown: use"]),
    (account(f"[{CANARY}]"), ["'***' is unknown here: write [[account]]"]),
    (account(f"[[{TOKEN}]]"), ["'***' is unknown here: write [[account]]"]),
    (account(f'name = "{CANARY}"'), ["name looks like an AppSecret"]),
    (account(f'publish = ["wxjavaa:{CANARY}"]'), ["names 'wxjavaa:***'"]),
    (account(f'publish = ["silenceper:{CANARY}"]'), ["names 'silenceper:***', but the keys"]),
    # Twice.
    (
        account(f'secret = "{CANARY}"', f'secret = "{CANARY}"'),
        ["is not TOML: secret stands twice under one [[account]]: look at line 4"],
    ),
    (account() + 'appid = "wx2"', ["is not TOML: appid stands twice under one [[account]]: look at line 4"]),
    (account() + 'appid = "wx2"\n\n' + account(), ["appid stands twice under one [[account]]: look at line 4"]),
    (account(*["keep = [", '  "a=b",', "]"] * 2), ["keep stands twice under one [[account]]: look at line 7"]),
    (account('name = "x"\r', 'name = "y"\r'), ["name stands twice under one [[account]]: look at line 5"]),
    (account() + f"{CANARY} = 1\n{CANARY} = 1", ["*** stands twice under one [[account]]: look at line 5"]),
    (account() + f"x = {{{CANARY} = 1, {CANARY} = 1}}", ["a key stands twice: look at line 4, column "]),
    (account(*[f'secret = """\n{CANARY[:30]}=\n"""'] * 2), ["a key stands twice: look at line 8"]),
    (account() + "[account]", ["[account] heads what stands above it already: look at line 4"]),
    ("account = 1\n" + account(), ["[[account]] heads what stands above it already: look at line 2"]),
    # The end, too early.
    (account() + "appid", ["look for an open quote or bracket, and at its last line"]),
    (account() + f'name = "{CANARY}', ["look for an open quote or bracket"]),
    (account() + account(f'appid = "{APPID}"'), ["stands twice"]),
    (account() + account(f'appid = " {APPID} "'), ["appid must be an appid"]),
    (account('name = "x"') + account('appid = "wx2"', 'name = "x"'), ["name x stands twice"]),
    (account("appid = 1", "leeway = 0", "name = 1") + account("quota = 0"), ["appid", "name", "leeway", "quota"]),
]


@pytest.mark.parametrize(("content", "words"), FILES)
def test_malformed_accounts_files_get_one_message(content: str | bytes, words: list[str], folder: Path) -> None:
    file = folder / "accounts.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = checked({"TOKENWORKER_ACCOUNTS": str(file)})

    assert len(found) == len(words), found
    for fault, word in zip(found, words, strict=True):
        assert word in fault


@pytest.mark.parametrize("environ", [environ for environ, _ in SETTINGS[1::14]])
def test_a_worker_does_not_start_with_malformed_settings(environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "celery", "--app=tokenworker", "worker"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=SHELL | environ, timeout=60)

    assert run.returncode != 0
    assert faults(run.stderr) == checked(environ)


@pytest.mark.parametrize(
    "more",
    [
        {"LANG": "C"},
        {"LC_ALL": "zh_CN.GBK"},
        {"PYTHONIOENCODING": "gbk"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONOPTIMIZE": "2"},
        {"PYTHONWARNINGS": "error"},
    ],
)
def test_the_message_comes_whatever_the_environment(more: dict[str, str]) -> None:
    environ = {"PATH": os.environ["PATH"], "TOKENWORKER_TICK": "五", **SINGLE, **more}
    run = subprocess.run(
        [sys.executable, "-m", "tokenworker.cli", "check"], capture_output=True, check=False, env=environ
    )

    assert run.returncode == 1
    assert run.stdout.count(b"FAULT") == 1
    assert b"TOKENWORKER_TICK" in run.stdout
    assert b"Traceback" not in run.stderr


@pytest.mark.parametrize(("environ", "beginnings"), SETTINGS)
def test_malformed_settings_get_one_message(environ: dict[str, str], beginnings: list[str]) -> None:
    found = checked(environ)
    assert len(found) == len(beginnings), found
    for fault, words in zip(found, beginnings, strict=True):
        assert words in fault
