"""Requests that reach WeChat late."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from support.processes import wait_for

from acceptance.crowd import ask
from acceptance.rows import Row
from acceptance.stage import Prover, Stage, make_account
from tokenworker.sandbox import Rules

OVERLAP = 6.0
FETCH_TIMEOUT = 1.2


class Stall(threading.Thread):
    """A way to WeChat on which each request takes some seconds, and arrives though its sender has given up."""

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(daemon=True)
        self._to = (str(urlsplit(url).hostname), int(urlsplit(url).port or 0))
        self._seconds = seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(sock,), daemon=True).start()

    def _relay(self, sock: socket.socket) -> None:
        with sock, socket.create_connection(self._to) as upstream, suppress(OSError):
            request = sock.recv(65_536)
            time.sleep(self._seconds)
            upstream.sendall(request)
            sock.sendall(upstream.recv(65_536))


def stalled(prover: Prover) -> Iterator[Row]:
    """WeChat acts on a classic fetch that we gave up on, after the fetch that healed it."""
    account = make_account(1, "token", OVERLAP - 0.1)
    rules = Rules(life=60, overlap=OVERLAP, two_newest_only=False)
    with Stage(prover, [account], rules, scale=OVERLAP / 300, fetch_timeout=FETCH_TIMEOUT) as stage:
        stall = Stall(stage.upstream.url, FETCH_TIMEOUT + 1)
        stall.start()
        appid, (holder,), keepers = account.appid, stage.callers(1, WECHAT_API_URL=stall.url), stage.callers(1)
        stage.upstream.rule(appid, life=9.0)
        ask(keepers, "refresh", appid=appid)
        stage.upstream.rule(appid, two_newest_only=False)
        with stage.watch() as watch:
            wait_for(lambda: stage.look(appid).now >= stage.look(appid).refresh_at)
            before = stage.upstream.fetches(appid)
            holder.order("refresh", appid=appid)
            wait_for(lambda: stage.look(appid).lease_left)
            ask(keepers, "keep", seconds=2 * OVERLAP, timeout=40)
        yield Row(
            scenario="WeChat acts late on a fetch, token",
            processes=2,
            expected=(2, 2),
            seen=stage.upstream.fetches(appid) - before,
            bad_reads=watch.bad(appid),
            note="; ".join(filter(None, ("one late, one that heals when no more can come", watch.story(appid)))),
        )
