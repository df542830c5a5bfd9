"""`tokenworker up`: everything on one machine, in the foreground."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import FrameType
from typing import Any

from kombu import Connection
from kombu.exceptions import OperationalError

from tokenworker.cli.terminal import Terminal
from tokenworker.cli.up.children import ENDINGS, Child, ChildFailed
from tokenworker.cli.up.embedded import NoServer
from tokenworker.cli.up.folder import FolderUnusable, claimed
from tokenworker.cli.up.plan import Plan, make_plan, write_run_file
from tokenworker.cli.up.ports import Ports, PortTaken
from tokenworker.durations import Durations
from tokenworker.errors import StoreUnavailable
from tokenworker.settings.config import RUN_FILE, Config
from tokenworker.store.connect import connect
from tokenworker.store.exchange import Patience
from tokenworker.store.scripts import Scripts
from tokenworker.store.store import Store
from tokenworker.worker import redisbroker
from tokenworker.worker.status import Status, survey

__all__ = ["ChildFailed", "FolderUnusable", "NoServer", "PortTaken", "Ports", "run"]


def run(ports: Ports, view: Terminal) -> None:
    """Start everything, show how the accounts are, and stop everything at Ctrl-C, SIGTERM or a closed terminal.

    Raises `ConfigError`, `PortTaken`, `StoreUnavailable`, `NoServer`, `FolderUnusable`, `ChildFailed`.
    """
    folder = RUN_FILE.parent
    with ExitStack() as stack:
        lock = stack.enter_context(claimed(folder))
        _heed_signals(_end)
        try:
            redisbroker.use()
            plan = make_plan(os.environ, folder.resolve(), ports, lock)
            _start_all(plan, view, stack)
            view.show_places(plan.redis_url, plan.urls, folder, plan.read, embedded=plan.embedded)
            _watch(plan, view)
        except _Ended:
            with suppress(OSError):  # the terminal may be gone
                view.say("stopping")
        finally:
            # A second Ctrl-C must not leave children behind.
            _heed_signals(signal.SIG_IGN)


def _heed_signals(handler: Any) -> None:
    for number in ENDINGS:
        # A signal that is ignored already stays so: nohup means that we don't end with the terminal.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


class _Ended(BaseException):
    """A signal asks us to end.

    No KeyboardInterrupt: one that comes up through an import marks the process as killed, although we end in order.
    """


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise _Ended


def _start_all(plan: Plan, view: Terminal, stack: ExitStack) -> None:
    for sentence in plan.moved:
        view.say(sentence)
    for server in plan.servers:
        _start([server], view, stack)
    _start(plan.clients, view, stack)
    # First: a signal may end us right after the file is there.
    stack.callback(RUN_FILE.unlink, missing_ok=True)
    write_run_file(RUN_FILE, plan)


def _start(children: list[Child], view: Terminal, stack: ExitStack) -> None:
    for child in children:
        stack.callback(child.stop)
        child.keep_log()
        child.start()
    for child in children:
        with view.step(child.name):
            child.wait_ready()


def _watch(plan: Plan, view: Terminal) -> None:
    client = connect(plan.redis_url, timeout=0.5)
    store = Store(client, plan.config.prefix, Scripts(client, Patience(0.5, 0.5, 1)))
    with view.live() as show:
        while True:
            for child in [*plan.servers, *plan.clients]:
                _mend(child, plan.config, view)
                child.limit_log()
            _pass_on_heartbeat(plan)
            began = time.monotonic()
            show(*_look(store, plan.config.durations))
            # To look at ten thousand accounts takes a second, which must not be all that we do.
            time.sleep(max(1.0, 4 * (time.monotonic() - began)))


def _mend(child: Child, config: Config, view: Terminal) -> None:
    """Start a child again that does not run, or not any more."""
    still = child.still(lambda: not _answers(config))
    if still:
        view.say(f"the {child.name} has not moved for {still:.0f} s: it is started again; see {child.log}")
        child.kill()
    if child.revive() and not still:
        view.say(f"{child.name} had died and was started again; see {child.log}")


def _answers(config: Config) -> bool:
    """Return whether the broker answers, without which worker and beat can't move."""
    options = {"socket_timeout": 2, "socket_connect_timeout": 2, **config.celery.get("broker_transport_options", {})}
    tls = config.celery.get("broker_use_ssl", False)
    with Connection(config.broker_url, ssl=tls, connect_timeout=2, transport_options=options) as broker:
        try:
            broker.ensure_connection(max_retries=0)
        except (OperationalError, OSError):
            return False
    return True


def _pass_on_heartbeat(plan: Plan) -> None:
    """Touch the file that was asked for: worker and beat have files of their own."""
    if plan.config.heartbeat_file and all(child.moves for child in plan.clients):
        with suppress(OSError):
            plan.config.heartbeat_file.touch()


def _look(store: Store, durations: Durations) -> tuple[Sequence[Status], str | None]:
    try:
        return survey(store, durations), store.notes.accounts_error()
    except StoreUnavailable as error:
        return [], str(error)
