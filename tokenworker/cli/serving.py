"""The web process: its settings checked, its parts put together, its log where one looks for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial

from tokenworker.errors import ConfigError
from tokenworker.settings.config import Config
from tokenworker.settings.libraries import gaps
from tokenworker.settings.variables import ACCOUNT
from tokenworker.web import server
from tokenworker.web.clients.registry import Clients
from tokenworker.web.held import Held

logger = logging.getLogger(__name__)


def serve(config: Config, address: str, port: int, say: Callable[[str], object]) -> None:
    """Serve until a signal; `say` gets the URL once it listens. Raises `ConfigError`, `OSError`."""
    server.check_address(config, address)
    # It is of no use here, and what is not here can't get out of here.
    os.environ.pop(ACCOUNT["secret"], None)
    clients = Clients(config.web.clients)
    # After the checks, which need none of it: it takes a second.
    from tokenworker.celery import app  # noqa: PLC0415
    from tokenworker.worker.logs.form import begin  # noqa: PLC0415

    if faults := gaps(app):
        raise ConfigError(faults)
    begin(config.log)
    held = Held.from_config(config, app, clients)
    host = f"[{address}]" if ":" in address else address
    # What else it says is for machines then, and so is this.
    tell = partial(logger.info, "tokenworker web listens at %s") if config.log == "json" else say
    server.run(held, address, port, lambda bound: tell(f"http://{host}:{bound}"))
