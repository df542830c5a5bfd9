"""WeChat's answers get lost, or never come, on the classic endpoint, whose third token ends the first at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from zlib import crc32

from support.processes import wait_for

from acceptance.rows import Row
from acceptance.stage import SLACK, Prover, Stage, make_account
from acceptance.watch import Watch, by_key, by_reader
from tokenworker.accounts.account import Account
from tokenworker.reading.reader import TokenReader
from tokenworker.sandbox import Rules

LIFE, OVERLAP = 7200.0, 300.0
#: Until the first token is stale, in seconds of WeChat's.
STALE = 12.0
#: What goes wrong with the token call, while all other calls are answered.
DOWN = {
    "reset": {"kind": "reset", "before": True},
    "hang": {"kind": "hang", "seconds": None},
    "502": {"kind": "status", "status": 502},
    "HTML": {"kind": "body", "body": "<html>"},
}


def answers_lost(prover: Prover) -> Iterator[Row]:
    """Answers are lost for 30 s, at real durations, until the overlap is over and all is healed: 6 min."""
    [account] = _accounts(1, 1.0)
    with _stage(prover, [account], 1.0) as stage, ExitStack() as watches:
        _begin(stage)
        stage.upstream.fault("reset", times=None, path="token")
        before = stage.upstream.fetches(account.appid)
        read = _watched(stage, watches)
        wait_for(lambda: stage.upstream.fetches(account.appid) > before, timeout=60)
        time.sleep(30)
        lost = stage.upstream.fetches(account.appid) - before
        stage.upstream.clear_faults()
        time.sleep(OVERLAP)
        watches.close()
        for by, watch in read.items():
            row = _row(f"answers lost for 30 s, {by}", (1, 1), lost, watch, account)
            # The fetch that heals makes the third token.
            yield replace(row, inherent=bool(row.bad_reads) and watch.gap(account.appid) < SLACK)


def token_call_down(prover: Prover) -> Iterator[Row]:
    """The token call alone is down for 40 min, a tenth as long here: 4 min."""
    scale, minutes = 0.1, 40
    accounts = _accounts(len(DOWN), scale)
    with _stage(prover, accounts, scale) as stage, ExitStack() as watches:
        _begin(stage)
        for account, fault in zip(accounts, DOWN.values(), strict=True):
            stage.upstream.fault(times=None, path="token", appid=account.appid, **fault)  # type: ignore[arg-type]
        before = stage.fetches()
        read = _watched(stage, watches)
        time.sleep(minutes * 60 * scale)
        watches.close()
        most = int(minutes * 60 / (OVERLAP - 20)) + 2
        for account, what in zip(accounts, DOWN, strict=True):
            tried = stage.upstream.fetches(account.appid) - before[account.appid]
            for by, watch in read.items():
                yield _row(f"token call down by {what}, {by}", (1, most), tried, watch, account)


def _accounts(number: int, scale: float) -> list[Account]:
    """Make accounts whose tokens become stale without a spread, so that the faults come in time for all."""
    unspread = sorted(range(20_000), key=lambda each: crc32(make_account(each).appid.encode()))
    return [make_account(each, "token", scale * LIFE / 2) for each in unspread[:number]]


def _stage(prover: Prover, accounts: list[Account], scale: float) -> Stage:
    rules = Rules(life=scale * LIFE, overlap=scale * OVERLAP)
    return Stage(prover, accounts, rules, scale=scale, fetch_timeout=8 * scale)


def _begin(stage: Stage) -> None:
    """Start a worker and beat, and have first tokens that are stale soon; WeChat answers at once."""
    stage.upstream.clear_faults()
    for account in stage.accounts:
        stage.upstream.rule(account.appid, life=(account.leeway or 0) + STALE * stage.durations.tick / 5)
    stack = stage.stack()
    stack.worker()
    stack.beat()
    stage.wait_for_tokens(timeout=30)
    for account in stage.accounts:
        stage.upstream.rule(account.appid)


def _watched(stage: Stage, watches: ExitStack) -> dict[str, Watch]:
    """Watch what a plain GET and a TokenReader read."""
    reader = watches.enter_context(TokenReader(stage.server.url, durations=stage.durations))
    reads = {"GET": by_key(stage.server.url, stage.appids), "TokenReader": by_reader(reader, stage.appids)}
    return {by: watches.enter_context(Watch(read, stage.upstream)) for by, read in reads.items()}


def _row(scenario: str, expected: tuple[int, int], seen: int, watch: Watch, account: Account) -> Row:
    return Row(
        scenario=scenario,
        processes=2,
        expected=expected,
        seen=seen,
        bad_reads=watch.bad(account.appid),
        note="; ".join(filter(None, (f"{watch.reads} reads", watch.story(account.appid)))),
    )
