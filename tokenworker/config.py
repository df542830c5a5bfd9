"""The settings: the only file that reads the environment."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from tokenworker.accounts import (
    STABLE_WINDOW,
    Account,
    Fault,
    Secret,
    check_together,
    load_accounts,
    parse_account,
)
from tokenworker.demo import DEMO_APPID, DEMO_SECRET
from tokenworker.durations import Durations
from tokenworker.errors import ConfigError

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
DEFAULT_API_URL = "https://api.weixin.qq.com,https://api2.weixin.qq.com"

#: `tokenworker up` writes here where everything is, so that other commands in the same folder find it.
RUN_FILE = Path(".tokenworker/up.json")

# Shapes of URLs; no message shows any part of one that is malformed, for a password may be anywhere in it.
_USER = r"(?:[^\s/?#\[\]]*@)?"
_HOST = r"(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::\d+)?"
_SERVER = re.compile(rf"rediss?://{_USER}{_HOST}(?:/\d*)?(?:\?[^\s#]*)?")
_SOCKET = re.compile(rf"unix://{_USER}/[^\s?#]+(?:\?[^\s#]*)?")
_API = re.compile(rf"https?://{_HOST}(?:/[^\s?#@]*)?", re.IGNORECASE)
_PROXY = re.compile(rf"https?://{_USER}{_HOST}/?", re.IGNORECASE)
#: Plain http to anything but this machine and names without a dot, such as those of containers.
_IN_CLEAR = re.compile(r"http://(?!(?:127\.0\.0\.1|\[::1\]|[a-z_][\w-]*)(?:[:/]|$))", re.IGNORECASE)

_REDIS_URLS = {
    "redis": (_SERVER, DEFAULT_REDIS_URL),
    "rediss": (_SERVER, "rediss://redis.example.com:6379/0"),
    "unix": (_SOCKET, "unix:///run/redis.sock?db=0"),
}

#: The longest duration that is no mistake: a day, in seconds.
_LONGEST = 86_400

_VARIABLES = {
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
    #: Calls to WeChat that all workers together may begin a second, and have under way at once.
    fetch_rate: float = 20.0
    fetch_concurrency: int = 8
    accounts_file: Path | None = None
    #: A sandbox that stands in for WeChat while no account is configured.
    sandbox: str | None = None

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
    running = {} if "REDIS_URL" in set_ else _running()
    redis_url = _redis_url(set_.get("REDIS_URL") or running.get("redis_url", DEFAULT_REDIS_URL), faults)
    accounts_file = set_.get("TOKENWORKER_ACCOUNTS")
    sandbox = set_.get("TOKENWORKER_SANDBOX") if not accounts_file and not _given(environ) else None
    return Config(
        redis_url=redis_url,
        broker_url=set_.get("CELERY_BROKER_URL", _for_celery(redis_url)),
        result_backend=set_.get("CELERY_RESULT_BACKEND", _for_celery(redis_url)),
        # Whatever else is set: the sandbox's account exists nowhere else.
        api_urls=_api_urls(set_, "TOKENWORKER_SANDBOX" if sandbox else "WECHAT_API_URL", faults),
        proxy=_proxy(set_.get("WECHAT_PROXY"), faults),
        prefix=_prefix(set_.get("TOKENWORKER_PREFIX") or running.get("prefix", "tokenworker"), faults),
        leeway=_number(set_, "TOKENWORKER_LEEWAY", faults),
        durations=_durations(set_, faults),
        fetch_rate=_number(set_, "TOKENWORKER_FETCH_RATE", faults) or Config.fetch_rate,
        fetch_concurrency=_count(set_, "TOKENWORKER_FETCH_CONCURRENCY", faults) or Config.fetch_concurrency,
        accounts_file=Path(accounts_file) if accounts_file else None,
        sandbox=sandbox,
    )


def _running() -> dict[str, str]:
    """Say what `tokenworker up` runs in this folder; empty when it doesn't."""
    try:
        running = json.loads(RUN_FILE.read_text(encoding="utf-8"))
        os.kill(running["pid"], 0)
        return {name: str(running[name]) for name in ("redis_url", "prefix")}
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return {}


def _redis_url(url: str, faults: list[str]) -> str:
    """Return the URL, or the default in place of one that is at fault."""
    scheme = url.partition("://")[0]
    if scheme not in _REDIS_URLS:
        faults.append("REDIS_URL must begin with redis://, rediss:// or unix://, for example " + DEFAULT_REDIS_URL)
        return DEFAULT_REDIS_URL
    shape, example = _REDIS_URLS[scheme]
    if not _fits(shape, url):
        faults.append(f"REDIS_URL is malformed: write for example {example}; in a password, %-encode what is special")
        return DEFAULT_REDIS_URL
    options = dict(parse_qsl(urlsplit(url).query))
    if not options.get("db", "0").isdecimal():
        faults.append("REDIS_URL has a db that is no number: write for example db=0")
    if options.get("ssl_cert_reqs", "required") != "required":
        faults.append("REDIS_URL must leave ssl_cert_reqs out; for an authority of your own: ssl_ca_certs=/path/ca.pem")
    return url


def _fits(shape: re.Pattern[str], url: str) -> bool:
    try:
        # Python checks addresses in brackets and the range of the port, and shows the URL in its errors.
        sound = urlsplit(url).port != 0
    except ValueError:
        return False
    return sound and url.isascii() and shape.fullmatch(url) is not None


def _for_celery(redis_url: str) -> str:
    """Say in Celery's words where Redis is.

    Its broker takes no other parameters than these, and checks a certificate only when told to.
    """
    url = urlsplit(redis_url)
    options = dict(parse_qsl(url.query))
    user = quote(options.get("username", ""), safe="")
    password = quote(options.get("password", ""), safe="")
    server = url.netloc if "@" in url.netloc or not password else f"{user}:{password}@{url.netloc}"
    if url.scheme == "unix":
        return f"redis+socket://{server}{url.path}?virtual_host={options.get('db', '0')}"
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    tls |= {"ssl_cert_reqs": "required"} if url.scheme == "rediss" else {}
    where = f"{url.scheme}://{server}/{options.get('db') or url.path.strip('/') or '0'}"
    return f"{where}?{urlencode(tls, safe='/')}" if tls else where


def _api_urls(environ: Mapping[str, str], variable: str, faults: list[str]) -> tuple[str, ...]:
    text = environ.get(variable, DEFAULT_API_URL)
    urls = tuple(url.strip().rstrip("/") for url in text.split(",") if url.strip())
    if not urls or not all(_fits(_API, url) for url in urls):
        faults.append(f"{variable} is malformed: write https://host or https://host:port/path, several with commas")
    if any(_IN_CLEAR.match(url) for url in urls):
        faults.append(
            f"{variable} would send the AppSecret in clear text: write https://, for http:// is only for this"
            " machine and for hosts without a dot"
        )
    return urls


def _proxy(url: str | None, faults: list[str]) -> str | None:
    if url and not _fits(_PROXY, url):
        faults.append("WECHAT_PROXY is malformed: write for example http://proxy.example.com:3128")
    return url


def _prefix(prefix: str, faults: list[str]) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.:-]+", prefix):
        faults.append(f"TOKENWORKER_PREFIX is {prefix[:40]!r}: use letters, digits, '_', '.', ':' and '-'")
    return prefix


def _number(environ: Mapping[str, str], variable: str, faults: list[str]) -> float | None:
    text = environ.get(variable)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if 0 < value <= _LONGEST:
        return value
    faults.append(f"{variable} is {text[:40]!r}: write a number, more than 0 and at most {_LONGEST}, such as 5 or 0.5")
    return None


def _count(environ: Mapping[str, str], variable: str, faults: list[str]) -> int | None:
    text = environ.get(variable)
    if text is None or re.fullmatch("[1-9][0-9]{0,5}", text):
        return None if text is None else int(text)
    faults.append(f"{variable} is {text[:40]!r}: write a whole number, 1 or more")
    return None


def _durations(environ: Mapping[str, str], faults: list[str]) -> Durations:
    durations = Durations().scaled(_number(environ, "TOKENWORKER_TIME_SCALE", faults) or 1)
    given = {
        "tick": _number(environ, "TOKENWORKER_TICK", faults),
        "fetch_timeout": _number(environ, "TOKENWORKER_FETCH_TIMEOUT", faults),
    }
    return replace(durations, **{name: value for name, value in given.items() if value is not None})


def _accounts(config: Config, environ: Mapping[str, str], faults: list[str]) -> dict[str, Account]:
    if config.sandbox:
        return {DEMO_APPID: Account(DEMO_APPID, Secret(DEMO_SECRET), name="sandbox")}
    found: list[str] = []
    places = _single_account(environ, found)
    if config.accounts_file:
        places |= load_accounts(config.accounts_file, environ, found)
    check_together(places, found)
    _check_leeway(config, places, found)
    _check_published(config, places, found)
    if not places and not found:
        found.append(_no_account(config))
    faults.extend(found)
    return {account.appid: account for account in places.values()}


def _no_account(config: Config) -> str:
    if config.accounts_file:
        return f"{config.accounts_file}: lists no account: write [[account]] with appid and secret for each"
    return "no account: set WECHAT_APPID and WECHAT_SECRET, or TOKENWORKER_ACCOUNTS to a file of accounts"


def _single_account(environ: Mapping[str, str], faults: list[str]) -> dict[str, Account]:
    """Return the account of the variables by its place; empty when there is none."""
    given = _given(environ)
    if not given:
        return {}
    if "appid" not in given:
        names = ", ".join(_VARIABLES[field] for field in given)
        faults.append(f"WECHAT_APPID is missing, but {names} is set: set WECHAT_APPID too, or none of them")
    if ("secret" in given) == ("secret_file" in given):
        said = "both are" if "secret" in given else "neither is"
        faults.append(f"set either WECHAT_SECRET or WECHAT_SECRET_FILE for WECHAT_APPID: {said} set")
    found: list[Fault] = []
    table = {field: [text] if field == "publish" else text for field, text in given.items()}
    account = parse_account(table, environ, found)
    faults.extend(f"{_VARIABLES[field]} {sentence}" for field, sentence in found)
    return {"WECHAT_APPID": account}


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    return {field: environ[name].strip() for field, name in _VARIABLES.items() if environ.get(name, "").strip()}


def _check_leeway(config: Config, places: Mapping[str, Account], faults: list[str]) -> None:
    if config.leeway is None or config.leeway <= STABLE_WINDOW:
        return
    late = [place for place, account in places.items() if account.endpoint == "stable_token" and not account.leeway]
    if late:
        others = f" and {len(late) - 1} more" if late[1:] else ""
        faults.append(
            f"TOKENWORKER_LEEWAY is {config.leeway:g}, but {late[0]}{others} has the endpoint stable_token, which hands"
            f" out a new token only in the last {STABLE_WINDOW} s: write 295, or a leeway or another endpoint there"
        )


def _check_published(config: Config, places: Mapping[str, Account], faults: list[str]) -> None:
    # A token written over the queue or an account's state would stop the whole service.
    faults.extend(
        f"{place}: the key {key!r} of publish or WECHAT_TOKEN_KEY is one of tokenworker's own: choose another"
        for place, account in places.items()
        for key in account.publish
        if key == "tokenworker" or key.startswith(f"{config.prefix}:")
    )
