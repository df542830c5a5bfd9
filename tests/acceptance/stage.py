"""The real parts that one scenario runs on: Redis, the sandbox, processes of the crowd, Celery workers and beats."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from support.processes import RedisServer, Stack, wait_for
from support.targets import look

from acceptance.crowd import Caller, Crowd, kept_environ
from acceptance.upstream import Upstream
from acceptance.watch import Watch, by_key
from tokenworker.accounts.account import Account, Endpoint
from tokenworker.credential import CredentialId
from tokenworker.durations import Durations
from tokenworker.sandbox import DEMO_SECRET, Rules
from tokenworker.secret import Secret
from tokenworker.store.connect import connect
from tokenworker.store.state import Snapshot
from tokenworker.store.store import Store

#: How long the sandbox takes for an answer, unless a scenario says otherwise.
UPSTREAM = 0.3

#: What threads and processes may lose to others on a busy machine.
SLACK = 0.2


@dataclass(frozen=True)
class Prover:
    """What a scenario gets from outside: a folder for logs and data, chance, and processes."""

    folder: Path
    chance: random.Random
    crowd: Crowd


def make_account(
    number: int, endpoint: Endpoint = "stable_token", leeway: float | None = None, secret: str = DEMO_SECRET
) -> Account:
    return Account(f"wx{number:016x}", Secret(secret), endpoint=endpoint, leeway=leeway)


def accounts_file(accounts: Sequence[Account]) -> str:
    """Write the accounts as tokenworker's users do."""
    tables = []
    for account in accounts:
        fields: dict[str, object] = {"endpoint": account.endpoint, "leeway": account.leeway}
        fields["publish"] = list(account.publish)
        lines = [f'appid = "{account.appid}"', f'secret = "{account.secret.reveal()}"']
        lines.append(f"keep = {json.dumps(account.keep)}")
        lines += [f"{name} = {value!r}" for name, value in fields.items() if value]
        tables.append("\n".join(["[[account]]", *lines]))
    return "\n\n".join(tables) + "\n"


class Stage:
    """A block with a Redis server and a sandbox of its own; whatever is started on them ends with it.

    `scale` is TOKENWORKER_TIME_SCALE: one second of WeChat's takes so many here.
    """

    def __init__(
        self, prover: Prover, accounts: Sequence[Account], rules: Rules, *, scale: float, fetch_timeout: float = 2.0,
        environ: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.prover = prover
        self.accounts = list(accounts)
        self.folder = prover.folder / f"stage-{time.monotonic_ns()}"
        self.folder.mkdir()
        (self.folder / "accounts.toml").write_text(accounts_file(accounts), encoding="utf-8")
        self.server = RedisServer(self.folder)
        self.upstream = Upstream(rules, [account.appid for account in accounts])
        self.durations = Durations().scaled(scale)
        self._settings = {
            "REDIS_URL": self.server.url,
            "TOKENWORKER_ACCOUNTS": str(self.folder / "accounts.toml"),
            "TOKENWORKER_TIME_SCALE": str(scale),
            "TOKENWORKER_FETCH_TIMEOUT": str(fetch_timeout),
            **(environ or {}),
        }
        #: Where the tokens are: on the server of its own, unless `environ` says otherwise.
        self.url = self._settings["REDIS_URL"]
        self._exits = ExitStack()
        self._lent: list[Caller] = []

    def __enter__(self) -> Self:
        self._exits.__enter__()
        self.server.start()
        self._exits.callback(self.server.kill)
        self._exits.enter_context(self.upstream)
        self._exits.callback(self._take_back)
        self.upstream.slow(UPSTREAM)
        self.store = Store(connect(self.url))
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @property
    def appids(self) -> list[str]:
        return [account.appid for account in self.accounts]

    @property
    def settings(self) -> dict[str, str]:
        return {**self._settings, "WECHAT_API_URL": self.upstream.url}

    def callers(self, number: int, **environ: str) -> list[Caller]:
        lent = self.prover.crowd.lend(number, self.settings | environ)
        self._lent += lent
        return lent

    def stack(self) -> Stack:
        """Return a stack for Celery's workers and beats on these parts."""
        stack = Stack(self.folder, kept_environ() | self.settings)
        self._exits.callback(stack.stop)
        return stack

    def watch(self, appids: Sequence[str] | None = None) -> Watch:
        return Watch(by_key(self.url, appids or self.appids), self.upstream)

    def look(self, appid: str) -> Snapshot:
        return look(self.store, appid)

    def fetches(self) -> dict[str, int]:
        return {appid: self.upstream.fetches(appid) for appid in self.appids}

    def empty(self) -> None:
        """Forget everything, at Redis and at the sandbox."""
        with self.server.client() as client:
            client.flushall()
        self.upstream.reset(tokens=True)
        self.upstream.platform.calls.clear()
        self.upstream.slow(UPSTREAM)

    def wait_for_tokens(self, timeout: float = 10.0) -> None:
        wait_for(
            lambda: not [id_.account for id_ in self.store.bulk.missing([CredentialId(each) for each in self.appids])],
            timeout,
        )

    def _take_back(self) -> None:
        self.prover.crowd.take_back(self._lent)
