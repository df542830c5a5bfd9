"""Too many of Celery's processes, and too many messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from celery import Celery

from acceptance.counting import counted
from acceptance.rows import Row
from acceptance.stage import Prover, Stage, make_account
from tokenworker.accounts.account import ENDPOINTS
from tokenworker.sandbox import Rules

MESSAGES = 100


def two_beats(prover: Prover) -> Iterator[Row]:
    """Two beats and two workers keep tokens over several short lives."""
    life, overlap, leeway, lives = 4.0, 2.0, 1.9, 6
    accounts = [make_account(number, endpoint, leeway) for number, endpoint in enumerate(ENDPOINTS)]
    with Stage(prover, accounts, Rules(life=life, overlap=overlap), scale=overlap / 300) as stage:
        stack = stage.stack()
        for start in (stack.worker, stack.worker, stack.beat, stack.beat):
            start()
        stage.wait_for_tokens()
        with counted(stage, life - leeway) as rows, stage.watch() as watch:
            time.sleep(lives * (life - leeway))
        yield from rows("two beats, two workers", watch, 4)


def doubled(prover: Prover) -> Iterator[Row]:
    """The same refresh_token message comes 100 times, and 100 times with early=True."""
    overlap = 5.0
    accounts = [make_account(number, endpoint) for number, endpoint in enumerate(ENDPOINTS)]
    with Stage(prover, accounts, Rules(life=60, overlap=overlap), scale=overlap / 300) as stage:
        stack = stage.stack()
        with Celery(broker=stage.server.url, backend=stage.server.url) as app:

            def start() -> None:
                stack.worker()
                stack.worker()

            yield from _send(stage, app, "the message 100 times", start)
            time.sleep(overlap)
            yield from _send(stage, app, "early=True 100 times", lambda: None, early=True)


def _send(stage: Stage, app: Celery, what: str, then: Callable[[], None], **details: bool) -> Iterator[Row]:
    """Send messages, do something, and count what all of them together made of it."""
    before = stage.fetches()
    sent = [
        app.send_task("tokenworker.refresh_token", kwargs={"appid": appid, **details}, queue="tokenworker")
        for _ in range(MESSAGES)
        for appid in stage.appids
    ]
    then()
    outcomes = [result.get(timeout=20)["outcome"] for result in sent]
    tally = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in sorted(set(outcomes)))
    for account in stage.accounts:
        seen = stage.upstream.fetches(account.appid) - before[account.appid]
        yield Row(
            scenario=f"{what}, {account.endpoint}", processes=2, expected=(1, 1), seen=seen, note=f"both: {tally}"
        )
