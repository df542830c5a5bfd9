"""Accounts that can't be kept among accounts that can."""

from __future__ import annotations

import time
from collections.abc import Iterator

from acceptance.rows import Row
from acceptance.stage import UPSTREAM, Prover, Stage, make_account
from tokenworker.accounts.account import ENDPOINTS
from tokenworker.sandbox import Fault, Rules


def neighbours(prover: Prover) -> Iterator[Row]:
    """One account of 20 has a wrong secret, for another WeChat never answers."""
    life, overlap, leeway, lives = 4.0, 2.0, 1.9, 6
    wrong, hanging, *good = (make_account(number, ENDPOINTS[number % 2], leeway) for number in range(20))
    accounts = [make_account(0, secret="f" * 32), hanging, *good]
    rules = Rules(life=life, overlap=overlap)
    with Stage(prover, accounts, rules, scale=overlap / 300, fetch_timeout=1.0) as stage:
        stage.upstream.slow(UPSTREAM, first=[Fault("hang", appid=hanging.appid, seconds=None, times=None)])
        stack = stage.stack()
        stack.worker()
        stack.worker()
        stack.beat()
        appids = [account.appid for account in good]
        began, before = time.monotonic(), stage.fetches()
        with stage.watch(appids) as watch:
            time.sleep(lives * (life - leeway))
        seen = [stage.upstream.fetches(appid) - before[appid] for appid in appids]
        taken = time.monotonic() - began
        bad = [stage.upstream.fetches(account.appid) for account in (wrong, hanging)]
        yield Row(
            scenario="18 accounts beside a wrong and a hanging one",
            processes=3,
            expected=(lives // 2, int(taken / (life - leeway)) + 1),
            seen=max(seen),
            bad_reads=sum(watch.bad(appid) for appid in appids),
            note=f"each: {min(seen)} to {max(seen)} in {lives} lives; wrong secret: {bad[0]}, hanging: {bad[1]}",
        )
