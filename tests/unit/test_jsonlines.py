"""A log record as JSON: one line, whatever is in it, with fields for machines and no secret."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from tokenworker.worker.logs.jsonlines import JsonLines

SECRET = "c0ffee11c0ffee22c0ffee33c0ffee44"


def line(message: str = "all is well", *args: object, **extra: Any) -> str:
    record = logging.getLogger("shop").makeRecord("shop", logging.WARNING, "x.py", 1, message, args, None, extra=extra)
    return JsonLines().format(record)


def fields(message: str = "all is well", *args: object, **extra: Any) -> dict[str, Any]:
    return dict(json.loads(line(message, *args, **extra)))


def test_a_record_is_a_sentence_with_who_said_it_and_when() -> None:
    found = fields("%s: fetched", "wx1")

    assert found["message"] == "wx1: fetched"
    assert (found["level"], found["logger"]) == ("warning", "shop")
    assert found["time"].endswith("Z")
    assert set(found) == {"time", "level", "logger", "pid", "message"}


def test_what_comes_by_extra_is_a_field_each() -> None:
    found = fields(account="wx1", errcode=40164, retry_in=1.5, early=True)

    assert (found["account"], found["errcode"], found["retry_in"], found["early"]) == ("wx1", 40164, 1.5, True)


def test_what_celery_says_of_a_task_has_our_names() -> None:
    told = {"id": "7f", "name": "shop.order", "runtime": 0.5, "args": "('secret',)", "return_value": "secret"}
    found = fields(data=told)

    assert (found["task"], found["task_id"], found["runtime"]) == ("shop.order", "7f", 0.5)
    assert "secret" not in str(found)


@pytest.mark.parametrize("thing", [None, "", object(), ["list"], {"a": "dict"}])
def test_what_says_nothing_and_things_of_other_libraries_are_left_out(thing: object) -> None:
    assert "thing" not in fields(thing=thing)


@pytest.mark.parametrize("text", ["two\nlines", "三点钟", "half a letter \ud83d", "\x00\x1b[31m", '"quoted"\\'])
def test_whatever_is_in_a_message_it_is_one_line_of_utf_8(text: str) -> None:
    written = line(text)

    assert "\n" not in written
    assert json.loads(written.encode("utf-8").decode())["message"] == text


def test_a_secret_is_hidden_in_messages_and_fields() -> None:
    found = line(f"GET /cgi-bin/token?secret={SECRET}", note=f"by {SECRET}", fingerprint="0123456789abcdef")

    assert SECRET not in found
    assert "0123456789abcdef" in found


def test_an_error_that_nobody_expected_has_its_traceback_in_one_field() -> None:
    try:
        int("gone")
    except ValueError:
        record = logging.makeLogRecord({"msg": "it broke", "exc_info": sys.exc_info()})
    found = json.loads(JsonLines().format(record))

    assert found["message"] == "it broke"
    assert found["traceback"].startswith("Traceback")
    assert found["traceback"].endswith("ValueError: invalid literal for int() with base 10: 'gone'")
