"""`tokenworker up`: everything on one machine, in the foreground."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from types import FrameType

from tokenworker.config import RUN_FILE
from tokenworker.durations import Durations
from tokenworker.errors import StoreUnavailable
from tokenworker.runtime import describe
from tokenworker.store import TokenStore, connect
from tokenworker.up.children import Child, ChildFailed
from tokenworker.up.embedded import NoServer
from tokenworker.up.plan import Plan, Ports, PortTaken, make_plan, write_run_file
from tokenworker.view import View

__all__ = ["ChildFailed", "NoServer", "PortTaken", "Ports", "run"]


def run(ports: Ports, view: View) -> None:
    """Start everything, show how the accounts are, and stop everything at Ctrl-C or SIGTERM.

    Raises `ConfigError`, `PortTaken`, `StoreUnavailable`, `NoServer`, `ChildFailed`.
    """
    folder = RUN_FILE.parent
    folder.mkdir(mode=0o700, exist_ok=True)
    plan = make_plan(os.environ, folder.resolve(), ports)
    signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as stack:
        try:
            for server in plan.servers:
                _start([server], view, stack)
            _start(plan.clients, view, stack)
            write_run_file(RUN_FILE, plan)
            stack.callback(RUN_FILE.unlink, missing_ok=True)
            view.show_places(plan.redis_url, plan.flower_url, plan.sandbox_url, folder, embedded=plan.embedded)
            _watch(plan, view)
        except KeyboardInterrupt:
            view.say("stopping")
        finally:
            # A second Ctrl-C must not leave children behind.
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _start(children: list[Child], view: View, stack: ExitStack) -> None:
    for child in children:
        child.log.write_bytes(b"")
        child.start()
        stack.callback(child.stop)
    for child in children:
        with view.step(child.name):
            child.wait_ready()


def _watch(plan: Plan, view: View) -> None:
    store = TokenStore(connect(plan.redis_url, timeout=0.5, retries=0), plan.config.prefix)
    with view.live() as show:
        while True:
            for child in [*plan.servers, *plan.clients]:
                if child.revive():
                    view.say(f"{child.name} had died and was started again; see {child.log}")
            show(*_look(store, plan.config.durations))
            time.sleep(1)


def _look(store: TokenStore, durations: Durations) -> tuple[list[dict[str, object]], str | None]:
    try:
        return [describe(store.look(appid), durations) for appid in store.appids()], store.accounts_error()
    except StoreUnavailable as error:
        return [], str(error)
