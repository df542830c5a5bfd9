"""The settings, as the environment says them."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tokenworker.accounts.account import Account
from tokenworker.accounts.conflicts import conflicts
from tokenworker.accounts.file import load_accounts
from tokenworker.accounts.registry import AccountRegistry
from tokenworker.accounts.table import Fault, parse_account
from tokenworker.credentials import kinds_for, targets
from tokenworker.credentials.kind import Kind
from tokenworker.demo import DEMO_APPID, DEMO_SECRET
from tokenworker.durations import Durations
from tokenworker.errors import ConfigError, UnknownCredential
from tokenworker.publish.formats import credential_of
from tokenworker.redaction import discreet, excerpt
from tokenworker.secret import Secret
from tokenworker.settings.broker import celery_urls, notes
from tokenworker.settings.envfile import load
from tokenworker.settings.urls import (
    DEFAULT_API_URL,
    DEFAULT_REDIS_URL,
    DEFAULT_WECOM_URL,
    backend_url,
    check_api,
    check_proxy,
    check_redis,
)
from tokenworker.settings.variables import ACCOUNT, SETTINGS, misspelt, overlooked

#: `tokenworker up` writes here where everything is, so that other commands in the same folder find it.
RUN_FILE = Path(".tokenworker/up.json")

#: Completes the environment of tokenworker's own processes, as docker compose does.
ENV_FILE = Path(".env")

#: The longest duration that is no mistake: a day, in seconds.
_LONGEST = 86_400

#: As `docker --env-file` hands them on.
_QUOTED = re.compile(r"""(?:'.*'|".*")""", re.DOTALL)


@dataclass(frozen=True)
class Config:
    """Every setting of tokenworker; Celery's own stand in celeryconfig.py."""

    redis_url: str = field(default=DEFAULT_REDIS_URL, repr=False)
    #: Celery's own settings; they win over these.
    broker_url: str = field(default=DEFAULT_REDIS_URL, repr=False)
    result_backend: str = field(default=backend_url(DEFAULT_REDIS_URL), repr=False)
    api_urls: tuple[str, ...] = tuple(DEFAULT_API_URL.split(","))
    wecom_urls: tuple[str, ...] = (DEFAULT_WECOM_URL,)
    proxy: str | None = field(default=None, repr=False)
    prefix: str = "tokenworker"
    #: For accounts that name none of their own; None means the default of the endpoint.
    leeway: float | None = None
    durations: Durations = field(default_factory=Durations)
    #: Calls to WeChat that all workers together may begin a second, and have under way at once.
    fetch_rate: float = 20.0
    fetch_concurrency: int = 8
    accounts_file: Path | None = None
    #: Touched by worker and beat while they work.
    heartbeat_file: Path | None = None
    #: A sandbox that stands in for WeChat while no account is configured.
    sandbox: str | None = None
    #: Whether anybody said where Redis is, or the default stands.
    redis_given: bool = False

    @property
    def urls(self) -> dict[str, tuple[str, ...]]:
        """The hosts of each platform, in order."""
        return {"wechat": self.api_urls, "wecom": self.wecom_urls}

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Config:
        """Read all settings from the environment; raises `ConfigError` with all faults at once."""
        faults: list[str] = []
        config = _read(os.environ if environ is None else environ, faults)
        if faults:
            raise ConfigError(faults)
        return config

    def accounts(self, environ: Mapping[str, str] | None = None) -> dict[str, Account]:
        """Read the accounts, by id, in their order; raises `ConfigError` with all faults at once."""
        faults: list[str] = []
        accounts = _accounts(self, os.environ if environ is None else environ, faults)
        if faults:
            raise ConfigError(faults)
        return accounts

    def registry(self, environ: Mapping[str, str] | None = None) -> AccountRegistry:
        """Return the accounts in force, which follow their file; raises `ConfigError`."""
        return AccountRegistry(lambda: self.accounts(environ), self.accounts_file)


def startup_faults(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for everything that keeps a worker from starting, settings and accounts together."""
    given = os.environ if environ is None else environ
    faults: list[str] = []
    found: list[str] = []
    config = _read(given, faults)
    accounts = _accounts(config, given, found)
    unread = config.accounts_file and found
    used = None if unread else {account.secret_env for account in accounts.values() if account.secret_env}
    return [discreet(fault) for fault in (*faults, *misspelt(given, used), *found)]


def broker_notes(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for each variable about Redis or Celery's broker that can be used, but may not be meant."""
    given = _settings(os.environ if environ is None else environ, [])
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


def _settings(environ: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    """Return the variables that are not blank, without blanks and quotes around their values; quotes are a fault."""
    given = {key: value.strip() for key, value in environ.items() if value.strip()}
    quoted = [name for name in SETTINGS if _QUOTED.fullmatch(given.get(name, ""))]
    faults.extend(f"{name} is in quotes, which are part of it here: write it without them" for name in quoted)
    given |= {name: given[name][1:-1].strip() for name in quoted}
    return {name: value for name, value in given.items() if value}


def _read(environ: Mapping[str, str], faults: list[str]) -> Config:
    set_ = _settings(environ, faults)
    running = {} if "REDIS_URL" in set_ else _running()
    redis_url = check_redis(set_.get("REDIS_URL") or running.get("redis_url", DEFAULT_REDIS_URL), faults)
    broker_url, result_backend = celery_urls(set_, redis_url, faults)
    accounts_file = set_.get("TOKENWORKER_ACCOUNTS")
    made_up = set_.get("TOKENWORKER_SANDBOX") or running.get("sandbox") or None
    sandbox = made_up if not accounts_file and not _given(environ) else None
    # Whatever else is set: the sandbox's account exists nowhere else.
    where = "TOKENWORKER_SANDBOX" if sandbox else "WECHAT_API_URL"
    api_urls = check_api(sandbox or set_.get(where, DEFAULT_API_URL), where, faults)
    wecom = set_.get("WECOM_API_URL", DEFAULT_WECOM_URL)
    return Config(
        redis_url=redis_url,
        broker_url=broker_url,
        result_backend=result_backend,
        api_urls=api_urls,
        wecom_urls=api_urls if sandbox else check_api(wecom, "WECOM_API_URL", faults),
        proxy=check_proxy(set_.get("WECHAT_PROXY"), faults),
        prefix=_prefix(set_.get("TOKENWORKER_PREFIX") or running.get("prefix", "tokenworker"), faults),
        leeway=_number(set_, "TOKENWORKER_LEEWAY", faults),
        durations=_durations(_time_scale(running) | set_, faults),
        fetch_rate=_number(set_, "TOKENWORKER_FETCH_RATE", faults) or Config.fetch_rate,
        fetch_concurrency=_count(set_, "TOKENWORKER_FETCH_CONCURRENCY", faults) or Config.fetch_concurrency,
        accounts_file=Path(accounts_file) if accounts_file else None,
        heartbeat_file=Path(file) if (file := set_.get("TOKENWORKER_HEARTBEAT_FILE")) else None,
        sandbox=sandbox,
        redis_given="REDIS_URL" in set_ or bool(running),
    )


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
    if 0 < value <= _LONGEST:
        return value
    faults.append(
        f"{variable} is {excerpt(text)!r}: write a number, more than 0 and at most {_LONGEST}, such as 5 or 0.5"
    )
    return None


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


def _accounts(config: Config, environ: Mapping[str, str], faults: list[str]) -> dict[str, Account]:
    if config.sandbox:
        return {DEMO_APPID: Account(DEMO_APPID, Secret(DEMO_SECRET), name="sandbox")}
    found: list[str] = []
    places = _single_account(environ, found)
    if config.accounts_file:
        places |= load_accounts(config.accounts_file, environ, found)
    places = _completed(places, found)
    conflicts(places, found)
    _check_leeway(config, places, found)
    _check_published(config, places, found)
    if not places and not found:
        found.append(_no_account(config))
    faults.extend(found)
    return {account.id: account for account in places.values()}


def _no_account(config: Config) -> str:
    if config.accounts_file:
        return f"{config.accounts_file}: lists no account: write [[account]] with appid and secret for each"
    return (
        "no account is configured: set WECHAT_APPID and WECHAT_SECRET, in the environment or in a file .env here, or"
        " TOKENWORKER_ACCOUNTS to a file of accounts; to try it out without one, `tokenworker up` runs a sandbox"
    )


def _single_account(environ: Mapping[str, str], faults: list[str]) -> dict[str, Account]:
    """Return the account of the variables by its place; empty when there is none."""
    given = _given(environ)
    if not given:
        return {}
    if "appid" not in given:
        names = ", ".join(ACCOUNT[field] for field in given)
        faults.append(f"WECHAT_APPID is missing, but {names} is set: set WECHAT_APPID too, or none of them")
    if ("secret" in given) == ("secret_file" in given):
        said = "both are" if "secret" in given else "neither is"
        faults.append(f"set either WECHAT_SECRET or WECHAT_SECRET_FILE for WECHAT_APPID: {said} set")
    found: list[Fault] = []
    account = parse_account(given, environ, found)
    faults.extend(f"{ACCOUNT[field]} {sentence}" for field, sentence in found)
    return {"WECHAT_APPID": account}


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    given = _settings(environ, [])
    return {field: given[name] for field, name in ACCOUNT.items() if name in given}


def _completed(places: Mapping[str, Account], faults: list[str]) -> dict[str, Account]:
    """Have each account keep what the credentials that it keeps are made from."""
    completed: dict[str, Account] = {}
    for place, account in places.items():
        try:
            completed[place] = replace(account, keep=tuple(targets(account)))
        except UnknownCredential as error:
            faults.append(f"{place}: keep names what it can't: {error}")
            completed[place] = account
    return completed


def _check_leeway(config: Config, places: Mapping[str, Account], faults: list[str]) -> None:
    """Add a fault where a leeway asks for a new credential sooner than WeChat makes one."""
    faults.extend(
        f"{place}: leeway is {account.leeway:g}: {_window(account)}, so write 295"
        for place, account in places.items()
        if account.leeway and _asks_in_vain(account, account.leeway)
    )
    common = config.leeway or 0.0
    late = [place for place, account in places.items() if not account.leeway and _asks_in_vain(account, common)]
    if late:
        whose = late[0] + (f" and {len(late) - 1} more" if late[1:] else "")
        window = _window(places[late[0]], "which ")
        advice = "write 295, or a leeway or another endpoint there"
        faults.append(f"TOKENWORKER_LEEWAY is {common:g}, but {whose} has the endpoint {window}: {advice}")


def _asks_in_vain(account: Account, leeway: float) -> bool:
    return any(0 < kind.window < leeway for kind in _kinds(account))


def _window(account: Account, which: str = "") -> str:
    window = min(kind.window for kind in _kinds(account) if kind.window)
    comma = ", " if which else " "
    return f"{account.endpoint}{comma}{which}hands out a new token only in the last {window:g} s"


def _kinds(account: Account) -> list[Kind]:
    return [kind for name, kind in kinds_for(account).items() if name in account.keep]


def _check_published(config: Config, places: Mapping[str, Account], faults: list[str]) -> None:
    faults.extend(
        f"{place}: publish names a key for {name}, which the account does not keep: add it to keep, or take it out"
        for place, account in places.items()
        for name in map(credential_of, account.publish)
        if name and name not in account.keep
    )
    # A credential written over the queue or over a state would stop the whole service.
    faults.extend(
        f"{place}: the key {copy.name!r} of publish or WECHAT_TOKEN_KEY is one of tokenworker's own: choose another"
        for place, account in places.items()
        for copy in account.blank_copies
        if copy.key == "tokenworker" or copy.key.startswith(f"{config.prefix}:")
    )
