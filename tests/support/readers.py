"""What the tests of readers share: tokens put into Redis, a clock to set by hand, a worker without Celery."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Self

import redis

from support.credentials import put
from tokenworker.accounts.account import Account
from tokenworker.credentials import targets
from tokenworker.durations import Durations
from tokenworker.errors import TokenWorkerError
from tokenworker.refresh.fetcher import Fetcher
from tokenworker.refresh.keeper import Keeper
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Sandbox
from tokenworker.secret import Secret
from tokenworker.store.store import Store
from tokenworker.wechat.source import WeChat
from tokenworker.wechat.transport import Transport

#: An account for which nobody fetches: its tokens are put there by the test.
APPID = "wx1"
TOKEN = f"tokenworker:{{{APPID}}}:access_token"
STATE = f"{TOKEN}:state"

#: Whose credentials a busy worker keeps, and how fast, unless a test says otherwise.
_DEMO = Account(DEMO_APPID, Secret(DEMO_SECRET))
_DURATIONS = replace(Durations(), second=1 / 60, overlap=5.0, fetch_timeout=2.0)


def put_named(store: Store, appid: str = APPID) -> None:
    """Put a token there that says whose it is."""
    put(store, f"token-of-{appid}", account=appid)


def calls(client: redis.Redis, command: str) -> int:
    """Count how many times the server did a command."""
    return int(client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Firewall:
    """A way to a server that can forget its connections: what comes on them later is answered with a reset."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._known: list[socket.socket] = []
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.forget()

    def forget(self) -> None:
        """Forget the connections that there are."""
        self._known = []

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._known.append(client)
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._to) as server, suppress(OSError):
            while data := client.recv(65_536):
                if client not in self._known:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                server.sendall(data)
                client.sendall(server.recv(65_536))


class BusyWorker:
    """Does what beat, a worker and its watchdog do for an account, thirty times a second, in a thread."""

    def __init__(
        self, store: Store, sandbox: Sandbox, account: Account = _DEMO, durations: Durations = _DURATIONS
    ) -> None:
        self.store = store
        wechat = WeChat(Transport(), {"wechat": (sandbox.url,)}, durations.fetch_timeout)
        self._keeper = Keeper(store, Fetcher(store, wechat, durations), durations)
        self._targets = {target.id: target for target in targets(account).values()}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper")

    def __enter__(self) -> Self:
        self.store.schedule.add(self._targets)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.03):
            for id_ in {*self.store.schedule.claim(8, 0.2), *self.store.bulk.missing(self._targets)}:
                # It is recorded, and there for the reader to see.
                with suppress(TokenWorkerError):
                    self._keeper.refresh(self._targets[id_])


def in_a_child(work: Callable[[], object]) -> None:
    """Do it in a forked child, and see that it returns something true."""
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            status = 0 if work() else 1
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
