"""The sandbox in a thread of its own, for tests."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from tokenworker.demo import DEMO_APPID, DEMO_SECRET
from tokenworker.sandbox.accounts import Counts
from tokenworker.sandbox.faults import Fault, FaultBox, Kind
from tokenworker.sandbox.platform import Platform
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.server import HOST, listen, make_app, serve_on
from tokenworker.sandbox.tokens import Endpoint, Mint, Verdict


class Sandbox:
    """A context manager that serves in a daemon thread; its methods reach the models directly.

    `accounts` maps appids to secrets and is the demo account by default; `clock` returns epoch seconds.
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

    def add_account(
        self,
        appid: str,
        secret: str | None = None,
        *,
        whitelist: Iterable[str] | None = None,
        frozen: bool | None = None,
    ) -> None:
        """Add an account, or change what is given of one; its tokens stay. Raises InputError."""
        self.platform.add_account(appid, secret, whitelist=whitelist, frozen=frozen)

    def fault(self, kind: Kind, **options: Any) -> Fault:
        """Arm a fault, for one request unless `times` says otherwise; raises InputError."""
        fault = Fault.from_options({"kind": kind, **options})
        self.faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        """Disarm all faults."""
        self.faults.clear()

    def verdict(self, access_token: str) -> Verdict:
        """Say how a token stands."""
        return self.platform.verdict(access_token)

    def counts(self, appid: str = DEMO_APPID, endpoint: Endpoint | None = None) -> Counts:
        """Return what happened to an account, at one endpoint or at both."""
        return self.platform.counts(appid, endpoint)

    def mints(self, appid: str = DEMO_APPID) -> list[Mint]:
        """Return the log of the account's new tokens, oldest first."""
        return self.platform.mints(appid)

    def revoke(self, appid: str = DEMO_APPID, *, still_handed_out: bool = False) -> int:
        """End the account's live tokens at once; see Platform.revoke."""
        return self.platform.revoke(appid, still_handed_out=still_handed_out)

    def reset(self, *, tokens: bool = False) -> None:
        """Clear counts, quotas and faults, and all tokens if asked to."""
        self.platform.reset(tokens=tokens)
        self.faults.clear()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(serve_on(self._listener, make_app(self.platform, self.faults), self._stop))
