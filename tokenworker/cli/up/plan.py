"""What `tokenworker up` runs: a plan made from the environment before anything is started."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tokenworker.cli.up.children import Child
from tokenworker.cli.up.embedded import server_command
from tokenworker.cli.up.folder import writing
from tokenworker.cli.up.ports import Ports, choose, moved
from tokenworker.cli.up.pulse import Pulse
from tokenworker.errors import ConfigError, StoreUnavailable
from tokenworker.settings.config import Config, Start
from tokenworker.settings.variables import ACCOUNT
from tokenworker.store.connect import connect
from tokenworker.store.exchange import Patience
from tokenworker.store.inspection import Inspection

#: In the sandbox of `up` a token lives a minute, and all other times shrink to a twentieth: the overlap to 15 s.
_DEMO_SCALE = 0.05
_DEMO_LIFE = 60
_DEMO_TICK = 1

_ACCOUNTS = ("WECHAT_APPID", "WECHAT_SECRET", "WECHAT_SECRET_FILE", "TOKENWORKER_ACCOUNTS")


@dataclass(frozen=True)
class Plan:
    """What runs, and where it will be."""

    #: Servers start one after the other, since the clients need them; then the clients start, all at once.
    servers: list[Child]
    clients: list[Child]
    redis_url: str
    flower_url: str
    web_url: str
    sandbox_url: str | None
    embedded: bool
    config: Config
    #: The command that prints a token.
    read: str
    time_scale: str
    #: A sentence for each service that is not where one expects it.
    moved: list[str]

    @property
    def urls(self) -> dict[str, str]:
        """Where to look, by the names that people know."""
        sandbox = {"sandbox": f"{self.sandbox_url}/sandbox/"} if self.sandbox_url else {}
        return {"Flower": self.flower_url, "web": self.web_url, **sandbox}


def make_plan(environ: Mapping[str, str], folder: Path, asked: Ports, lock: int) -> Plan:
    """Return what to run.

    An embedded server when REDIS_URL is unset, the sandbox when no account is configured. Its processes keep the
    file descriptor `lock`. Raises `ConfigError`, `PortTaken`, `StoreUnavailable`, `NoServer`, `FolderUnusable`.
    """
    embedded = not environ.get("REDIS_URL")
    sandbox = not any(environ.get(name) for name in _ACCOUNTS)
    runs = {"redis": embedded, "flower": True, "web": True, "sandbox": sandbox}
    ports = choose(asked, [service for service in runs if runs[service]])
    env = _environment(environ, ports)
    start = Start.from_env(env)
    if start.faults:
        raise ConfigError(start.faults)
    config = start.config
    if not embedded:
        Inspection(connect(config.redis_url), config.prefix).ping()
    make = partial(_child, env, folder, lock)
    return Plan(
        servers=_servers(make, ports, config, env, folder),
        clients=_clients(make, ports, folder, config.durations.tick),
        redis_url=config.redis_url,
        flower_url=f"http://127.0.0.1:{ports['flower']}",
        web_url=f"http://127.0.0.1:{ports['web']}",
        sandbox_url=env["TOKENWORKER_SANDBOX"] if sandbox else None,
        embedded=embedded,
        config=config,
        read=_read([*start.loaded.accounts]),
        time_scale=env.get("TOKENWORKER_TIME_SCALE", "").strip() or "1",
        moved=moved(asked, ports),
    )


def _read(ids: list[str]) -> str:
    """Return a command that prints a token, for another terminal; of several accounts, the first one's."""
    script, here = Path(sys.executable).with_name("tokenworker"), Path.cwd()
    path = script.relative_to(here) if script.is_relative_to(here) else script
    command = str(path) if script.exists() else "tokenworker"
    return shlex.join([command, "get", *(ids[:1] if len(ids) > 1 else [])])


def _environment(environ: Mapping[str, str], ports: Mapping[str, int]) -> dict[str, str]:
    """Return the variables of all processes: those that are set, and where our own server and sandbox are."""
    env = dict(environ)
    if "redis" in ports:
        env["REDIS_URL"] = f"redis://127.0.0.1:{ports['redis']}/0"
    if "sandbox" not in ports:
        return env
    demo = {
        "TOKENWORKER_TIME_SCALE": str(_DEMO_SCALE),
        "TOKENWORKER_TICK": str(_DEMO_TICK),
        "TOKENWORKER_FETCH_TIMEOUT": "8",
    }
    return demo | env | {"TOKENWORKER_SANDBOX": f"http://127.0.0.1:{ports['sandbox']}"}


def _child(
    env: dict[str, str],
    folder: Path,
    lock: int,
    name: str,
    command: list[str],
    ready: Callable[[], bool],
    **options: Any,
) -> Child:
    return Child(name, command, ready, folder / f"{name}.log", env, lock, **options)


def _with_pulse(make: Callable[..., Child], folder: Path, rest: float, name: str, *arguments: Any) -> Child:
    """Make a child that shows that it moves; each has a file of its own, whatever file is asked for."""
    child = make(name, *arguments, pulse=Pulse(folder / f"{name}.heartbeat", rest))
    child.environ = {**child.environ, "TOKENWORKER_HEARTBEAT_FILE": str(child.pulse.file)}
    return child


def _servers(
    make: Callable[..., Child], ports: Mapping[str, int], config: Config, env: dict[str, str], folder: Path
) -> list[Child]:
    servers = []
    if "redis" in ports:
        data = folder / "redis"
        with writing(folder):
            data.mkdir(mode=0o700, exist_ok=True)
        server = Inspection(connect(config.redis_url, timeout=0.5), config.prefix, Patience(0.5, 0.5, 1))
        command = server_command(ports["redis"], data)
        # It has data to write before it goes.
        servers.append(make("redis", command, lambda: _answers(server), orphan_signal=signal.SIGTERM))
    if "sandbox" in ports:
        scale = float(env["TOKENWORKER_TIME_SCALE"])
        command = _python("tokenworker.cli.commands", "sandbox", f"--port={ports['sandbox']}", f"--time-scale={scale}")
        command += [f"--life={_DEMO_LIFE * scale / _DEMO_SCALE}", f"--state={folder / 'sandbox.json'}"]
        servers.append(make("sandbox", command, lambda: _serves(f"http://127.0.0.1:{ports['sandbox']}/sandbox/")))
    return servers


def _clients(make: Callable[..., Child], ports: Mapping[str, int], folder: Path, tick: float) -> list[Child]:
    worker = _celery("worker", "--loglevel=INFO", "--hostname=worker@%h", "--without-mingle", "--without-gossip")
    flower = _celery("flower", "--address=127.0.0.1", f"--port={ports['flower']}")
    flower.append("--logging=warning")
    shows = make("flower", flower, lambda: _serves(f"http://127.0.0.1:{ports['flower']}/healthcheck"))
    # It goes on with what it showed, as the tokens do, unless somebody keeps that elsewhere.
    shows.environ = {"FLOWER_DB": str(folder / "flower" / "tasks"), **shows.environ}
    # Whatever address is set: what runs here is for this machine, as Flower is.
    web = _python("tokenworker.cli.commands", "web", "--address=127.0.0.1", f"--port={ports['web']}")
    serves = make("web", web, lambda: _serves(f"http://127.0.0.1:{ports['web']}/healthz"))
    serves.environ = {name: text for name, text in serves.environ.items() if name != ACCOUNT["secret"]}
    return [
        _with_pulse(make, folder, 0.0, "worker", worker, lambda: _logged(folder / "worker.log", b" ready.")),
        _with_pulse(make, folder, 3 * tick, "beat", _celery("beat", "--loglevel=WARNING"), lambda: True),
        shows,
        serves,
    ]


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _celery(*arguments: str) -> list[str]:
    return _python("celery", "--app=tokenworker", *arguments)


def _answers(server: Inspection) -> bool:
    try:
        server.ping()
    except StoreUnavailable:
        return False
    return True


def _serves(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=1):
            return True
    except OSError:
        return False


def _logged(log: Path, words: bytes) -> bool:
    return log.exists() and words in log.read_bytes()


def write_run_file(path: Path, plan: Plan) -> None:
    """Write the file that shows other commands in this folder where everything is."""
    running = {
        "pid": os.getpid(),
        "redis_url": plan.redis_url,
        "prefix": plan.config.prefix,
        "time_scale": plan.time_scale,
        "sandbox": plan.sandbox_url or "",
    }
    with writing(path.parent):
        path.touch(mode=0o600)
        path.write_text(json.dumps(running) + "\n", encoding="utf-8")
