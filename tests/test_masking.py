"""What Celery shows of a task holds no token."""

from __future__ import annotations

import pytest
from celery.utils.saferepr import saferepr
from kombu.utils.json import dumps, loads

from tokenworker.masking import Result, mask

RESULT = Result({"appid": "wx1", "access_token": "t" * 136, "expires_in": 60})


def test_the_result_is_whole_as_json() -> None:
    assert loads(dumps(RESULT)) == {"appid": "wx1", "access_token": "t" * 136, "expires_in": 60}


@pytest.mark.parametrize("show", [repr, str, saferepr, "{}".format, "%s".__mod__], ids=str)
def test_the_result_is_masked_as_text(show: object) -> None:
    assert show(RESULT) == "60 s left"  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{'rejected': '" + "a-_9" * 34 + "'}", "{'rejected': '***'}"),
        ("{'appid': 'wx0123456789abcdef', 'rejected': '0123456789abcdef'}", None),
        ("('wx1', '" + "x" * 40 + "')", "('wx1', '***')"),
        ("", None),
    ],
)
def test_arguments_show_no_token(text: str, shown: str | None) -> None:
    assert mask(text) == (text if shown is None else shown)


@pytest.mark.parametrize(
    ("outcome", "left", "shown"),
    [
        ("refreshed", 7199, "refreshed, 7199 s left"),
        ("busy", None, "busy, no token"),
        ("waiting", 60, "waiting, 60 s left"),
    ],
)
def test_the_outcome_of_a_refresh_stands_first_and_is_short(outcome: str, left: int | None, shown: str) -> None:
    result = Result({"appid": "wx0123456789abcdef", "outcome": outcome, "expires_in": left})

    assert saferepr(result) == shown
    assert loads(dumps(result))["outcome"] == outcome
