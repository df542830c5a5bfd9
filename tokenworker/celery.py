"""The Celery app: ``celery -A tokenworker worker``, ``beat`` and ``flower``."""

from __future__ import annotations

import logging
import runpy
from pathlib import Path
from types import ModuleType
from typing import Any

from celery import Celery
from celery.signals import celeryd_init

from tokenworker import celeryconfig
from tokenworker.config import Config, read_dotenv, startup_faults
from tokenworker.errors import ConfigError

USER_SETTINGS = Path("celeryconfig.py")

TICK = "tokenworker.refresh_due_tokens"


def settings(config: Config) -> dict[str, Any]:
    """Put Celery's settings together: our defaults, what the environment says, the user's celeryconfig.py."""
    user = _public(runpy.run_path(str(USER_SETTINGS))) if USER_SETTINGS.is_file() else {}
    tick = {"task": TICK, "schedule": config.durations.tick, "options": {"ignore_result": True, "queue": "tokenworker"}}
    derived = {
        "broker_url": config.broker_url,
        "result_backend": config.result_backend,
        "include": ["tokenworker.tasks", "tokenworker.watchdog"],
    }
    schedule = {"beat_schedule": {TICK: tick, **user.pop("beat_schedule", {})}}
    return _public(vars(celeryconfig)) | derived | _for_socket_file(config) | user | schedule


def _for_socket_file(config: Config) -> dict[str, Any]:
    """Leave keepalive out where Redis is reached through a socket file: redis-py refuses it there."""
    changes: dict[str, Any] = {}
    if config.broker_url.startswith("redis+socket:"):
        options = celeryconfig.broker_transport_options
        changes["broker_transport_options"] = {key: options[key] for key in options if key != "socket_keepalive"}
    if config.result_backend.startswith("redis+socket:"):
        changes["redis_socket_keepalive"] = False
    return changes


def _public(names: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a module holds besides settings: its own names and what it imported."""
    return {name: value for name, value in names.items() if name[0] != "_" and not _imported(value)}


def _imported(value: object) -> bool:
    return callable(value) or isinstance(value, ModuleType)


def _config() -> Config:
    try:
        read_dotenv()
        return Config.from_env()
    except ConfigError as error:
        # All faults at once, those of the accounts too, and no traceback: it would hide them.
        raise SystemExit(str(ConfigError(list(dict.fromkeys(error.faults + startup_faults()))))) from None


app = Celery("tokenworker")
app.config_from_object(settings(_config()))


@celeryd_init.connect(weak=False)
def check_accounts(**_: Any) -> None:
    """Stop a worker whose accounts can't be used, before it takes a task."""
    faults = startup_faults()
    if faults:
        raise SystemExit(str(ConfigError(faults)))


class _Tick(logging.Filter):
    """Keeps the tick out of the worker's log: two lines each five seconds would hide the refreshes."""

    def filter(self, record: logging.LogRecord) -> bool:
        data = getattr(record, "data", None)
        tick = isinstance(data, dict) and data.get("name") == TICK
        return not (tick and record.levelno <= logging.INFO)


for _name in ("celery.worker.strategy", "celery.app.trace"):
    logging.getLogger(_name).addFilter(_Tick())
