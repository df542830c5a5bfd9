"""Moments as people write them after --since, and as they read them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tokenworker.cli.moments import clock, since, whole

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def _in_china(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "ago"), [("90", 90), ("90s", 90), ("1.5 m", 90), ("30min", 1800), ("2h", 7200), ("1d", 86400)]
)
def test_a_span_is_before_now(text: str, ago: float) -> None:
    assert since(text)(NOON) == NOON - ago


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("19:30", "2026-11-26T19:30:00+08:00"),
        ("9:05", "2026-11-26T09:05:00+08:00"),
        ("20:00:00", "2026-11-26T20:00:00+08:00"),
        ("20:01", "2026-11-25T20:01:00+08:00"),
        ("2026-11-26T14:05", "2026-11-26T14:05:00+08:00"),
        ("2026-11-26 14:05:06Z", "2026-11-26T22:05:06+08:00"),
    ],
)
def test_a_time_is_the_last_such_here(text: str, at: str) -> None:
    assert whole(since(text)(NOON)) == at


@pytest.mark.parametrize("text", ["", "soon", "-5m", "5w", "25:00", "14:60", "9" * 20, "0x10", "٣m"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        since(text)


def test_a_time_of_another_day_has_its_day() -> None:
    assert clock(NOON - 60, NOON) == "19:59:00"
    assert clock(NOON - 86400, NOON) == "Wed 20:00:00"
