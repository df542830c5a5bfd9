"""What Celery shows of a task holds no token."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery import Celery
from celery.utils.saferepr import saferepr
from kombu import Message
from kombu.utils.json import dumps, loads

from tokenworker.worker.monitoring.masking import MaskedRequest, Result, mask

RESULT = Result({"appid": "wx1", "access_token": "t" * 136, "expires_in": 60}, "got · wx1")


def test_the_result_is_whole_as_json() -> None:
    assert loads(dumps(RESULT)) == {"appid": "wx1", "access_token": "t" * 136, "expires_in": 60}


@pytest.mark.parametrize("show", [repr, str, saferepr, "{}".format, "%s".__mod__])
def test_the_result_is_masked_as_text(show: object) -> None:
    assert show(RESULT) == "got · wx1"  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{'rejected': '" + "a-_9" * 34 + "'}", "{'rejected': '***'}"),
        ("{'appid': 'wx0123456789abcdef', 'rejected': '0123456789abcdef'}", None),
        ("('wx1', '" + "x" * 40 + "')", "('wx1', '***')"),
        ("", None),
    ],
)
def test_arguments_as_text_show_no_token(text: str, shown: str | None) -> None:
    assert mask(text) == (text if shown is None else shown)


# What a worker tells of a task under way

TOKEN = "81_" + "a-_9Z" * 27
SECRET = "c0ffee11c0ffee22c0ffee33c0ffee44"


def request(*args: Any, headers: dict[str, Any] | None = None, **kwargs: Any) -> MaskedRequest:
    """Take a message as a worker does."""
    app = Celery("test", broker="memory://", set_as_current=False)
    given = {"id": "1", "task": "celery.chord", "lang": "py", **(headers or {})}
    body = json.dumps([args, kwargs, {}])
    message = Message(body, headers=given, content_type="application/json", content_encoding="utf-8")
    return MaskedRequest(message, app=app, task=app.tasks["celery.chord"])


@pytest.mark.parametrize("secret", [TOKEN, SECRET, SECRET.upper(), f"https://x/?access_token={TOKEN}"])
@pytest.mark.parametrize(
    "arguments",
    [
        lambda secret: ((secret,), {}),
        lambda secret: ((), {"rejected": secret}),
        lambda secret: ((["wx1", {"of": (secret,)}],), {"rejected": {secret: [[secret]]}}),
        lambda secret: ((json.loads("[" * 50 + f'"{secret}"' + "]" * 50),), {}),
    ],
    ids=["positional", "named", "nested", "deep"],
)
def test_inspect_shows_no_token(arguments: Any, secret: str) -> None:
    args, kwargs = arguments(secret)
    taken = request(*args, **kwargs)

    for safe in (True, False):
        told = json.dumps(taken.info(safe)) + repr(taken)
        assert SECRET not in told.lower()
        assert TOKEN not in told
    # But the task gets it.
    assert secret in json.dumps([taken.args, taken.kwargs])


def test_inspect_shows_the_other_arguments_in_their_shape() -> None:
    told = request("wx0123456789abcdef", rejected="0123456789abcdef", early=True).info()

    assert told["args"] == ["wx0123456789abcdef"]
    assert told["kwargs"] == {"rejected": "0123456789abcdef", "early": True}


def test_a_message_without_texts_of_its_arguments_gets_masked_ones() -> None:
    taken = request(TOKEN, headers={"argsrepr": ""}, appid="wx1", rejected=SECRET)

    assert taken.request_dict["argsrepr"] == "['***']"
    assert taken.request_dict["kwargsrepr"] == "{'appid': 'wx1', 'rejected': '***'}"


def test_the_text_that_the_sender_chose_stays() -> None:
    assert request("wx1", headers={"argsrepr": "(…)"}).info(safe=True)["args"] == "(…)"
