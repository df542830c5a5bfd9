"""`tokenworker check` finds what would keep tokens from being fresh, names it, and says what to do."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from support.clock import WallClock
from support.doctor import about, examined, faults
from support.processes import ROOT, RedisServer, Stack, free_port, wait_for, wait_for_beat

from tokenworker.cli.doctor import server
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Sandbox

KEY = f"tokenworker:{{{DEMO_APPID}}}:access_token"

Check = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def check(tmp_path: Path, own_server: RedisServer, sandbox: Sandbox) -> Check:
    """Return a function that runs the command in a folder of its own, and gives its findings."""

    def run(*options: str, **environ: str) -> list[dict[str, Any]]:
        settings = {
            "REDIS_URL": own_server.url,
            "WECHAT_API_URL": sandbox.url,
            "WECHAT_APPID": DEMO_APPID,
            "WECHAT_SECRET": DEMO_SECRET,
            "PATH": "/usr/bin:/bin",
        }
        return examined(tmp_path, settings | environ, *options)

    return run


# A stack that is well


def test_it_finds_nothing_wrong_where_all_is_well(
    check: Check, own_server: RedisServer, make_stack: Callable[..., Stack], sandbox: Sandbox
) -> None:
    stack = make_stack(own_server, sandbox)
    stack.worker()
    stack.beat()
    with own_server.client() as client:
        wait_for_beat(client)
        found = check("--call")

        assert faults(found) == ""
        assert not [key for key in client.keys("*") if b"trial" in key]
    looked_at = {"settings", "Redis", "beat", "worker", "results", "metrics", "WeChat"}
    # Somebody may run web on this machine, at the default port.
    assert {finding["subject"] for finding in found} - {"web"} == looked_at


def test_the_same_for_people_is_a_line_each(tmp_path: Path, own_server: RedisServer) -> None:
    command = [sys.executable, "-m", "tokenworker.cli", "check"]
    environ = {"REDIS_URL": own_server.url, "WECHAT_APPID": "wxfedcba9876543210", "WECHAT_SECRET": DEMO_SECRET}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environ)

    assert done.returncode == 1
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines if line[1] != "web"] == ["ok", "ok", "ok", "FAULT", "FAULT", "ok"]


def test_it_says_how_many_calls_a_second_the_accounts_need(check: Check, tmp_path: Path) -> None:
    rows = [f'[[account]]\nappid = "wx{number:016x}"\nsecret = "{DEMO_SECRET}"\n' for number in range(100)]
    (tmp_path / "accounts.toml").write_text("\n".join(rows))
    environ = {"WECHAT_APPID": "", "WECHAT_SECRET": "", "TOKENWORKER_ACCOUNTS": "accounts.toml"}

    told = faults(check(**environ, TOKENWORKER_FETCH_RATE="0.02"))
    assert "TOKENWORKER_FETCH_RATE is 0.02, too few calls a second to keep 100 credentials fresh" in told
    assert "write 1 or more, or take it out" in told
    assert "FETCH_RATE" not in faults(check(**environ, TOKENWORKER_FETCH_RATE="0.03"))


# Redis


def evict(client: redis.Redis) -> None:
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")


def evict_volatile(client: redis.Redis) -> None:
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "volatile-ttl")


def fill(client: redis.Redis) -> None:
    client.config_set("maxmemory", "1")


def follow(client: redis.Redis) -> None:
    client.replicaof("127.0.0.1", str(free_port()))


def want_replicas(client: redis.Redis) -> None:
    client.config_set("min-replicas-to-write", "1")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (evict, "maxmemory-policy is allkeys-lru"),
        (evict_volatile, "maxmemory-policy is volatile-ttl"),
        (fill, "maxmemory"),
        (follow, "replica"),
        (want_replicas, "replica"),
    ],
)
def test_a_server_that_would_lose_or_refuse_tokens(
    check: Check, own_server: RedisServer, spoil: Callable[[redis.Redis], None], sentence: str
) -> None:
    with own_server.client() as client:
        spoil(client)

    assert sentence in faults(check())


@pytest.mark.parametrize(
    ("rights", "sentence"),
    [
        ("+@all -eval -evalsha -script ~* &*", "eval"),
        ("+@all -hset ~* &*", "command"),
        ("+@all -time ~* &*", "command"),
        (
            f"+@all ~tokenworker ~celery* ~_kombu* ~tokenworker:due ~tokenworker:{{{DEMO_APPID}}}:access_token &*",
            ":state",
        ),
        (f"+@all ~* &* resetkeys ~celery* ~_kombu* ~tokenworker:{{{DEMO_APPID}}}:*", "tokenworker:due"),
        ("+@all ~* resetchannels", "give the user the right to channels"),
    ],
)
def test_a_user_without_a_right_that_a_worker_needs(
    check: Check, own_server: RedisServer, rights: str, sentence: str
) -> None:
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">pass", "resetchannels", *rights.split())

    assert sentence in faults(check(REDIS_URL=own_server.url.replace("//", "//app:pass@")))


def test_a_user_that_may_not_look_at_the_server_is_no_fault_and_noted(check: Check, own_server: RedisServer) -> None:
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">pass", "+@all", "~*", "&*", "-info")
    found = check(REDIS_URL=own_server.url.replace("//", "//app:pass@"))

    assert "may not call INFO" in str([finding for finding in found if finding["level"] == "note"])
    assert not [finding for finding in found if finding["level"] == "fault" and finding["subject"] == "Redis"]


def test_a_copy_that_the_user_may_not_write(check: Check, own_server: RedisServer) -> None:
    rights = "~tokenworker* ~celery* ~_kombu* ~unacked* +@all &*"
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">pass", *rights.split())
    url = own_server.url.replace("//", "//app:pass@")

    assert "its published copy YG-WECHAT-TOKEN can't be written" in faults(
        check(REDIS_URL=url, WECHAT_TOKEN_KEY="YG-WECHAT-TOKEN")
    )


@pytest.mark.parametrize("password", ["//:wrong@", "//nobody:wrong@"])
def test_a_password_that_is_wrong_is_not_shown(check: Check, own_server: RedisServer, password: str) -> None:
    found = faults(check(REDIS_URL=own_server.url.replace("//", password)))

    assert found
    assert "wrong@" not in found


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"redis_version": "4.0.14"}, "Redis 4.0.14 is too old: credentials need 5.0 or newer, or Valkey"),
        ({"redis_version": "5.0.6"}, ""),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, ""),
        ({"redis_version": "of a service's own"}, ""),
        ({}, ""),
    ],
)
def test_a_server_that_is_too_old(said: dict[str, str], sentence: str) -> None:
    assert server._mistaken(said, "server") == sentence


def test_clocks_that_differ() -> None:
    assert "differ by 60 s" in next(server._skew(1000.0, 1060.0, 1060.1)).sentence
    assert "differ by 60 s" in next(server._skew(1060.1, 1000.0, 1000.1)).sentence
    assert list(server._skew(1000.0, 1004.0, 1004.1)) == []


# Queue, worker and beat


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}, "the broker can't be used"),
        ({"CELERY_BROKER_URL": "amqp://guest@127.0.0.1:1//"}, "the broker can't be used"),
        ({"CELERY_BROKER_URL": "nonsense://x"}, "can't be"),
    ],
)
def test_a_broker_that_is_not_there(check: Check, environ: dict[str, str], sentence: str) -> None:
    assert sentence in faults(check(**environ))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mongodb://127.0.0.1:1", "You need to install the pymongo library"),
        ("cache+memcached://127.0.0.1:1", "The Memcached backend requires"),
        ("shop.results", "No module named 'shop': pip install shop"),
    ],
)
def test_results_that_need_a_library_that_is_not_here(check: Check, url: str, sentence: str) -> None:
    (found,) = about(check(CELERY_RESULT_BACKEND=url), "results")

    assert found["level"] == "fault"
    assert sentence in found["sentence"]


def test_nobody_works(check: Check, own_server: RedisServer) -> None:
    with Celery("caller", broker=own_server.url, set_as_current=False) as app:
        for _ in range(3):
            app.send_task("tokenworker.get_token", queue="tokenworker")
    found = faults(check())

    assert "no worker takes from tokenworker, where 3 messages wait" in found
    assert "no tick has come yet" in found


def test_beat_that_stopped_long_ago(check: Check, own_server: RedisServer) -> None:
    with own_server.client() as client:
        client.set("tokenworker:ticked", "1", px=86_400_000 - 600_000)

    assert re.search(r"the last tick came 60\d s ago", faults(check()))


def test_a_worker_on_another_queue_two_of_one_name_and_one_without_our_tasks(
    check: Check, own_server: RedisServer, make_stack: Callable[..., Stack], sandbox: Sandbox
) -> None:
    stack = make_stack(own_server, sandbox)
    (stack.folder / "shop.py").write_text(
        f"from celery import Celery\napp = Celery('shop', broker={own_server.url!r}, backend={own_server.url!r})\n"
    )
    for queue in ("celery", "celery", "tokenworker"):
        name = "lost@test" if queue == "tokenworker" else "same@test"
        stack.run("celery", "--app=shop", "worker", "-Q", queue, "--hostname", name, "--pool=solo", "--loglevel=INFO")
    wait_for(lambda: stack.logs().count(" ready.") == 3, timeout=30)
    found = faults(check())

    assert "2 nodes are named same@test" in found
    assert "lost@test takes from tokenworker and does not know tokenworker.get_token" in found
    assert "a task's result can't be read: NotRegistered" in found


def test_any_number_of_beats_may_run_on_a_machine(
    check: Check, own_server: RedisServer, make_stack: Callable[..., Stack], sandbox: Sandbox
) -> None:
    stack = make_stack(own_server, sandbox)
    stack.worker()
    stack.beat()
    stack.beat()

    def beats() -> bool:
        with Celery("caller", broker=own_server.url, set_as_current=False) as app:
            answers = app.control.ping(timeout=1) or []
        return str(answers).count("celerybeat@") == 2

    wait_for(beats, timeout=30)

    assert faults(check()) == ""


@pytest.mark.parametrize(
    ("seconds", "sentence", "answered"),
    [
        (10_800, "is about 3 h 00 min ahead of this machine's: set both by NTP, and until then tasks that", False),
        (-3600, "is about 1 h 00 min behind this machine's: set both by NTP", True),
    ],
)
def test_a_worker_whose_clock_is_wrong(
    check: Check,
    own_server: RedisServer,
    make_stack: Callable[..., Stack],
    sandbox: Sandbox,
    tmp_path: Path,
    seconds: int,
    sentence: str,
    answered: bool,
) -> None:
    (tmp_path / "clock").mkdir()
    clock = WallClock(tmp_path / "clock")
    clock.go_ahead(seconds)
    make_stack(own_server, sandbox).worker(**clock.environ)
    found = about(check(), "clock", "results")

    assert f"the clock of w0@test {sentence}" in faults(found)
    assert len(found) == 1 + answered


def test_a_worker_whose_results_go_elsewhere(
    check: Check, own_server: RedisServer, make_stack: Callable[..., Stack], sandbox: Sandbox
) -> None:
    stack = make_stack(own_server, sandbox, CELERY_RESULT_BACKEND="cache+memory://")
    stack.worker()

    assert "its result does not come back" in faults(check())


def test_a_worker_on_another_broker(
    check: Check, own_server: RedisServer, make_stack: Callable[..., Stack], sandbox: Sandbox
) -> None:
    stack = make_stack(own_server, sandbox, CELERY_BROKER_URL=own_server.url.replace("/0", "/7"))
    stack.worker()

    assert "no worker takes from tokenworker" in faults(check())


# Celery's settings


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("from tokenworker.celeryconfig import *\nimport nothing_of_that_name", "line 2: ModuleNotFoundError"),
        ("from tokenworker.celeryconfig import *\nCELERYD_CONCURRENCY = 3", "write worker_concurrency"),
        ("from tokenworker.celeryconfig import *\ntask_default_queue = 'x'", "task_default_queue can't be changed"),
    ],
)
def test_a_celeryconfig_that_a_worker_could_not_load(check: Check, tmp_path: Path, file: str, sentence: str) -> None:
    (tmp_path / "celeryconfig.py").write_text(file)
    found = check()

    assert [finding["subject"] for finding in found] == ["settings"]
    assert sentence in faults(found)


def test_another_apps_celeryconfig_is_noted(check: Check, tmp_path: Path) -> None:
    (tmp_path / "celeryconfig.py").write_text("task_default_queue = 'x'")

    assert "is another app's and is not read" in str([it for it in check() if it["level"] == "note"])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("app.conf.accept_content = ['pickle']", "accept_content is ['pickle']"),
        ("app.conf.task_always_eager = True", "task_always_eager"),
        ("import nothing_of_that_name", "the app shop can't be loaded: ModuleNotFoundError"),
        (
            "app.conf.CELERY_TASK_SERIALIZER = 'json'; app.conf.broker_url = 'redis://127.0.0.1:1/0'",
            "the broker can't be used",
        ),
    ],
)
def test_the_settings_of_an_app_that_our_tasks_are_in(
    check: Check, tmp_path: Path, own_server: RedisServer, settings: str, sentence: str
) -> None:
    (tmp_path / "shop.py").write_text(
        f"from celery import Celery\napp = Celery('shop', broker={own_server.url!r}, backend={own_server.url!r},"
        f" include=['tokenworker.worker.tasks'])\n{settings}\n"
    )

    assert sentence in faults(check("-A", "shop"))


def test_eager_tasks_are_one_fault_and_no_warnings_of_pythons(
    own_server: RedisServer, make_stack: Callable[..., Stack], sandbox: Sandbox
) -> None:
    stack = make_stack(own_server, sandbox)
    stack.worker()
    (stack.folder / "shop.py").write_text(
        f"from celery import Celery\napp = Celery('shop', broker={own_server.url!r}, backend={own_server.url!r})\n"
        "app.conf.task_always_eager = True\n"
    )
    command = [sys.executable, "-m", "tokenworker.cli", "check", "-A", "shop"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=stack.folder, env=stack.environ, timeout=60
    )

    assert "FAULT queue    task_always_eager" in done.stdout
    assert "results" not in done.stdout
    assert done.stderr == ""


# Accounts

WECOM = """
[[account]]
type = "wecom"
corpid = "{corpid}"
agent = 1000002
secret = "{secret}"
"""


def wecom(folder: Path, corpid: str = "wwfedcba9876543210", secret: str = "x-_" * 14 + "x") -> dict[str, str]:
    """Write an application of WeCom's down, and return the variables that name no other account."""
    (folder / "accounts.toml").write_text(WECOM.format(corpid=corpid, secret=secret))
    return {"WECHAT_APPID": "", "WECHAT_SECRET": "", "TOKENWORKER_ACCOUNTS": "accounts.toml"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"corpid": "ww123"}, "ww123/1000002: this does not look like a corpid: WeCom's have ww and 16 hex digits"),
        ({"corpid": "WWFEDCBA9876543210"}, "the corpid has capital letters, and WeCom's have small ones"),
        ({"corpid": "gh_0123456789ab"}, "is the original ID of an account"),
        ({"secret": "0" * 32}, "its Secret has 32 characters, WeCom's have 43"),
        ({"secret": "x" * 42 + "."}, "its Secret has other characters than letters, digits, - and _"),
        ({"secret": "ww0011223344556677"}, "its Secret looks like a corpid: are the two swapped?"),
    ],
)
def test_an_application_unlike_wecoms_is_odd(
    check: Check, tmp_path: Path, given: dict[str, str], sentence: str
) -> None:
    found = faults(check(**wecom(tmp_path, **given)))

    assert sentence in found
    assert given.get("secret", "canary") not in found


@pytest.mark.parametrize("corpid", ["wwfedcba9876543210", "wxfedcba9876543210", "wpfedcba9876543210"])
def test_an_application_like_wecoms_is_not(check: Check, tmp_path: Path, corpid: str) -> None:
    found = check(**wecom(tmp_path, corpid))

    assert not [it for it in found if it["subject"] == "settings" and it["level"] != "ok"]


def test_who_takes_a_corpid_for_an_appid_hears_of_the_type(check: Check) -> None:
    found = faults(check(WECHAT_API_URL="", WECHAT_APPID="wwfedcba9876543210"))

    assert 'write type = "wecom" with corpid and agent' in found


def test_a_sandbox_of_one_platform_says_nothing_of_the_other(check: Check, tmp_path: Path) -> None:
    given = wecom(tmp_path, "ww123")

    assert "does not look like" in faults(check(**given))
    assert "does not look like" not in faults(check(**given, WECHAT_API_URL="", WECOM_API_URL="http://127.0.0.1:1"))


def test_wecom_is_asked_about_its_own(check: Check, tmp_path: Path) -> None:
    found = check("--call", WECOM_API_URL="http://127.0.0.1:1", **wecom(tmp_path))

    assert found[-1]["subject"] == "WeCom"
    assert found[-1]["sentence"].startswith("wwfedcba9876543210/1000002: ")


# WeChat


@pytest.mark.parametrize(
    ("errcode", "sentence"), [(40013, "check the appid"), (40125, "AppSecret"), (40164, "IP whitelist")]
)
def test_what_wechat_says_of_an_account(check: Check, sandbox: Sandbox, errcode: int, sentence: str) -> None:
    sandbox.fault("errcode", errcode=errcode)

    assert sentence in faults(check("--call"))


def test_asking_wechat_ends_no_token_of_the_classic_endpoint(check: Check, sandbox: Sandbox) -> None:
    found = check("--call", WECHAT_ENDPOINT="token")

    assert {"level": "ok", "subject": "WeChat"}.items() <= found[-1].items()
    assert sandbox.counts().forced == 0


def test_settings_that_a_worker_would_not_start_with_are_all_there_is_to_say(check: Check) -> None:
    found = check(TOKENWORKER_TICK="0", WECHAT_SECRET="")

    assert {finding["subject"] for finding in found} == {"settings"}
    assert "TOKENWORKER_TICK" in faults(found)
    assert "WECHAT_SECRET" in faults(found)


# The pages


@pytest.mark.parametrize("page", ["docs/settings.md", "docs/zh-CN/settings.md"])
def test_the_rights_that_the_pages_name_are_enough_for_workers(
    check: Check, own_server: RedisServer, make_stack: Callable[..., Stack], sandbox: Sandbox, page: str
) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    keys = re.search(r"`(~tokenworker\* [^`]*)`", text)
    commands = re.search(r"`(\+@all [^`]*)`", text)
    assert keys
    assert commands
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">pass", *keys[1].split(), "&*", *commands[1].split())
    url = own_server.url.replace("//", "//app:pass@")
    stack = make_stack(own_server, sandbox, REDIS_URL=url)
    stack.worker()
    stack.beat()
    with own_server.client() as client:
        wait_for_beat(client)

    assert faults(check("--call", REDIS_URL=url)) == ""
    assert "NOPERM" not in stack.logs()
    assert "permissions" not in stack.logs()
