"""A ticket outlives the tokens that it is made from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from support.processes import wait_for

from acceptance.rows import Row
from acceptance.stage import Prover, Stage, make_account
from acceptance.watch import Watch, by_key
from tokenworker.accounts.account import ENDPOINTS
from tokenworker.credential import JSAPI_TICKET
from tokenworker.sandbox import Rules

LIFE = 6.0
LIVES = 20
#: A tenth of a second is two minutes of WeChat's here: more is no answer time.
_ANSWER = 0.01


def tickets(prover: Prover) -> Iterator[Row]:
    """A ticket over 20 lives, while its token is refreshed and revoked, and answers about the ticket get lost."""
    keep = ("access_token", JSAPI_TICKET)
    accounts = [replace(make_account(number, each), keep=keep) for number, each in enumerate(ENDPOINTS)]
    rules, environ = Rules().scaled(LIFE / 7200), {"TOKENWORKER_TICK": "0.05"}
    with Stage(prover, accounts, rules, scale=LIFE / 7200, fetch_timeout=1, environ=environ) as stage:
        stage.upstream.slow(_ANSWER)
        stack = stage.stack()
        stack.worker()
        stack.beat()
        read = by_key(stage.server.url, stage.appids, name=JSAPI_TICKET)
        wait_for(lambda: all((read() or {"": None}).values()))
        with Watch(read, stage.upstream) as watch:
            spoilt = _live(stage)
        yield from (_row(stage, appid, watch, spoilt) for appid in stage.appids)


def _live(stage: Stage) -> int:
    """Let the lives pass, with trouble in some of them; return how many answers were spoilt."""
    trouble: dict[int, Callable[[], Any]] = {
        4: lambda: [stage.upstream.revoke(appid, "access_token") for appid in stage.appids],
        8: lambda: stage.upstream.fault("reset", path="getticket", times=2),
        12: lambda: [stage.upstream.revoke(appid, "access_token") for appid in stage.appids],
        16: lambda: stage.upstream.fault("errcode", path="getticket", errcode=-1, times=2),
    }
    began = time.monotonic()
    while (age := time.monotonic() - began) < LIVES * LIFE:
        if act := trouble.pop(int(age / LIFE), None):
            act()
        time.sleep(0.05)
    return 4


def _row(stage: Stage, appid: str, watch: Watch, spoilt: int) -> Row:
    counts = stage.upstream.counts(appid, JSAPI_TICKET)
    endpoint = next(account.endpoint for account in stage.accounts if account.appid == appid)
    # The first value may be old, and is asked for before its end; a refused token costs a fetch, a spoilt answer too.
    most = counts.minted + 1 + spoilt + counts.errors
    return Row(
        scenario=f"ticket over {LIVES} lives of its token, {endpoint}",
        processes=2,
        expected=(LIVES - 1, most),
        seen=counts.fetches,
        bad_reads=watch.bad(appid),
        note="; ".join(filter(None, (f"{counts.minted} tickets", f"{watch.reads} reads", watch.story(appid)))),
    )
