"""Fetches of a while, compared with the lives that a token has in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from acceptance.rows import Row
from acceptance.stage import Stage
from acceptance.watch import Watch

Rows = Callable[[str, Watch, int], Iterator[Row]]


@contextmanager
def counted(stage: Stage, span: float, lost: int = 0) -> Iterator[Rows]:
    """Count the fetches of a block; `span` is the least time between two, `lost` those that a fault adds.

    On the classic endpoint each of these may cost one more, when WeChat can't act late any more.
    """
    began, before = time.monotonic(), stage.fetches()

    def rows(what: str, watch: Watch, processes: int) -> Iterator[Row]:
        lives = int(taken / span)
        for account in stage.accounts:
            appid = account.appid
            more = lost if account.endpoint == "stable_token" else 2 * lost
            yield Row(
                scenario=f"{what}, {account.endpoint}",
                processes=processes,
                expected=(1, lives + 1 + more),
                seen=after[appid] - before[appid],
                bad_reads=watch.bad(appid),
                note="; ".join(filter(None, (f"{lives} lives", watch.story(appid)))),
            )

    yield rows
    taken, after = time.monotonic() - began, stage.fetches()
