"""The Celery app: ``celery -A tokenworker worker``, ``beat`` and ``flower``."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from celery import Celery
from celery.signals import beat_init, celeryd_after_setup, celeryd_init

from tokenworker.errors import ConfigError
from tokenworker.messages import QUEUE
from tokenworker.settings.broker import rewrite
from tokenworker.settings.config import Config, Start, read_dotenv
from tokenworker.settings.libraries import gaps
from tokenworker.worker import redisbroker
from tokenworker.worker.app import preflight
from tokenworker.worker.app.settings import note, settings
from tokenworker.worker.flower import options
from tokenworker.worker.flower.api import hide_credentials
from tokenworker.worker.logs.filters import join_lines
from tokenworker.worker.logs.form import write_json
from tokenworker.worker.monitoring.stats import hide_logins
from tokenworker.worker.runtime import begin_with

logger = logging.getLogger(__name__)

#: Commands of Celery's that would end in a traceback without a library.
_SERVICES = {"worker", "beat", "flower"}


def _settings() -> dict[str, Any]:
    """Return Celery's settings, or end with one message: a traceback would hide what is wrong with ours."""
    try:
        read_dotenv()
        config = Config.from_env()
        rewrite(os.environ, config.broker_url, config.result_backend)
        return settings(config)
    except ConfigError as error:
        faults = error.faults
    # All faults at once, those of the accounts too.
    raise SystemExit(str(ConfigError(list(dict.fromkeys([*Start.from_env().faults, *faults])))))


def _stop_for(faults: list[str]) -> None:
    if faults:
        raise SystemExit(str(ConfigError(faults)))


def _prepare_flower() -> None:
    """Set Flower's options, which it reads after this; in its own process, see that it can start with them."""
    options.set_options(os.environ)
    if "flower" not in sys.argv[1:]:
        return
    _stop_for(options.faults(os.environ))
    forgone = options.forgo_state(os.environ)
    if forgone:
        logger.warning(forgone)
    hide_credentials()


redisbroker.use()
join_lines()
app = Celery("tokenworker")
app.config_from_object(_settings())
if Config.from_env().log == "json":
    write_json(app)
if not _SERVICES.isdisjoint(sys.argv[1:]):
    _stop_for(gaps(app))
_prepare_flower()


@celeryd_init.connect(weak=False)
def check_accounts(**_: Any) -> None:
    """Stop a worker whose accounts can't be used, before it takes a task; the others begin with what was read."""
    start = Start.from_env()
    _stop_for(start.faults)
    begin_with(start.loaded)


@celeryd_after_setup.connect(weak=False)
def check_worker(instance: Any, **_: Any) -> None:
    """Stop a worker of ours that would not do our work, and log what its user should know."""
    if instance.app is app:
        with app.connection_for_read() as connection:
            too_old = redisbroker.fault(connection)
        _stop_for([*preflight.faults(app), *filter(None, [too_old])])
        hide_logins()
        others = sorted(preflight.taken(app) - {QUEUE})
        if others:
            logger.warning("this worker also takes from %s, whose tasks it does not know", ",".join(others))
        tell_of_file()


@beat_init.connect(weak=False)
def tell_of_file(**_: Any) -> None:
    """Log that a celeryconfig.py was left alone."""
    text = note()
    if text:
        logger.warning(text)
