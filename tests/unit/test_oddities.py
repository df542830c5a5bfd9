"""Accounts that look wrong: what the doctor says, and about whom it keeps silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenworker.accounts.account import Account
from tokenworker.accounts.oddities import oddities
from tokenworker.demo import DEMO_APPID, DEMO_SECRET
from tokenworker.secret import Secret

APPID = "wxfedcba9876543210"
#: No sentence may hold a part of it.
CANARY = "c0ffee11c0ffee22c0ffee33c0ffee44"
CANARY_PARTS = [CANARY[at : at + 6] for at in range(0, 32, 4)]


def odd(appid: str = APPID, secret: str = CANARY, file: Path | None = None) -> list[str]:
    found = oddities(Account(appid, Secret(secret), secret_file=str(file) if file else None))
    assert not [part for part in CANARY_PARTS if part in str(found)]
    return found


@pytest.mark.parametrize("secret", [CANARY, CANARY.upper(), "0" * 32])
def test_an_account_like_wechats_is_not_odd(secret: str) -> None:
    assert odd(APPID, secret) == []


@pytest.mark.parametrize(
    ("appid", "words"),
    [
        ("wx123", "does not look like an appid: WeChat's have wx and 16 hex digits, this has 5 characters"),
        (f"{APPID}0", "this has 19 characters"),
        (APPID[:-1], "this has 17 characters"),
        ("wxfedcba987654321g", "does not look like an appid: WeChat's have wx and 16 hex digits"),
        ("fedcba9876543210", "does not look like an appid"),
        ("Wxfedcba9876543210", "has capital letters"),
        (APPID.upper(), "has capital letters"),
        ("gh_0123456789ab", "is the original ID"),
        ("ww0123456789abcdef", "corpid of a WeCom organisation"),
        ("1230000109", "does not look like an appid"),
        (DEMO_APPID, "the account of the sandbox"),
    ],
)
def test_an_appid_unlike_wechats_is_odd(appid: str, words: str) -> None:
    (sentence,) = odd(appid)

    assert sentence.startswith(f"{appid}: ")
    assert words in sentence


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (f"{CANARY}0", "its AppSecret has 33 characters, WeChat's have 32"),
        (CANARY[:-1], "its AppSecret has 31 characters"),
        (CANARY[:16] * 3, "its AppSecret has 48 characters"),
        ("x", "its AppSecret has 1 characters"),
        (f"g{CANARY[1:]}", "other characters than hex digits"),
        (f"-{CANARY[1:]}", "other characters than hex digits"),
        ("wx0011223344556677", "looks like an appid: are the two swapped?"),
    ],
)
def test_a_secret_unlike_wechats_is_odd(secret: str, words: str) -> None:
    (sentence,) = odd(secret=secret)

    assert sentence.startswith(f"{APPID}: ")
    assert words in sentence


@pytest.mark.parametrize(("mode", "is_odd"), [(0o600, False), (0o640, False), (0o644, True), (0o604, True)])
def test_a_secret_that_everybody_may_read_is_odd(mode: int, is_odd: bool, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(CANARY)
    file.chmod(mode)

    assert [f"everybody on this machine may read {file}" in sentence for sentence in odd(file=file)] == [True] * is_odd


def test_a_secret_file_that_is_gone_or_dockers_is_not_odd(tmp_path: Path) -> None:
    assert odd(file=tmp_path / "none") == []
    assert odd(file=Path("/run/secrets/shop")) == []


def test_all_that_is_odd_about_an_account_is_said_at_once() -> None:
    assert len(odd("wx123", "short")) == 2


def test_in_a_sandbox_nothing_is_odd() -> None:
    assert oddities(Account(DEMO_APPID, Secret(DEMO_SECRET)), sandboxed=True) == []
    assert oddities(Account("wx123", Secret("short")), sandboxed=True) == []
