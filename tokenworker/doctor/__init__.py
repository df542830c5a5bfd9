"""The doctor behind `tokenworker check`: looks at all that a worker would use, and changes nothing that lasts."""

from __future__ import annotations

from collections.abc import Iterator

from tokenworker.config import Config
from tokenworker.doctor import queue, server, settings, wechat
from tokenworker.doctor.finding import Finding
from tokenworker.errors import ConfigError

__all__ = ["Finding", "examine"]


def examine(app_name: str, *, call: bool = False) -> Iterator[Finding]:
    """Look at the settings, Redis, the queue and who works on it, and with `call` at what WeChat says of each account.

    `app_name` is the app whose worker runs our tasks, as `celery -A` takes it.
    """
    yield from settings.examine()
    try:
        config = Config.from_env()
        accounts = config.accounts()
    except ConfigError:
        return  # said above
    yield from server.examine(config, accounts)
    yield from queue.examine(app_name)
    if call:
        yield from wechat.examine(config, accounts)
