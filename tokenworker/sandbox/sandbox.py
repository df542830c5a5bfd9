"""The sandbox in a thread of its own, for tests."""

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from tokenworker.demo import DEMO_AGENT, DEMO_AGENT_SECRET, DEMO_APPID, DEMO_CORPID, DEMO_SECRET
from tokenworker.sandbox.faults import Fault, FaultBox
from tokenworker.sandbox.platform import Platform
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.server import HOST, listen, make_app, serve_on

P = ParamSpec("P")
T = TypeVar("T")


def _at_platform(method: Callable[Concatenate[Platform, P], T]) -> Callable[Concatenate["Sandbox", P], T]:
    """Return a method for the sandbox that calls the one of the same name of its platform."""

    @functools.wraps(method)
    def delegate(sandbox: "Sandbox", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return getattr(sandbox.platform, method.__name__)(*args, **kwargs)  # type: ignore[no-any-return]

    return delegate


class Sandbox:
    """A context manager that serves in a daemon thread; its methods reach the models directly.

    `accounts` maps appids to secrets and is the demo account by default, and there is the demo application of WeCom;
    `clock` returns epoch seconds. Whatever else the platform can do stands on `platform`.
    Left and entered again it comes back on the same port with all it knew, as after an outage.
    """

    def __init__(
        self,
        rules: Rules | None = None,
        accounts: Mapping[str, str] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        self.platform = Platform(rules, clock)
        self.faults = FaultBox()
        self._port = port
        for appid, secret in ({DEMO_APPID: DEMO_SECRET} if accounts is None else accounts).items():
            self.add_account(appid, secret)
        self.add_application(DEMO_CORPID, DEMO_AGENT, DEMO_AGENT_SECRET)

    def __enter__(self) -> Self:
        self._listener = listen(HOST, self._port)
        self._port = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="sandbox", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """The address to use in place of https://api.weixin.qq.com, without a slash at its end."""
        return f"http://{HOST}:{self._port}"

    add_account = _at_platform(Platform.add_account)
    add_application = _at_platform(Platform.add_application)
    verdict = _at_platform(Platform.verdict)
    counts = _at_platform(Platform.counts)
    mints = _at_platform(Platform.mints)
    revoke = _at_platform(Platform.revoke)
    page_check = _at_platform(Platform.page_check)
    card_check = _at_platform(Platform.card_check)

    def fault(self, kind: str, **options: Any) -> Fault:
        """Arm a fault, for one request unless `times` says otherwise; raises InputError."""
        fault = Fault.from_options({"kind": kind, **options})
        self.faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        """Disarm all faults."""
        self.faults.clear()

    def reset(self, *, tokens: bool = False) -> None:
        """Clear counts, quotas and faults, and all credentials if asked to."""
        self.platform.reset(tokens=tokens)
        self.faults.clear()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(serve_on(self._listener, make_app(self.platform, self.faults), self._stop))
