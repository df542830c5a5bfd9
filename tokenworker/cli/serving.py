"""The web process: its settings checked, its parts put together, its log where one looks for it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tokenworker.settings.config import Config
from tokenworker.web import server
from tokenworker.web.clients import Clients
from tokenworker.web.held import Held


def serve(config: Config, address: str, port: int, say: Callable[[str], object]) -> None:
    """Serve until a signal; `say` gets the URL once it listens. Raises `ConfigError`, `OSError`."""
    server.check_address(config, address)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    clients = Clients(config.web.clients)
    # After the checks, which need none of it: it takes a second.
    from tokenworker.celery import app  # noqa: PLC0415

    held = Held.from_config(config, app, clients)
    host = f"[{address}]" if ":" in address else address
    server.run(held, address, port, lambda bound: say(f"http://{host}:{bound}"))
