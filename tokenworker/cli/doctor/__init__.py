"""The doctor behind `tokenworker check`: looks at all that a worker would use, and changes nothing that lasts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tokenworker.cli.doctor import flower, metrics, queue, rate, server, settings, web, wechat
from tokenworker.cli.doctor.finding import Finding
from tokenworker.settings.config import Start

__all__ = ["Finding", "examine"]


def examine(app_name: str, *, call: bool = False, textfile: Path | None = None) -> Iterator[Finding]:
    """Look at the settings, Redis, the queue, who works on it, and who serves what it keeps.

    With `call` also at what WeChat says of each account, and with `textfile` at the metrics that are written there.

    `app_name` is the app whose worker runs our tasks, as `celery -A` takes it.
    """
    start = Start.from_env()
    faults = settings.faults(start)
    yield from faults
    if faults:
        return  # no worker would start, and so there is nothing more to find
    config, accounts = start.config, start.loaded.accounts
    yield from settings.examine(config, accounts)
    yield from rate.examine(config, accounts)
    yield from server.examine(config, accounts)
    yield from queue.examine(app_name)
    yield from web.examine(config, accounts)
    yield from metrics.examine(config, textfile)
    yield from flower.examine(os.environ)
    if call:
        yield from wechat.examine(config, accounts)
