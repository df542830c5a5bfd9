"""What Celery shows of a task holds no token."""

from __future__ import annotations

import pytest
from celery.utils.saferepr import saferepr
from kombu.utils.json import dumps, loads

from tokenworker.masking import TokenResult, mask

RESULT = TokenResult({"appid": "wx1", "access_token": "t" * 136, "expires_in": 60})


def test_the_result_is_whole_as_json() -> None:
    assert loads(dumps(RESULT)) == {"appid": "wx1", "access_token": "t" * 136, "expires_in": 60}


@pytest.mark.parametrize("show", [repr, str, saferepr, "{}".format, "%s".__mod__], ids=str)
def test_the_result_is_masked_as_text(show: object) -> None:
    assert show(RESULT) == "<token of wx1, expires in 60 s>"  # type: ignore[operator]


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
