"""A reader that polls and remembers every bad read."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Self, cast

import redis

from acceptance.upstream import Upstream
from tokenworker.credential import ACCESS_TOKEN
from tokenworker.errors import TokenUnavailable
from tokenworker.reading.reader import TokenReader

PAUSE = 0.02

#: Returns the token of each appid, None for those that have none; None in place of all while Redis is away.
Read = Callable[[], Mapping[str, str | None] | None]


class Watch:
    """Reads tokens every 20 ms, or after another `pause`, while its block runs.

    A read is bad when the sandbox calls the token dead, or when there is none although one was known.
    """

    def __init__(self, read: Read, upstream: Upstream, pause: float = PAUSE) -> None:
        self._read = read
        self._pause = pause
        self._upstream = upstream
        self._known: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")
        self._began = time.monotonic()
        self.reads = 0
        self._bad: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def bad(self, appid: str) -> int:
        return len(self._bad[appid])

    def gap(self, appid: str) -> float:
        """Return the seconds from the first bad read to the last."""
        bad = self._bad[appid]
        return bad[-1][0] - bad[0][0] if bad else 0.0

    def story(self, appid: str) -> str:
        """Say what was read instead of a good token, and when; empty when nothing was."""
        bad = self._bad[appid]
        what = ", ".join(sorted({verdict for _, verdict in bad}))
        return f"{what} from {bad[0][0] - self._began:.2f} s on for {self.gap(appid):.2f} s" if bad else ""

    def _run(self) -> None:
        while not self._stopped.wait(self._pause):
            for appid, token in (self._read() or {}).items():
                self._judge(appid, token)

    def _judge(self, appid: str, token: str | None) -> None:
        self.reads += 1
        if token is not None:
            self._known.add(appid)
        elif appid not in self._known:
            return
        verdict = self._upstream.verdict(token) if token else None
        if not verdict or not verdict.works:
            self._bad[appid].append((time.monotonic(), verdict.verdict if verdict else "missing"))


def by_key(url: str, appids: Iterable[str], prefix: str = "tokenworker", name: str = ACCESS_TOKEN) -> Read:
    """Read with plain GETs, as a service in any language does."""
    client = redis.Redis.from_url(url, socket_timeout=0.4, retry=None)
    keys = {appid: f"{prefix}:{{{appid}}}:{name}" for appid in appids}

    def read() -> Mapping[str, str | None] | None:
        try:
            values = cast("list[bytes | None]", client.mget(list(keys.values())))
        except redis.RedisError:
            return None
        return {appid: value.decode() if value else None for appid, value in zip(keys, values, strict=True)}

    return read


def by_reader(reader: TokenReader, appids: Iterable[str]) -> Read:
    """Read with TokenReader, which has a copy for the time when Redis is away."""
    wanted = list(appids)

    def read_one(appid: str) -> str | None:
        try:
            return reader.get_token(appid).access_token
        except TokenUnavailable:
            return None

    return lambda: {appid: read_one(appid) for appid in wanted}
