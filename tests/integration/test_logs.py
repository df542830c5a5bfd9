"""TOKENWORKER_LOG=json: each event of worker, beat, Flower and web is one line of JSON, and nothing else changes."""

from __future__ import annotations

import json
import re
import signal
from hashlib import sha256
from typing import Any

import requests
from celery import Celery
from support.flower import Flower
from support.processes import RedisServer, Stack, free_port, wait_for

from tokenworker.credential import CredentialId
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Sandbox
from tokenworker.store.store import Store

#: A celeryconfig.py of ours with a task that breaks.
BROKEN = """
from tokenworker.celeryconfig import *

include = ["broken"]
"""
TASK = """
from celery import shared_task

@shared_task(name="broken")
def broken():
    print("about to break")
    raise LookupError("made of two\\nlines")
"""

FORKING = """
from tokenworker.celeryconfig import *

worker_pool = "prefork"
"""

#: What users may set up by themselves.
OWN = """
from tokenworker.celeryconfig import *
import logging
from celery.signals import setup_logging

@setup_logging.connect(weak=False)
def mine(**_):
    logging.basicConfig(level="INFO", format="MINE %(message)s")
"""

CLIENT = f"""
[[client]]
name = "php"
key_sha256 = "{sha256(b"tw_one-that-may-only-read").hexdigest()}"
"""

JSON = {"TOKENWORKER_LOG": "json"}

Log = list[dict[str, Any]]


def parsed(text: str) -> Log:
    """Return the lines; what Celery writes past its log when it ends, and Python about root, is left out."""
    text = text.replace("\nworker: Warm shutdown (MainProcess)\n", "")
    whole = text.rpartition("\n")[0]
    lines = re.sub(r"(?s)^/\S+ SecurityWarning: .*?egid=\d+\n\n.*?\n", "", whole).splitlines()
    return [json.loads(line) for line in lines]


def about(log: Log, words: str) -> Log:
    return [line for line in log if words in line["message"]]


def send(server: RedisServer, task: str, **kwargs: Any) -> str:
    with Celery("caller", broker=server.url, backend=server.url, set_as_current=False) as app:
        asked = app.send_task(task, kwargs=kwargs, queue="tokenworker")
        asked.get(timeout=20, propagate=False)
        return str(asked.id)


def fetched_in_a_task(text: str) -> Log:
    """Return what was logged of fetches, without those of a watchdog, which comes first where all is slow."""
    return [line for line in about(parsed(text), ": fetched (") if "task" in line]


def test_worker_and_beat_write_a_line_of_json_an_event(stack: Stack, server: RedisServer) -> None:
    (stack.folder / "celeryconfig.py").write_text(BROKEN)
    (stack.folder / "broken.py").write_text(TASK)
    stack.worker(**JSON)
    stack.beat(**JSON)
    wait_for(lambda: fetched_in_a_task(stack.log(0)), timeout=40)
    broken = send(server, "broken")
    wait_for(lambda: about(parsed(stack.log(1)), "beat: Starting"))
    stack.stop()
    worker, beat = parsed(stack.log(0)), parsed(stack.log(1))

    assert all({"time", "level", "logger", "pid", "message"} <= set(line) for line in worker + beat)
    fetched = fetched_in_a_task(stack.log(0))[0]
    refresh = fetched["task_id"]
    assert (fetched["account"], fetched["credential"]) == (DEMO_APPID, "access_token")
    assert (fetched["event"], fetched["outcome"]) == ("refreshed", "committed")
    assert fetched["cause"] in ("missing", "stale")
    assert fetched["fingerprint"] in fetched["message"]
    assert fetched["task"] == "tokenworker.refresh_token"
    mine = [line for line in worker if line.get("task_id") == refresh]
    assert [line["message"].split()[2][:9] for line in mine if line["logger"] != "tokenworker.refresh.fetcher"] == [
        "received",
        "succeeded",
    ]
    assert mine[-1]["runtime"] > 0

    # What nobody expected is one line, too; and what a task prints.
    unexpected = [line for line in worker if line.get("task_id") == broken]
    assert [line["level"] for line in unexpected] == ["info", "warning", "error"]
    assert unexpected[1]["message"] == "about to break"
    assert "made of two" in unexpected[2]["traceback"]
    assert DEMO_SECRET not in stack.logs()


def test_an_attempt_that_fails_is_one_line_without_a_traceback(stack: Stack, sandbox: Sandbox, store: Store) -> None:
    sandbox.fault("errcode", errcode=40164, times=50)
    stack.worker(**JSON)
    stack.beat(**JSON)
    wait_for(lambda: len(about(parsed(stack.log(0)), "next attempt")) > 1, timeout=30)
    stack.stop()
    log = parsed(stack.log(0))
    loud = [line for line in about(log, "40164") if line["level"] not in ("info", "debug")]

    # Some are made by the watchdog, in no task.
    assert {(line["event"], line["errcode"], line["account"]) for line in loud} == {("failed", 40164, DEMO_APPID)}
    assert len(loud) == len(store.history.of(CredentialId(DEMO_APPID)))
    assert all(line["retry_in"] > 0 and line["error"] in line["message"] for line in loud)
    assert not [line for line in log if "traceback" in line]


def test_a_pool_of_processes_writes_json_too(stack: Stack) -> None:
    (stack.folder / "celeryconfig.py").write_text(FORKING)
    stack.worker("--concurrency=1", **JSON)
    wait_for(lambda: about(parsed(stack.log(0)), "succeeded in"))
    stack.stop()
    pids = {line["pid"] for line in parsed(stack.log(0))}

    assert len(pids) == 2


def test_flower_and_web_write_json_too(stack: Stack) -> None:
    stack.environ |= JSON
    flower = Flower(stack)
    port = free_port()
    (stack.folder / "clients.toml").write_text(CLIENT)
    stack.web(port, TOKENWORKER_WEB_CLIENTS="clients.toml")
    wait_for(lambda: "ok" in flower.page("healthcheck").lower(), timeout=20)
    wait_for(lambda: about(parsed(stack.log(1)), "listens at"), timeout=20)
    headers = {"Authorization": "Bearer tw_one-that-may-only-read"}
    assert requests.get(f"http://127.0.0.1:{port}/metrics", headers=headers, timeout=10).status_code == 403
    flower.process.send_signal(signal.SIGTERM)
    flower.process.wait(20)

    assert about(parsed(stack.log(0)), "Visit me at")
    [line] = about(parsed(stack.log(1)), "was refused")
    assert line["client"] == "php"


def test_without_the_setting_logs_are_as_celery_writes_them(stack: Stack) -> None:
    stack.worker()
    wait_for(lambda: "fetched (there is none)" in stack.log(0))

    assert "[tasks]" in stack.log(0)
    assert re.search(r"^\[\d{4}-\d\d-\d\d .*: INFO/.*\] wx\w+ access_token: fetched", stack.log(0), re.MULTILINE)
    assert "{" not in stack.log(0).partition(" ready.")[2]


def test_who_sets_up_logging_keeps_his_own(stack: Stack) -> None:
    (stack.folder / "celeryconfig.py").write_text(OWN)
    stack.worker(**JSON)
    wait_for(lambda: "fetched (there is none)" in stack.log(0))

    assert re.search("^MINE wx.* fetched", stack.log(0), re.MULTILINE)
    assert '"message"' not in stack.log(0)


def test_an_app_that_our_tasks_are_in_keeps_its_own(stack: Stack, server: RedisServer) -> None:
    shop = f"from celery import Celery\napp = Celery('shop', broker={server.url!r}, backend={server.url!r})\n"
    include = (
        "app.conf.include = ['tokenworker.worker.tasks', 'tokenworker.worker.watchdog']\nimport tokenworker.celery\n"
    )
    (stack.folder / "shop.py").write_text(shop + include)
    command = ("celery", "--app=shop", "worker", "--loglevel=INFO", "-Q", "tokenworker", "-P", "threads")
    stack.run(*command, "--without-mingle", "--hostname=shop@test", **JSON)
    wait_for(lambda: "fetched (there is none)" in stack.log(0), timeout=30)

    assert '"message"' not in stack.log(0)
    assert "[tasks]" in stack.log(0)
