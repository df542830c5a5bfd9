"""The search for secrets finds them in every form, wherever they stand, whole or in part."""

from __future__ import annotations

import base64
import json
import secrets
from urllib.parse import urlencode

import pytest
from support.canaries import FORMS, LENGTH, Canaries

SECRET = "aK8+/=&?\"'\\é<" + "0123456789abcdefghijklmnopqrstuv" + "%:@#\"'\\é<zZ9"


@pytest.fixture
def canaries() -> Canaries:
    found = Canaries()
    found.add("it", SECRET)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_it_is_found_in_every_form(canaries: Canaries, form: str) -> None:
    text = f"{secrets.token_hex(50)}{FORMS[form](SECRET)}{secrets.token_hex(50)}"

    assert canaries.found(text).keys() == {"it"}


@pytest.mark.parametrize("length", range(7))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_it_is_found_in_base64_wherever_it_begins(canaries: Canaries, encode: object, length: int) -> None:
    body = json.dumps([["x" * length], {"secret": SECRET, "more": "y" * length}])

    assert canaries.found(encode(body.encode())).keys() == {"it"}  # type: ignore[operator]


def test_a_part_is_found(canaries: Canaries) -> None:
    assert canaries.found("…" + SECRET[: LENGTH + 2])
    assert canaries.found(SECRET[-LENGTH - 2 :] + "…")
    assert canaries.found(urlencode({"secret": SECRET})[:60])


def test_nothing_is_found_where_nothing_is(canaries: Canaries) -> None:
    assert canaries.found(secrets.token_bytes(100_000)) == {}
