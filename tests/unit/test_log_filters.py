"""What is left of Celery's own log: one line an event, and nothing that we say ourselves."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import redis

from tokenworker.messages import REFRESH_DUE_TOKENS, REFRESH_TOKEN
from tokenworker.worker.logs.filters import _elsewhere, _joined


def record(
    message: str, *args: Any, level: int = logging.INFO, error: BaseException | None = None, **extra: Any
) -> Any:
    exc_info = (type(error), error, None) if error else None
    made = logging.LogRecord("celery", level, "", 1, message, args, exc_info)
    vars(made).update(extra)
    return made


def told(exc: str, name: str = REFRESH_TOKEN) -> Any:
    return record("Task …", data={"name": name, "exc": exc})


@pytest.mark.parametrize("kind", ["NetworkError", "MalformedAnswer", "OperatorError", "DayLimit", "MinuteLimit"])
def test_a_failed_fetch_is_told_by_the_fetcher_alone(kind: str) -> None:
    assert not _elsewhere.filter(told(f"Retry in 1.0485736976204283s: {kind}('no answer came')"))
    assert not _elsewhere.filter(told(f"{kind}('check the AppSecret')"))


@pytest.mark.parametrize(
    "exc", ["StoreUnavailable('Redis …')", "Retry in 1s: StoreUnavailable('…')", "WrongArgument('…')", ""]
)
def test_what_nobody_else_tells_stays(exc: str) -> None:
    assert _elsewhere.filter(told(exc))


def test_the_tick_is_left_out_and_another_apps_task_is_not() -> None:
    assert not _elsewhere.filter(record("Task %s received", REFRESH_DUE_TOKENS))
    assert not _elsewhere.filter(told("", REFRESH_DUE_TOKENS))
    assert _elsewhere.filter(told("NetworkError('…')", "shop.sell"))
    assert _elsewhere.filter(record("Task %s broke", REFRESH_DUE_TOKENS, level=logging.ERROR))


def test_an_attempt_to_reach_the_broker_is_one_line() -> None:
    lines = record(
        "consumer: Cannot connect to %s: %s.\n%s\n", "redis://:**@h", "refused", "Trying again in 2 seconds..."
    )

    assert _joined.filter(lines)
    assert lines.getMessage() == "consumer: Cannot connect to redis://:**@h: refused. Trying again in 2 seconds..."


@pytest.mark.parametrize(("error", "kept"), [(redis.ConnectionError("closed"), False), (LookupError("ours"), True)])
def test_what_a_part_of_the_consumer_says_of_a_lost_connection_is_left_out(error: Exception, kept: bool) -> None:
    said = record("Error on %s %s: %r", "restarting", "Gossip", error, error=error, level=logging.ERROR)
    said.name = "celery.bootsteps"

    assert _joined.filter(said) is kept


@pytest.mark.parametrize("refused", [redis.OutOfMemoryError("it is full"), redis.ReadOnlyError("a replica")])
def test_what_redis_refuses_is_told_without_a_traceback(refused: Exception) -> None:
    said = record("Error in timer: %r", refused, error=refused, level=logging.ERROR)
    said.name = "kombu.asynchronous.hub"

    assert _joined.filter(said)
    assert said.exc_info is None


def test_what_beat_could_not_send_is_told_without_its_stack() -> None:
    lines = record("Message Error: %s\n%s", "it is full", ["File 1", "File 2"])
    lines.name = "celery.beat"

    assert _joined.filter(lines)
    assert lines.getMessage() == "Message Error: it is full"


def chained(last: Exception, *before: Exception) -> Exception:
    if before:
        last.__context__ = chained(*before)
    return last


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (redis.ConnectionError("closed"), False),
        (chained(AttributeError("None"), redis.ConnectionError("closed"), ConnectionRefusedError()), False),
        (chained(LookupError("ours"), ValueError("ours")), True),
    ],
)
def test_a_server_that_is_away_needs_no_traceback(error: Exception, kept: bool) -> None:
    lines = record("beat pidbox connection error: %r", error, error=error)
    _joined.filter(lines)

    assert bool(lines.exc_info) is kept
