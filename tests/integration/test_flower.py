"""Flower as it comes with tokenworker: what it shows of tasks, to whom, on what screens, and for how long."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import redis
from celery import Celery
from support.chromium import Chromium, Page
from support.flower import Flower
from support.processes import RedisServer, Stack, wait_for

from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Rules, Sandbox

# One Flower for most of them.
pytestmark = pytest.mark.xdist_group("flower")

LOGIN = "ops:Tr0ub4dor&3"
#: A password for Sentinels, which a worker knows and needs to tell nobody.
SENTINELS = "s3ntinels-only"

CELERYCONFIG = f"""\
from tokenworker.celeryconfig import *

broker_transport_options = {{**broker_transport_options, "sentinel_kwargs": {{"password": "{SENTINELS}"}}}}
timezone = "Asia/Shanghai"
"""


#: How the lines of a failure and of a retry begin. While it waits for its time, Celery calls a retry RECEIVED again.
FAILED, RETRIED = "'wxffffffffffffffff' is not among", "not WeChat's answer"


class Shown:
    """A stack in which a refresh succeeded, one is tried again and again, and calls succeeded and failed."""

    def __init__(self, stack: Stack, server: RedisServer, sandbox: Sandbox) -> None:
        self.stack = stack
        (stack.folder / ".env").write_text(f"FLOWER_BASIC_AUTH={LOGIN}\nFLOWER_DB=kept/tasks\n")
        (stack.folder / "celeryconfig.py").write_text(CELERYCONFIG)
        sandbox.fault("status", status=502, times=None, path="/cgi-bin/ticket/getticket")
        self.flower = Flower(stack, "--logging=debug", login=LOGIN)
        self.flower.wait()
        stack.worker("--loglevel=DEBUG")
        wait_for(lambda: "w1@test" in self.flower.page("workers"), timeout=20)
        with Celery("theirs", broker=server.url, backend=server.url) as app, server.client() as client:
            wait_for(lambda: self._refreshes(app, client), timeout=20)
            self.token = self._call(app, "get_token")["access_token"]
            for task, kwargs in (("status", {}), ("get_token", {"appid": "wxffffffffffffffff"})):
                self._call(app, task, **kwargs)
        wait_for(lambda: self.row(RETRIED), timeout=20)

    @staticmethod
    def _call(app: Celery, task: str, **kwargs: Any) -> Any:
        call = app.send_task(f"tokenworker.{task}", kwargs=kwargs, queue="tokenworker")
        return call.get(timeout=10, propagate=False)

    def _refreshes(self, app: Celery, client: redis.Redis) -> bool:
        """Have a refresh while there is none, unless the ticket that is tried again had it first."""
        client.delete(f"tokenworker:{{{DEMO_APPID}}}:access_token")
        return bool(self._call(app, "refresh_token")["outcome"] == "refreshed")

    def row(self, outcome: str) -> dict[str, Any] | None:
        return next((row for row in self.flower.tasks() if str(row["result"]).startswith(outcome)), None)


@pytest.fixture(scope="module")
def shown(shared_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with shared_server.client() as client:
        client.flushall()
    with Sandbox(Rules(life=7200, overlap=300)) as sandbox:
        settings = {
            "REDIS_URL": shared_server.url,
            "WECHAT_API_URL": sandbox.url,
            "WECHAT_APPID": DEMO_APPID,
            "WECHAT_SECRET": DEMO_SECRET,
            "WECHAT_KEEP": "access_token,jsapi_ticket",
        }
        stack = Stack(tmp_path_factory.mktemp("flower"), settings)
        try:
            yield Shown(stack, shared_server, sandbox)
        finally:
            stack.stop()


# What a row says


def found(row: Mapping[str, Any] | None) -> str:
    assert row
    return str(row["result"])


def test_a_result_says_what_came_of_it_for_whom_until_when_and_names_the_credential(shown: Shown) -> None:
    assert re.fullmatch(r"refreshed · wx0123… · until \d\d:\d\d · [0-9a-f]{4}…", found(shown.row("refreshed")))
    assert re.fullmatch(r"got · wx0123… · until \d\d:\d\d · [0-9a-f]{4}…", found(shown.row("got")))
    assert found(shown.row("1 live")) == "1 live · 1 missing · 0 contested"


def test_a_retry_says_why_and_when(shown: Shown) -> None:
    row = shown.row(RETRIED)

    assert re.fullmatch(
        r"not WeChat.s answer: HTTP status 502 instead of 200.* · next attempt in [\d.]+ s · wx0123… jsapi_ticket",
        found(row),
    )
    assert row
    assert row["exception"].startswith("MalformedAnswer(")


def test_a_failure_says_its_sentence_first(shown: Shown) -> None:
    row = shown.row(FAILED)

    assert found(row).startswith(f"{FAILED} the 1 configured accounts: add it")
    assert row
    assert row["state"] == "FAILURE"
    assert not row["traceback"]


# Who may look


def test_whoever_has_no_password_sees_nothing(shown: Shown) -> None:
    for path in ("", "workers", "tasks", "broker", "api/tasks", "api/workers", "worker/w1@test"):
        assert shown.flower.ask(path, Authorization="")[0] == 401, path
    assert shown.flower.ask("tasks", Authorization="Basic b3BzOndyb25n")[0] == 401
    assert shown.flower.ask("tasks")[0] == 200


def test_no_secret_shows_on_any_page_in_the_api_or_in_a_log(shown: Shown) -> None:
    wait_for(lambda: shown.flower.page("worker/w1@test"))
    call = json.loads(shown.flower.ask("api/task/apply/tokenworker.get_token", b"{}")[1])
    paths = ["workers", "tasks", "broker", "metrics", "worker/w1@test", "api/tasks", "api/workers?refresh=1"]
    paths += [f"task/{row['uuid']}" for row in shown.flower.tasks()] + [f"api/task/result/{call['task-id']}"]
    pages = [shown.flower.page(path) for path in paths]

    assert call["result"] == {"appid": DEMO_APPID, "access_token": "***", "expires_in": call["result"]["expires_in"]}
    assert [path for path, page in zip(paths, pages, strict=True) if not page] == []
    for page in (*pages, json.dumps(call), shown.stack.logs()):
        for secret in (shown.token, DEMO_SECRET, LOGIN.partition(":")[2], SENTINELS):
            assert secret not in page


# On what screens

#: The part of a text that is to be seen: in its window, and in all boxes that would cut it off.
VISIBLE = """
(selector, text) => [...document.querySelectorAll(selector)].filter(it => it.innerText.includes(text)).map(found => {
  const walker = document.createTreeWalker(found, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const at = node.data.indexOf(text);
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + text.length);
    const {left, right} = range.getBoundingClientRect();
    for (let around = node.parentElement; around; around = around.parentElement) {
      const box = around.getBoundingClientRect();
      const cuts = getComputedStyle(around).overflowX !== 'visible' && box.width;
      if (cuts && (left < box.left - 1 || right > box.right + 1)) return false;
    }
    return left >= 0 && right <= innerWidth;
  }
  return false;
})
"""

#: The cells of the column with results.
RESULT = "#tasks-table td:nth-child(2)"


def is_visible(page: Page, selector: str, text: str) -> bool:
    told = page.run(f"({VISIBLE})({json.dumps(selector)}, {json.dumps(text)})")
    return bool(told) and all(told)


@pytest.fixture(params=[390, 1440])
def page(request: pytest.FixtureRequest, chromium: Chromium, shown: Shown) -> Iterator[Page]:
    page = Page(chromium, width=request.param, headers=shown.flower.headers)
    yield page
    assert page.overflow <= 0
    page.close()


def test_the_list_shows_of_each_task_its_state_and_what_came_of_it(page: Page, shown: Shown) -> None:
    page.open(f"{shown.flower.url}/tasks")
    page.wait("document.querySelectorAll('#tasks-table tbody tr').length > 3")

    for state in ("SUCCESS", "FAILURE"):
        assert is_visible(page, "#tasks-table td .badge", state)
    for text in ("refreshed · wx0123…", "got · wx0123…", "1 live · 1 missing", RETRIED):
        assert is_visible(page, RESULT, text), text
    if page.run("innerWidth") > 1000:
        for result in (found(shown.row("refreshed")), found(shown.row("got"))):
            assert is_visible(page, RESULT, result)
        assert is_visible(page, "#tasks-table td", "tokenworker.refresh_token")
    assert page.run("document.querySelectorAll('#tasks-table a[href*=\"/task/\"]').length") > 3


@pytest.mark.parametrize("outcome", ["refreshed", FAILED, RETRIED])
def test_the_page_of_a_task_shows_all_of_its_result(page: Page, shown: Shown, outcome: str) -> None:
    row = wait_for(lambda: shown.row(outcome), timeout=20)
    page.open(f"{shown.flower.url}/task/{row['uuid']}")

    assert is_visible(page, "dd pre code", page.run("document.querySelectorAll('dd pre code')[2].innerText"))
    assert is_visible(page, "dd .badge", str(page.run("document.querySelector('dd .badge').innerText")))
    assert "Traceback" not in page.text


# For how long


def test_tasks_are_there_after_a_restart_also_when_the_file_is_broken_after_it(shown: Shown) -> None:
    before = {row["uuid"] for row in shown.flower.tasks() if row["state"] in ("SUCCESS", "FAILURE")}
    shown.flower.process.send_signal(signal.SIGTERM)
    shown.flower.process.wait(20)
    again = Flower(shown.stack, login=LOGIN)
    again.wait()
    after = {row["uuid"] for row in again.tasks()}
    again.process.send_signal(signal.SIGTERM)
    again.process.wait(20)
    files = [*(shown.stack.folder / "kept").iterdir()]
    for file in files:
        file.write_bytes(b"\x00no database" * 99)
    third = Flower(shown.stack, login=LOGIN)
    third.wait()

    assert len(before) >= 4
    assert before <= after
    assert files
    assert third.ask("tasks")[0] == 200
    assert third.process.poll() is None
