"""What callers hand to the tasks: a sentence for what can't be meant, and never a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from support.processes import RedisServer, Stack

from tokenworker.credential import fingerprint
from tokenworker.demo import DEMO_APPID
from tokenworker.errors import UnknownAccount, WrongArgument
from tokenworker.sandbox import Sandbox
from tokenworker.worker.runtime import runtime
from tokenworker.worker.tasks import get_token, refresh_token, sign_url

APPID = ": give the appid or the name of an account as a text, such as 'wx0123456789abcdef', or nothing"
REJECTED = ": give the credential that WeChat refused as a text, or the first 16 hex digits of its SHA-256"
TOKEN = "81_" + "a-_9Z" * 27

TAKES = ": this task takes appid, rejected"


@pytest.fixture(autouse=True)
def _worker(server: RedisServer, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be a worker that has one account, the sandbox's."""
    for name, value in {"REDIS_URL": server.url, "TOKENWORKER_SANDBOX": sandbox.url}.items():
        monkeypatch.setenv(name, value)
    runtime.cache_clear()
    yield
    runtime.cache_clear()


@pytest.mark.parametrize("task", [get_token, refresh_token])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"appid": []}, f"appid was given as a list{APPID}"),
        ({"appid": [TOKEN]}, f"appid was given as a list{APPID}"),
        ({"appid": {}}, f"appid was given as an object{APPID}"),
        ({"appid": {"rejected": TOKEN}}, f"appid was given as an object{APPID}"),
        ({"appid": 0}, f"appid was given as a number{APPID}"),
        ({"appid": 5.5}, f"appid was given as a number{APPID}"),
        ({"appid": False}, f"appid was given as true or false{APPID}"),
        ({"appid": b"wx1"}, f"appid was given as bytes{APPID}"),
        ({"rejected": 5}, f"rejected was given as a number{REJECTED}"),
        ({"rejected": []}, f"rejected was given as a list{REJECTED}"),
        ({"rejected": {}}, f"rejected was given as an object{REJECTED}"),
        ({"rejected": True}, f"rejected was given as true or false{REJECTED}"),
    ],
)
def test_an_argument_of_the_wrong_type_is_a_sentence(task: Any, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WrongArgument) as caught:
        task(**arguments)

    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("task", "args", "arguments", "sentence"),
    [
        (get_token, (), {"account": "wx1"}, f"got an unexpected keyword argument 'account'{TAKES}"),
        (sign_url, (), {}, "missing a required argument: 'url': this task takes url, appid"),
        (get_token, ("wx1", None, 1), {}, f"too many positional arguments{TAKES}"),
        (get_token, (), {"t" * 136: 1}, f"got an unexpected keyword argument '***'{TAKES}"),
    ],
)
def test_an_argument_that_a_task_does_not_take_is_a_sentence(
    task: Any, args: tuple[Any, ...], arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(WrongArgument) as caught:
        task(*args, **arguments)

    assert str(caught.value) == sentence


def test_a_worker_tells_the_caller_so(
    make_stack: Callable[..., Stack], own_server: RedisServer, sandbox: Sandbox
) -> None:
    make_stack(own_server, sandbox).worker()
    app = Celery(broker=own_server.url, backend=own_server.url)
    called = app.send_task("tokenworker.get_token", kwargs={"account": "wx1"}, queue="tokenworker")

    with pytest.raises(Exception, match="this task takes appid, rejected") as caught:
        called.get(timeout=20)
    assert type(caught.value).__name__ == "WrongArgument"


@pytest.mark.parametrize("name", ["early", "force"])
@pytest.mark.parametrize(("value", "kind"), [("false", "a text"), (1, "a number"), ([], "a list"), ({}, "an object")])
def test_a_switch_is_true_or_false(name: str, value: Any, kind: str) -> None:
    with pytest.raises(WrongArgument) as caught:
        refresh_token(**{name: value})

    assert str(caught.value) == f"{name} was given as {kind}: give true or false"


def test_nothing_is_as_good_as_leaving_it_out(sandbox: Sandbox) -> None:
    assert refresh_token(appid=None, rejected=None, early=None, force=None)["outcome"] == "refreshed"
    assert get_token(None, None)["appid"] == DEMO_APPID
    assert sandbox.counts().fetches == 1


@pytest.mark.parametrize("task", [get_token, refresh_token])
def test_half_a_character_is_no_traceback(task: Any) -> None:
    with pytest.raises(UnknownAccount):
        task(appid="wx\ud800")
    assert task(rejected="\ud800")["expires_in"] > 0


def test_a_token_goes_by_its_fingerprint(sandbox: Sandbox) -> None:
    token = get_token()["access_token"]
    sandbox.revoke()

    assert get_token(rejected=token)["access_token"] != token
    assert get_token(rejected=fingerprint(token))["access_token"] != token
