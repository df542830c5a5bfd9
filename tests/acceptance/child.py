"""One process of the crowd: it does what its parent orders, one JSON line each, and answers with one.

A service, a keeper or a hostile reporter, each with a runtime of its own made from the settings it is told.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from support.targets import kind_of, read, token_of

from tokenworker.accounts.account import Account
from tokenworker.credential import Issued, fingerprint
from tokenworker.credentials.kind import Kind
from tokenworker.errors import FetchError, TokenWorkerError
from tokenworker.reading.reader import TokenReader
from tokenworker.refresh.causes import Demand
from tokenworker.refresh.fetcher import Fetcher
from tokenworker.refresh.keeper import Keeper
from tokenworker.secret import Secret
from tokenworker.settings.config import Config
from tokenworker.wechat.source import WeChat
from tokenworker.wechat.transport import Transport
from tokenworker.worker.runtime import Runtime

logger = logging.getLogger(__name__)

Answer = dict[str, Any]


class Strikes:
    """WeChat, reached by a process that is struck by a signal at the worst moment, once.

    It has the lease, and has sent nothing yet; or it has the answer, and has not committed it yet.
    """

    def __init__(self, wechat: WeChat, number: signal.Signals, when: str) -> None:
        self._wechat = wechat
        self._number = number
        self._when: str | None = when

    def fetch(self, kind: Kind, account: Account, inputs: Mapping[str, Secret], *, force: bool = False) -> Issued:
        self._reached("before sending")
        fetched = self._wechat.fetch(kind, account, inputs, force=force)
        self._reached("before the commit")
        return fetched

    def is_alive(self, kind: Kind, value: Secret) -> bool:
        return self._wechat.is_alive(kind, value)

    def _reached(self, moment: str) -> None:
        if moment == self._when:
            self._when = None
            os.kill(os.getpid(), self._number)


class Child:
    """Each public method is an order."""

    def prepare(self, environ: Mapping[str, str]) -> Answer:
        """Take these settings and no others, and connect to Redis."""
        for name in [name for name in os.environ if name.startswith(("TOKENWORKER_", "WECHAT_"))]:
            del os.environ[name]
        os.environ.update(environ)
        self._config = Config.from_env()
        self._held = Runtime.from_config(self._config)
        self._wechat = WeChat(Transport(), self._config.urls, self._held.durations.fetch_timeout)
        self._held.store.now()
        return {}

    def get(self, appid: str, at: float, rejected: str | None = None) -> Answer:
        """Get a token at the moment `at` of the monotonic clock, which all processes of a machine share."""
        account = self._held.registry.account(appid)
        time.sleep(max(0.0, at - time.monotonic()))
        try:
            token, _ = self._held.keeper.get(token_of(account), rejected)
        except TokenWorkerError as error:
            return {"seconds": time.monotonic() - at, "error": str(error)}
        return {"seconds": time.monotonic() - at, "fingerprint": token.fingerprint}

    def read(self, appid: str, at: float, times: int) -> Answer:
        """Read a token so many times at the moment `at`, and nothing else: what that takes is the machine's doing."""
        time.sleep(max(0.0, at - time.monotonic()))
        for _ in range(times):
            read(self._held.store, appid)
        return {"seconds": time.monotonic() - at}

    def refresh(self, appid: str, *, early: bool = False, struck_by: str | None = None, when: str = "") -> Answer:
        """Refresh an account, and be struck by a signal at a moment if one is named."""
        keeper = self._struck(signal.Signals[struck_by], when) if struck_by else self._held.keeper
        try:
            outcome = keeper.refresh(token_of(self._held.registry.account(appid)), Demand(early=early))
        except TokenWorkerError as error:
            return {"outcome": "failed", "error": str(error)}
        return {"outcome": outcome.result}

    def keep(self, seconds: float) -> Answer:
        """Do for a while what beat and a worker do: tick, and refresh what is due."""
        for _ in _beats(seconds, self._held.durations.tick):
            self._tick()
        return {}

    def serve(self, appid: str, seconds: float, pause: float) -> Answer:
        """Be a service: call WeChat with the token, and report the one that it refuses."""
        seen = {"calls": 0, "refused": 0, "without": 0}
        rejected = None
        for _ in _beats(seconds, pause):
            seen["calls"] += 1
            try:
                token, _ = self._held.keeper.get(token_of(self._held.registry.account(appid)), rejected)
            except TokenWorkerError:
                seen["without"] += 1
                continue
            works = self._wechat.is_alive(kind_of(self._held.registry.account(appid)), Secret(token.value))
            rejected = None if works else token.fingerprint
            seen["refused"] += not works
        return seen

    def report(self, appid: str, seconds: float, pause: float, through: str) -> Answer:
        """Report the live token over and over, though it works: `through` get_token or the reader."""
        seen = {"reports": 0, "without": 0}
        with TokenReader(self._config.redis_url, self._config.prefix, self._held.durations) as reader:
            for _ in _beats(seconds, pause):
                token = read(self._held.store, appid)
                if token is None:
                    continue
                seen["reports"] += 1
                try:
                    if through == "reader":
                        reader.reject(appid, token.access_token)
                    else:
                        self._held.keeper.get(token_of(self._held.registry.account(appid)), token.fingerprint)
                except TokenWorkerError:
                    seen["without"] += 1
        return seen

    def rival(self, appid: str, seconds: float, pause: float) -> Answer:
        """Be another program that fetches for the same appid, and knows nothing of us."""
        fingerprints = []
        for _ in _beats(seconds, pause):
            account = self._held.registry.account(appid)
            issued = self._wechat.fetch(kind_of(account), account, {})
            fingerprints.append(fingerprint(issued.value))
        return {"fetches": len(fingerprints)}

    def _struck(self, number: signal.Signals, when: str) -> Keeper:
        held, source = self._held, Strikes(self._wechat, number, when)
        fetcher = Fetcher(held.store, source, held.durations, self._config.leeway, held.limits)
        return Keeper(held.store, fetcher, held.durations)

    def _tick(self) -> None:
        self._held.reconciler.reconcile()
        for target in self._held.reconciler.claim(100):
            try:
                self._held.keeper.refresh(target)
            except FetchError as error:
                logger.info("%s: %s", target.label, error)


def _beats(seconds: float, pause: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(pause)


def main() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s.%(msecs)03d %(process)d %(message)s", datefmt="%H:%M:%S"
    )
    child = Child()
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(getattr(child, order.pop("do"))(**order)), flush=True)


if __name__ == "__main__":
    main()
