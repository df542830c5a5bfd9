"""The settings, as the environment says them."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tokenworker.accounts.account import Account
from tokenworker.accounts.loaded import Loaded
from tokenworker.accounts.registry import AccountRegistry
from tokenworker.demo import DEMO_APPID, DEMO_SECRET
from tokenworker.durations import DAY, Durations
from tokenworker.errors import ConfigError
from tokenworker.redaction import discreet, excerpt
from tokenworker.secret import Secret
from tokenworker.settings.accounts import read_accounts, single_account
from tokenworker.settings.broker import notes, places
from tokenworker.settings.envfile import load
from tokenworker.settings.servers import Servers
from tokenworker.settings.urls import (
    DEFAULT_API_URL,
    DEFAULT_REDIS_URL,
    DEFAULT_WECOM_URL,
    backend_url,
    check_api,
    check_proxy,
    check_redis,
)
from tokenworker.settings.variables import cleaned, misspelt, overlooked
from tokenworker.settings.web import WebSettings, read_web

#: `tokenworker up` writes here where everything is, so that other commands in the same folder find it.
RUN_FILE = Path(".tokenworker/up.json")

#: Completes the environment of tokenworker's own processes, as docker compose does.
ENV_FILE = Path(".env")

#: The longest duration that is no mistake, in seconds.
_LONGEST = int(DAY)

#: The least that is no mistake: with shorter ticks beat does nothing else than to send them, and no call to WeChat is
#: over so soon.
_LEAST = {"TOKENWORKER_TICK": 0.05, "TOKENWORKER_FETCH_TIMEOUT": 0.05, "TOKENWORKER_TIME_SCALE": 0.001}

#: For people, or for machines: one JSON object a line.
LogFormat = Literal["text", "json"]

#: The rate and the concurrency of few credentials, and the seconds in which all of many can be fetched anew.
_LEAST_RATE = 20.0
_LEAST_CONCURRENCY = 8
_RECOVERY = 900


@dataclass(frozen=True)
class Config:
    """Every setting of tokenworker; Celery's own stand in celeryconfig.py."""

    redis_url: str = field(default=DEFAULT_REDIS_URL, repr=False)
    #: Celery's own settings; they win over these.
    broker_url: str = field(default=DEFAULT_REDIS_URL, repr=False)
    result_backend: str = field(default=backend_url(DEFAULT_REDIS_URL), repr=False)
    #: Celery's settings that these two need besides, by name.
    celery: dict[str, Any] = field(default_factory=dict, repr=False)
    api_urls: tuple[str, ...] = tuple(DEFAULT_API_URL.split(","))
    wecom_urls: tuple[str, ...] = (DEFAULT_WECOM_URL,)
    proxy: str | None = field(default=None, repr=False)
    prefix: str = "tokenworker"
    #: Seconds, for accounts that name none of their own; None means the default of the kind.
    leeway: float | None = None
    durations: Durations = field(default_factory=Durations)
    #: Calls to WeChat that all workers together may begin a second, and have under way at once; None: as many as fit
    #: the number of credentials.
    fetch_rate: float | None = None
    fetch_concurrency: int | None = None
    #: How many replicas of Redis must know of a lease before WeChat is called.
    replicas: int = 0
    accounts_file: Path | None = None
    #: Touched by worker and beat while they work.
    heartbeat_file: Path | None = None
    log: LogFormat = "text"
    web: WebSettings = field(default_factory=WebSettings)
    #: A sandbox that stands in for WeChat while no account is configured.
    sandbox: str | None = None
    #: Whether anybody said where Redis is, or the default stands.
    redis_given: bool = False

    @property
    def urls(self) -> dict[str, tuple[str, ...]]:
        """The hosts of each platform, in order."""
        return {"wechat": self.api_urls, "wecom": self.wecom_urls}

    def rate_for(self, credentials: int) -> float:
        """Return how many calls to WeChat may begin a second: by default, all that are kept within 15 min."""
        return self.fetch_rate or max(_LEAST_RATE, credentials / _RECOVERY)

    def concurrency_for(self, credentials: int) -> int:
        """Return how many calls may be under way at once: by default, room for calls of 0.4 s each."""
        return self.fetch_concurrency or max(_LEAST_CONCURRENCY, math.ceil(0.4 * self.rate_for(credentials)))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Config:
        """Read all settings from the environment; raises `ConfigError` with all faults at once."""
        faults: list[str] = []
        config = _read(os.environ if environ is None else environ, faults)
        if faults:
            raise ConfigError(faults)
        return config

    def load(self, environ: Mapping[str, str] | None = None) -> Loaded:
        """Read the accounts, by id, in their order, with all that is wrong with them."""
        if self.sandbox:
            return Loaded({DEMO_APPID: Account(DEMO_APPID, Secret(DEMO_SECRET), name="sandbox")})
        given = os.environ if environ is None else environ
        return read_accounts(given, self.accounts_file, leeway=self.leeway or 0.0, prefix=self.prefix)

    def accounts(self, environ: Mapping[str, str] | None = None) -> Mapping[str, Account]:
        """Read the accounts, by id, in their order; raises `ConfigError` with all faults at once."""
        loaded = self.load(environ)
        if loaded.faults:
            raise ConfigError(loaded.faults)
        return loaded.accounts

    def registry(self, environ: Mapping[str, str] | None = None, loaded: Loaded | None = None) -> AccountRegistry:
        """Return the accounts in force, which follow their file; raises `ConfigError`.

        `loaded` is what was read of them already: 100,000 accounts take seconds.
        """
        return AccountRegistry(lambda: self.load(environ), self.accounts_file, loaded)


@dataclass(frozen=True)
class Start:
    """What a worker starts with, settings and accounts, each read once; and all that keeps it from starting."""

    config: Config
    loaded: Loaded
    faults: list[str]

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Start:
        """Read all; never raises for faults, but lists a sentence for each."""
        given = os.environ if environ is None else environ
        faults: list[str] = []
        config = _read(given, faults)
        loaded = config.load(given)
        unread = config.accounts_file and loaded.faults
        used = None if unread else {account.secret_env for account in loaded.accounts.values() if account.secret_env}
        found = (*faults, *misspelt(given, used), *loaded.faults)
        return cls(config, loaded, [discreet(fault) for fault in found])


def startup_faults(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for everything that keeps a worker from starting, settings and accounts together."""
    return Start.from_env(environ).faults


def broker_notes(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for each variable about Redis or Celery's broker that can be used, but may not be meant."""
    given = cleaned(os.environ if environ is None else environ, [])
    return [*notes(given, _read(given, []).redis_url), *overlooked(given)]


def read_dotenv() -> None:
    """Complete the environment by the file `.env` of the working folder; raises `ConfigError` for a broken one.

    For the processes that are tokenworker's own: an app that only loads the tasks has an environment of its own.
    """
    faults: list[str] = []
    found = load(ENV_FILE, os.environ, faults)
    if faults:
        raise ConfigError(faults)
    os.environ.update({name: value for name, value in found.items() if name not in os.environ})


def _read(environ: Mapping[str, str], faults: list[str]) -> Config:
    set_ = cleaned(environ, faults)
    running = {} if "REDIS_URL" in set_ else _running()
    redis_url = check_redis(set_.get("REDIS_URL") or running.get("redis_url", DEFAULT_REDIS_URL), faults)
    queue, results = places(set_, redis_url, faults)
    accounts_file = set_.get("TOKENWORKER_ACCOUNTS")
    made_up = set_.get("TOKENWORKER_SANDBOX") or running.get("sandbox") or None
    sandbox = made_up if not accounts_file and not single_account(environ) else None
    api_urls, wecom_urls = _hosts(set_, sandbox, faults)
    return Config(
        redis_url=redis_url,
        broker_url=queue.url,
        result_backend=results.url,
        celery=queue.settings | results.settings,
        api_urls=api_urls,
        wecom_urls=wecom_urls,
        proxy=check_proxy(set_.get("WECHAT_PROXY"), faults),
        prefix=_prefix(set_.get("TOKENWORKER_PREFIX") or running.get("prefix", Config.prefix), faults),
        leeway=_number(set_, "TOKENWORKER_LEEWAY", faults),
        durations=_durations(_time_scale(running) | set_, faults),
        fetch_rate=_number(set_, "TOKENWORKER_FETCH_RATE", faults),
        fetch_concurrency=_count(set_, "TOKENWORKER_FETCH_CONCURRENCY", faults),
        replicas=_replicas(set_, redis_url, faults),
        accounts_file=Path(accounts_file) if accounts_file else None,
        heartbeat_file=Path(file) if (file := set_.get("TOKENWORKER_HEARTBEAT_FILE")) else None,
        log=_log_format(set_, faults),
        web=read_web(set_, faults),
        sandbox=sandbox,
        redis_given="REDIS_URL" in set_ or bool(running),
    )


def _hosts(given: Mapping[str, str], sandbox: str | None, faults: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the hosts of WeChat and those of WeCom, each in order."""
    if sandbox:
        # Whatever else is set: the sandbox's accounts exist nowhere else.
        both = check_api(sandbox, "TOKENWORKER_SANDBOX", faults)
        return both, both
    wechat = check_api(given.get("WECHAT_API_URL", DEFAULT_API_URL), "WECHAT_API_URL", faults)
    return wechat, check_api(given.get("WECOM_API_URL", DEFAULT_WECOM_URL), "WECOM_API_URL", faults)


def _running() -> dict[str, str]:
    """Return what `tokenworker up` wrote of its run in this folder, by name; empty when it does not run."""
    try:
        running = {"time_scale": "1", "sandbox": "", **json.loads(RUN_FILE.read_text(encoding="utf-8"))}
        os.kill(running["pid"], 0)
        return {name: str(running[name]) for name in ("redis_url", "prefix", "time_scale", "sandbox")}
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return {}


def _time_scale(running: Mapping[str, str]) -> dict[str, str]:
    return {"TOKENWORKER_TIME_SCALE": running["time_scale"]} if running else {}


def _prefix(prefix: str, faults: list[str]) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.:-]+", prefix):
        faults.append(f"TOKENWORKER_PREFIX is {excerpt(prefix)!r}: use letters, digits, '_', '.', ':' and '-'")
    return prefix


def _number(environ: Mapping[str, str], variable: str, faults: list[str]) -> float | None:
    text = environ.get(variable)
    if text is None:
        return None
    try:
        # Python itself would take 1_0 and digits of every script.
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    least = _LEAST.get(variable, 0)
    if 0 < value <= _LONGEST and value >= least:
        return value
    span = f"at least {least:g}" if least else "more than 0"
    faults.append(f"{variable} is {excerpt(text)!r}: write a number, {span} and at most {_LONGEST}, such as 5 or 0.5")
    return None


def _log_format(environ: Mapping[str, str], faults: list[str]) -> LogFormat:
    text = environ.get("TOKENWORKER_LOG", "text")
    if text not in ("text", "json"):
        faults.append(f"TOKENWORKER_LOG is {excerpt(text)!r}: write text or json")
    return "json" if text == "json" else "text"


def _replicas(environ: Mapping[str, str], redis_url: str, faults: list[str]) -> int:
    """Return how many replicas are to acknowledge: none of a single server's, one where there must be some."""
    text = environ.get("TOKENWORKER_REPLICAS")
    if text is None:
        return 0 if Servers.of(redis_url).topology == "server" else 1
    if re.fullmatch("[0-9]", text):
        return int(text)
    faults.append(f"TOKENWORKER_REPLICAS is {excerpt(text)!r}: write a whole number from 0 to 9, such as 1")
    return 0


def _count(environ: Mapping[str, str], variable: str, faults: list[str]) -> int | None:
    text = environ.get(variable)
    if text is None or re.fullmatch("[1-9][0-9]{0,5}", text):
        return None if text is None else int(text)
    faults.append(f"{variable} is {excerpt(text)!r}: write a whole number, 1 or more")
    return None


def _durations(environ: Mapping[str, str], faults: list[str]) -> Durations:
    durations = Durations().scaled(_number(environ, "TOKENWORKER_TIME_SCALE", faults) or 1)
    given = {
        "tick": _number(environ, "TOKENWORKER_TICK", faults),
        "fetch_timeout": _number(environ, "TOKENWORKER_FETCH_TIMEOUT", faults),
    }
    return replace(durations, **{name: value for name, value in given.items() if value is not None})
