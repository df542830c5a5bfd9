"""What `tokenworker up` runs: a plan made from the environment before anything is started."""

from __future__ import annotations

import os
import socket
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenworker.config import Config, startup_faults
from tokenworker.errors import ConfigError, StoreUnavailable
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET
from tokenworker.store import TokenStore, connect
from tokenworker.up.children import Child
from tokenworker.up.embedded import server_command

#: In the sandbox of `up` a token lives a minute, and our own times shrink with it: leeway 14.75 s, overlap 15 s.
_DEMO_SCALE = "0.05"
_DEMO_LIFE = "60"
_DEMO_TICK = "1"

_FLOWER_COLUMNS = "name,kwargs,state,result,received,runtime,worker"


@dataclass(frozen=True)
class Ports:
    """Where on 127.0.0.1 the services listen."""

    redis: int = 6389
    flower: int = 5555
    sandbox: int = 8788


class PortTaken(Exception):  # noqa: N818  it states a fact
    """Another program listens where one of our services should."""

    def __init__(self, service: str, port: int) -> None:
        super().__init__(service, port)
        self.service = service
        self.port = port

    def __str__(self) -> str:
        return (
            f"port {self.port} for {self.service} is taken: stop the other program (is `tokenworker up` running"
            f" already?), or choose another port with --{self.service}-port"
        )


@dataclass(frozen=True)
class Plan:
    """The children in the order of their start, and where things will be."""

    children: list[Child]
    redis_url: str
    flower_url: str
    sandbox_url: str | None
    embedded: bool
    config: Config


def make_plan(environ: Mapping[str, str], folder: Path, ports: Ports) -> Plan:
    """Decide what to run.

    An embedded server when REDIS_URL is unset, the sandbox when no account is configured. Raises `ConfigError`,
    `PortTaken`, `StoreUnavailable`, `NoServer`.
    """
    env = dict(environ)
    embedded = not env.get("REDIS_URL")
    sandbox = not any(env.get(name) for name in ("WECHAT_APPID", "WECHAT_SECRET", "TOKENWORKER_ACCOUNTS"))
    if embedded:
        env["REDIS_URL"] = f"redis://127.0.0.1:{ports.redis}/0"
    if sandbox:
        env = _demo(env, ports)
    if faults := startup_faults(env):
        raise ConfigError(faults)
    config = Config.from_env(env)
    _check_free({"redis": ports.redis} if embedded else {})
    _check_free({"flower": ports.flower} | ({"sandbox": ports.sandbox} if sandbox else {}))
    if not embedded:
        TokenStore(connect(config.redis_url), config.prefix).ping()
    return Plan(
        children=_children(env, folder, ports, config, embedded=embedded, sandbox=sandbox),
        redis_url=config.redis_url,
        flower_url=f"http://127.0.0.1:{ports.flower}",
        sandbox_url=env["WECHAT_API_URL"] if sandbox else None,
        embedded=embedded,
        config=config,
    )


def _demo(env: dict[str, str], ports: Ports) -> dict[str, str]:
    demo = {
        "WECHAT_APPID": DEMO_APPID,
        "WECHAT_SECRET": DEMO_SECRET,
        "TOKENWORKER_TIME_SCALE": _DEMO_SCALE,
        "TOKENWORKER_TICK": _DEMO_TICK,
        "TOKENWORKER_FETCH_TIMEOUT": "8",
    }
    # Whatever WECHAT_API_URL says: the demo account exists nowhere else.
    return demo | env | {"WECHAT_API_URL": f"http://127.0.0.1:{ports.sandbox}"}


def _check_free(ports: Mapping[str, int]) -> None:
    for service, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken = True
            else:
                taken = False
        if taken:
            raise PortTaken(service, port)


def _children(
    env: dict[str, str], folder: Path, ports: Ports, config: Config, *, embedded: bool, sandbox: bool
) -> list[Child]:
    def child(name: str, command: list[str], ready: Callable[[], bool]) -> Child:
        return Child(name, command, ready, folder / f"{name}.log", env)

    store = TokenStore(connect(config.redis_url, timeout=0.5, retries=0), config.prefix)
    children = []
    if embedded:
        data = folder / "redis"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        children.append(child("redis", server_command(ports.redis, data), lambda: _answers(store)))
    if sandbox:
        command = _python("tokenworker.cli", "sandbox", f"--port={ports.sandbox}")
        command += [f"--time-scale={_DEMO_SCALE}", f"--life={_DEMO_LIFE}"]
        children.append(child("sandbox", command, lambda: _serves(f"{env['WECHAT_API_URL']}/sandbox/")))
    worker = _celery("worker", "--loglevel=INFO", "--hostname=worker@%h")
    children.append(child("worker", worker, lambda: _logged(folder / "worker.log", b" ready.")))
    children.append(child("beat", _celery("beat", "--loglevel=WARNING"), lambda: True))
    flower = _celery("flower", "--address=127.0.0.1", f"--port={ports.flower}", f"--tasks-columns={_FLOWER_COLUMNS}")
    flower += ["--natural-time=True", "--logging=warning"]
    children.append(child("flower", flower, lambda: _serves(f"http://127.0.0.1:{ports.flower}/healthcheck")))
    return children


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _celery(*arguments: str) -> list[str]:
    return _python("celery", "--app=tokenworker", *arguments)


def _answers(store: TokenStore) -> bool:
    try:
        store.ping()
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
    """Tell other commands in this folder where everything is."""
    path.write_text(f'{{"pid": {os.getpid()}, "redis_url": "{plan.redis_url}", "prefix": "{plan.config.prefix}"}}\n')
    path.chmod(0o600)
