"""The settings: the only file that reads the environment."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from tokenworker.accounts import (
    STABLE_WINDOW,
    Account,
    check_together,
    load_accounts,
    parse_account,
)
from tokenworker.durations import Durations
from tokenworker.errors import ConfigError

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
DEFAULT_API_URL = "https://api.weixin.qq.com,https://api2.weixin.qq.com"

#: `tokenworker up` writes here where everything is, so that other commands in the same folder find it.
RUN_FILE = Path(".tokenworker/up.json")

_REDIS_SCHEMES = ("redis", "rediss", "unix")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_FIELD_VARIABLES = {
    "appid": "WECHAT_APPID",
    "secret": "WECHAT_SECRET",
    "secret_file": "WECHAT_SECRET_FILE",
    "endpoint": "WECHAT_ENDPOINT",
    "publish": "WECHAT_TOKEN_KEY",
}


@dataclass(frozen=True)
class Config:
    """Every setting of tokenworker; Celery's own stand in celeryconfig.py."""

    redis_url: str = field(default=DEFAULT_REDIS_URL, repr=False)
    #: Celery's own settings; they win over these.
    broker_url: str = field(default=DEFAULT_REDIS_URL, repr=False)
    result_backend: str = field(default=DEFAULT_REDIS_URL, repr=False)
    api_urls: tuple[str, ...] = tuple(DEFAULT_API_URL.split(","))
    proxy: str | None = field(default=None, repr=False)
    prefix: str = "tokenworker"
    #: For accounts that name none of their own; None means the default of the endpoint.
    leeway: float | None = None
    durations: Durations = field(default_factory=Durations)
    accounts_file: Path | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Config:
        """Read all settings from the environment; raises `ConfigError` with all faults at once."""
        faults: list[str] = []
        config = _read(os.environ if environ is None else environ, faults)
        if faults:
            raise ConfigError(faults)
        return config

    def accounts(self, environ: Mapping[str, str] | None = None) -> dict[str, Account]:
        """Read the accounts, by appid, in their order; raises `ConfigError` with all faults at once."""
        faults: list[str] = []
        accounts = _accounts(self, os.environ if environ is None else environ, faults)
        if faults:
            raise ConfigError(faults)
        return accounts


def startup_faults(environ: Mapping[str, str] | None = None) -> list[str]:
    """List everything that keeps a worker from starting, settings and accounts together."""
    given = os.environ if environ is None else environ
    faults: list[str] = []
    _accounts(_read(given, faults), given, faults)
    return faults


def _read(environ: Mapping[str, str], faults: list[str]) -> Config:
    set_ = {key: value.strip() for key, value in environ.items() if value.strip()}
    redis_url = _redis_url(set_, faults)
    accounts_file = set_.get("TOKENWORKER_ACCOUNTS")
    return Config(
        redis_url=redis_url,
        broker_url=set_.get("CELERY_BROKER_URL", _for_celery(redis_url)),
        result_backend=set_.get("CELERY_RESULT_BACKEND", _for_celery(redis_url)),
        api_urls=_api_urls(set_.get("WECHAT_API_URL", DEFAULT_API_URL), faults),
        proxy=set_.get("WECHAT_PROXY"),
        prefix=_prefix(set_.get("TOKENWORKER_PREFIX", "tokenworker"), faults),
        leeway=_seconds(set_, "TOKENWORKER_LEEWAY", faults),
        durations=_durations(set_, faults),
        accounts_file=Path(accounts_file) if accounts_file else None,
    )


def _redis_url(environ: Mapping[str, str], faults: list[str]) -> str:
    url = environ.get("REDIS_URL") or _running().get("redis_url") or DEFAULT_REDIS_URL
    parts = urlsplit(url)
    if parts.scheme not in _REDIS_SCHEMES:
        faults.append("REDIS_URL must begin with redis://, rediss:// or unix://, for example " + DEFAULT_REDIS_URL)
    elif parts.scheme == "unix" and not parts.path:
        faults.append("REDIS_URL names no socket: write unix:///path/to/redis.sock")
    elif parts.scheme != "unix" and not parts.hostname:
        faults.append("REDIS_URL names no host: write for example " + DEFAULT_REDIS_URL)
    if "ssl_cert_reqs=none" in url.lower():
        faults.append("REDIS_URL switches certificates off: name the authority with ssl_ca_certs=/path/ca.pem instead")
    return url


def _running() -> dict[str, str]:
    """Say what `tokenworker up` runs in this folder; empty when it doesn't."""
    try:
        running = json.loads(RUN_FILE.read_text(encoding="utf-8"))
        os.kill(running["pid"], 0)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return dict(running)


def _for_celery(redis_url: str) -> str:
    """Celery calls redis-py's unix:// scheme redis+socket://, and its database virtual_host."""
    if not redis_url.startswith("unix:"):
        return redis_url
    return re.sub(r"([?&])db=", r"\1virtual_host=", redis_url.replace("unix:", "redis+socket:", 1))


def _api_urls(text: str, faults: list[str]) -> tuple[str, ...]:
    urls = tuple(url.strip().rstrip("/") for url in text.split(",") if url.strip())
    for url in urls:
        _check_api_url(url, faults)
    if not urls:
        faults.append(f"WECHAT_API_URL names no host: leave it unset for {DEFAULT_API_URL}")
    return urls


def _check_api_url(url: str, faults: list[str]) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        faults.append(f"WECHAT_API_URL has {parts.scheme or 'no scheme'!r}: write https://host, several with commas")
    elif parts.scheme == "http" and host not in _LOOPBACK and "." in host:
        faults.append(f"WECHAT_API_URL would send the AppSecret to {host} in clear text: write https://{host}")
    if parts.username or parts.query or parts.fragment:
        faults.append("WECHAT_API_URL takes a scheme, a host, a port and a path, and nothing else")


def _prefix(prefix: str, faults: list[str]) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.:-]+", prefix):
        faults.append(f"TOKENWORKER_PREFIX is {prefix[:40]!r}: use letters, digits, '_', '.', ':' and '-'")
    return prefix


def _seconds(environ: Mapping[str, str], variable: str, faults: list[str]) -> float | None:
    text = environ.get(variable)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        faults.append(f"{variable} is {text[:40]!r}: write seconds, more than 0, for example 5 or 0.5")
        return None
    return value


def _durations(environ: Mapping[str, str], faults: list[str]) -> Durations:
    durations = Durations().scaled(_seconds(environ, "TOKENWORKER_TIME_SCALE", faults) or 1)
    given = {
        "tick": _seconds(environ, "TOKENWORKER_TICK", faults),
        "fetch_timeout": _seconds(environ, "TOKENWORKER_FETCH_TIMEOUT", faults),
    }
    return replace(durations, **{name: value for name, value in given.items() if value is not None})


def _accounts(config: Config, environ: Mapping[str, str], faults: list[str]) -> dict[str, Account]:
    places: dict[str, Account] = {}
    single = _single_account(environ, faults)
    if single:
        places["WECHAT_APPID"] = single
    if config.accounts_file:
        listed = load_accounts(config.accounts_file, environ, faults)
        places |= {f"{config.accounts_file}: account {n} ({a.appid})": a for n, a in enumerate(listed, start=1)}
    check_together(places, faults)
    _check_leeway(config, places, faults)
    if not places and not faults:
        faults.append("no account: set WECHAT_APPID and WECHAT_SECRET, or TOKENWORKER_ACCOUNTS to a file of accounts")
    return {account.appid: account for account in places.values()}


def _single_account(environ: Mapping[str, str], faults: list[str]) -> Account | None:
    given = {key: environ[name].strip() for key, name in _FIELD_VARIABLES.items() if environ.get(name, "").strip()}
    if not given:
        return None
    secrets = [_FIELD_VARIABLES[key] for key in ("secret", "secret_file") if key in given]
    if "appid" not in given:
        names = ", ".join(_FIELD_VARIABLES[key] for key in given)
        faults.append(f"WECHAT_APPID is missing, but {names} is set: set WECHAT_APPID too, or none of them")
    elif len(secrets) != 1:
        said = "both are" if secrets else "neither is"
        faults.append(f"set either WECHAT_SECRET or WECHAT_SECRET_FILE for WECHAT_APPID: {said} set")
    else:
        return _parse_single(given, environ, faults)
    return None


def _parse_single(given: dict[str, str], environ: Mapping[str, str], faults: list[str]) -> Account | None:
    table: dict[str, object] = dict(given)
    if "publish" in given:
        table["publish"] = [given["publish"]]
    found: list[str] = []
    account = parse_account(table, "", environ, found)
    words = "|".join(sorted(_FIELD_VARIABLES, key=len, reverse=True))
    faults.extend(
        re.sub(rf"\b({words})\b", lambda match: _FIELD_VARIABLES[match[1]], fault.removeprefix(": ")) for fault in found
    )
    return account


def _check_leeway(config: Config, places: Mapping[str, Account], faults: list[str]) -> None:
    if config.leeway is None or config.leeway <= STABLE_WINDOW:
        return
    faults.extend(
        f"TOKENWORKER_LEEWAY is {config.leeway:g}, but {place} uses stable_token, which hands out a new token only in"
        f' the last {STABLE_WINDOW} s: set leeway = 295 on that account, or endpoint = "token"'
        for place, account in places.items()
        if account.endpoint == "stable_token" and account.leeway is None
    )
