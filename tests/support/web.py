"""`tokenworker web` in a thread of its own, and its parts on a test's Redis."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path
from typing import Any, ClassVar, Self

from support.processes import RedisServer
from tokenworker.settings.config import Config
from tokenworker.web.clients.client import digest, new_key
from tokenworker.web.connections import listen
from tokenworker.web.held import Held
from tokenworker.web.server import serve


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Web:
    """A context manager; `environ` are the settings, besides REDIS_URL. Asks workers by the same Redis."""

    #: How long its reader waits, instead of what the settings say, in seconds.
    patience: ClassVar[float | None] = None

    def __init__(self, redis_url: str, **environ: str) -> None:
        config = Config.from_env({"REDIS_URL": redis_url, **environ})
        if self.patience:
            config = replace(config, durations=replace(config.durations, reader_patience=self.patience))
        self.held = Held.from_config(config, config.broker_url)
        self._listener = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._listener.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def ask(self, path: str, key: str = "", body: Any = None, method: str | None = None, **headers: str) -> Answer:
        """Ask, with a key if there is one, and by POST with a body of JSON if there is one."""
        return ask(self.url + path, key, body, method, **headers)

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(serve(self.held, self._listener, self._stop))


def ask(url: str, key: str = "", body: Any = None, method: str | None = None, **headers: str) -> Answer:
    """Ask as `Web.ask`; a header's name is written with `_` for `-`."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given |= {"Authorization": f"Bearer {key}"} if key else {}
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, given, method=method)  # noqa: S310  our own server
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, refusal.headers, refusal.read())


def clients_file(folder: Path, **lines: str) -> dict[str, str]:
    """Write a clients' file, further lines of TOML by the client's name, and return the key of each."""
    keys = {name: new_key() for name in lines}
    tables = [
        f'[[client]]\nname = "{name}"\nkey_sha256 = "{digest(keys[name])}"\n{more}\n' for name, more in lines.items()
    ]
    (folder / "clients.toml").write_text("\n".join(tables), encoding="utf-8")
    return keys


def with_clients(server: RedisServer, folder: Path, **lines: str) -> tuple[Web, dict[str, str]]:
    """Return a web process that has a clients' file, as `clients_file` writes it, and the key of each client."""
    keys = clients_file(folder, **lines)
    return Web(server.url, TOKENWORKER_WEB_CLIENTS=str(folder / "clients.toml")), keys
