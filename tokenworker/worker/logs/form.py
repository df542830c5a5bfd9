"""The logs of our own processes, in the form that TOKENWORKER_LOG names.

An app that our tasks are in keeps its own form, and so does who sets logging up by Celery's signal `setup_logging`.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from celery.app.log import Logging
from celery.signals import celeryd_after_setup, import_modules

from tokenworker.settings.config import LogFormat
from tokenworker.worker.logs.jsonlines import JsonLines

#: For people, where no Celery sets logging up.
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLogging(Logging):
    """Celery's setting up of logs, with lines of JSON."""

    def setup_handlers(
        self,
        logger: logging.Logger,
        logfile: Any,
        format: str,  # noqa: A002  Celery's name
        colorize: bool,
        formatter: Any = JsonLines,
        **options: Any,
    ) -> logging.Logger:
        """Give a logger its handler, unless somebody did."""
        return super().setup_handlers(logger, logfile, format, colorize, JsonLines, **options)


def write_json(app: Any) -> None:
    """Have the processes of this Celery app write JSON; to be called before any of them sets logging up."""
    app.log_cls = JsonLogging
    app.Beat = app.subclass_with_self("tokenworker.worker.logs.beat:QuietBeat")

    @celeryd_after_setup.connect(weak=False)
    def hush(instance: Any, **_: Any) -> None:
        """Keep a worker of ours from printing its picture."""
        if instance.app is app:
            instance.quiet = True

    @import_modules.connect(sender=app, weak=False)
    def reform(**_: Any) -> None:
        """Reform what Tornado set up: Flower loads the tasks after that, and knows nothing of Celery's logging."""
        reform_pretty()


def begin(form: LogFormat) -> None:
    """Write the log of this process, which is not Celery's, to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def reform_pretty() -> None:
    """Have the handlers of Tornado's making write JSON."""
    tornado = sys.modules.get("tornado.log")
    for handler in logging.getLogger().handlers:
        if tornado and isinstance(handler.formatter, tornado.LogFormatter):
            handler.setFormatter(JsonLines())
