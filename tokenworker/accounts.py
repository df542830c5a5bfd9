"""Accounts: the WeChat applications whose tokens we keep, and the file that lists them."""

from __future__ import annotations

import hmac
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

Endpoint = Literal["stable_token", "token"]

ENDPOINTS: tuple[Endpoint, ...] = get_args(Endpoint)

#: WeChat renews a token of stable_token in its last 300 s; asking sooner brings the same one again.
STABLE_WINDOW = 300

_APPID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FIELDS = ("appid", "secret", "secret_file", "secret_env", "name", "endpoint", "leeway", "publish")
_SECRETS = ("secret", "secret_file", "secret_env")
_MAX_SECRET = 512
#: Names that will stand for an SDK's own key format; nobody should come to rely on them as plain keys.
_RESERVED = ("wechatpy", "wxjava", "easywechat", "silenceper", "powerwechat", "co-wechat-api")


class Secret:
    """A string that nothing shows by accident: no repr, no format, no pickle, no JSON."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the string itself, for the one call to WeChat that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret does not travel: it can't be pickled or copied")


@dataclass(frozen=True)
class Account:
    """A WeChat application whose token we keep."""

    appid: str
    secret: Secret = field(repr=False)
    name: str = ""
    endpoint: Endpoint = "stable_token"
    #: Seconds before `expires_at` at which its token is stale; None means the default of its endpoint.
    leeway: float | None = None
    #: More Redis keys that hold the bare token.
    publish: tuple[str, ...] = ()
    #: Where the secret was read from; read again when that file changes.
    secret_file: Path | None = None

    @property
    def revision(self) -> str:
        """Name the state of the settings that a fetch depends on; 32 bits, too few to test secrets against."""
        return sha256(f"{self.endpoint}\n{self.secret.reveal()}".encode()).hexdigest()[:8]


def load_accounts(path: Path, environ: Mapping[str, str], faults: list[str]) -> list[Account]:
    """Read the accounts file, adding to `faults` a sentence for each thing that is wrong with it.

    The file is TOML, one ``[[account]]`` table each; a secret may stand in it, in a file or in a variable.
    """
    tables = _tables(path, faults)
    accounts = [
        parse_account(table, f"{path}: account {number}", environ, faults)
        for number, table in enumerate(tables, start=1)
    ]
    return [account for account in accounts if account]


def _tables(path: Path, faults: list[str]) -> list[dict[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        faults.append(f"{path}: can't be read: {error.strerror}")
    except UnicodeDecodeError:
        faults.append(f"{path}: is not UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{path}: is not TOML: {_place(error)}")
    else:
        return _account_tables(document, path, faults)
    return []


def _place(error: tomllib.TOMLDecodeError) -> str:
    """Say where the fault is, but not what stands there: it may be a secret."""
    found = re.search(r"\(at (.*)\)$", str(error))
    return f"look at {found[1]}" if found else "look for an open quote or bracket"


def _account_tables(document: dict[str, Any], path: Path, faults: list[str]) -> list[dict[str, Any]]:
    tables = document.pop("account", [])
    faults.extend(f"{path}: {key!r} is unknown: only [[account]] tables belong here" for key in document)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        faults.append(f"{path}: write [[account]], with two brackets, over each account")
        return []
    return tables


def parse_account(
    table: Mapping[str, Any], where: str, environ: Mapping[str, str], faults: list[str]
) -> Account | None:
    """Make an account of a table; None, with the reasons in `faults`, when it can't be one.

    `where` begins each sentence; the value of a secret is never part of one.
    """
    found: list[str] = [f"{key!r} is unknown: use {', '.join(_FIELDS)}" for key in table if key not in _FIELDS]
    account = Account(
        appid=_appid(table, found),
        secret=_secret(table, environ, found),
        name=_text(table, "name", found),
        endpoint=_endpoint(table, found),
        leeway=_leeway(table, found),
        publish=_publish(table, found),
        secret_file=Path(str(table["secret_file"])) if "secret_file" in table else None,
    )
    faults.extend(f"{where}: {fault}" for fault in found)
    return None if found else account


def _appid(table: Mapping[str, Any], faults: list[str]) -> str:
    appid = table.get("appid")
    if not isinstance(appid, str) or not _APPID.fullmatch(appid):
        shown = "is missing" if appid is None else f"is {str(appid)[:80]!r}"
        faults.append(f'appid {shown}: write it as WeChat shows it, for example "wx0123456789abcdef"')
    return str(appid)


def _secret(table: Mapping[str, Any], environ: Mapping[str, str], faults: list[str]) -> Secret:
    given = [key for key in _SECRETS if key in table]
    if len(given) != 1:
        said = "none of them is set" if not given else f"{' and '.join(given)} are set"
        faults.append(f"set exactly one of {', '.join(_SECRETS)}: {said}")
        return Secret("")
    source = table[given[0]]
    if not isinstance(source, str) or not source:
        faults.append(f"{given[0]} must be a text that is not empty")
        return Secret("")
    return _checked(_secret_text(given[0], source, environ, faults), given[0], faults)


def _secret_text(kind: str, source: str, environ: Mapping[str, str], faults: list[str]) -> str | None:
    if kind == "secret":
        return source
    if kind == "secret_env":
        if source not in environ:
            faults.append(f"secret_env names {source}, which is not set in the environment")
        return environ.get(source)
    try:
        return Path(source).read_text(encoding="ascii")
    except OSError as error:
        faults.append(f"secret_file {source} can't be read: {error.strerror}")
    except UnicodeDecodeError:
        faults.append(f"secret_file {source} holds something that is no AppSecret: it must be plain ASCII text")
    return None


def _checked(text: str | None, kind: str, faults: list[str]) -> Secret:
    if text is None:
        return Secret("")
    text = text.strip()
    if not re.fullmatch(r"[!-~]+", text) or len(text) > _MAX_SECRET:
        faults.append(f"the AppSecret from {kind} is empty, too long or has blanks in it: WeChat's has 32 hex digits")
    return Secret(text)


def _text(table: Mapping[str, Any], key: str, faults: list[str]) -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or not value.isprintable():
        faults.append(f"{key} must be a text on one line")
    return str(value)


def _endpoint(table: Mapping[str, Any], faults: list[str]) -> Endpoint:
    value = table.get("endpoint", "stable_token")
    if value not in ENDPOINTS:
        faults.append(f"endpoint is {str(value)[:80]!r}: write {' or '.join(ENDPOINTS)}")
    return value if value in ENDPOINTS else "stable_token"


def _leeway(table: Mapping[str, Any], faults: list[str]) -> float | None:
    value = table.get("leeway")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        faults.append(f"leeway is {str(value)[:80]!r}: write seconds, more than 0")
        return None
    if value > STABLE_WINDOW and table.get("endpoint", "stable_token") == "stable_token":
        faults.append(
            f"leeway is {value:g}: stable_token hands out a new token only in the last {STABLE_WINDOW} s, so write 295"
        )
    return float(value)


def _publish(table: Mapping[str, Any], faults: list[str]) -> tuple[str, ...]:
    keys = table.get("publish", [])
    if not isinstance(keys, list) or not all(isinstance(key, str) and key.strip() for key in keys):
        faults.append('publish must be a list of Redis keys, for example ["YG-WECHAT-TOKEN"]')
        return ()
    faults.extend(
        f"publish: {key!r} stands for an SDK's format, which this version does not write: name a plain key"
        for key in keys
        if key in _RESERVED
    )
    return tuple(dict.fromkeys(keys))


def check_together(accounts: Mapping[str, Account], faults: list[str]) -> None:
    """Add a fault for what is wrong between accounts: the same appid twice, one key for two tokens.

    `accounts` maps the place where an account is configured to the account.
    """
    _check_unique("appid", [(account.appid, place) for place, account in accounts.items()], faults)
    published = [(key, place) for place, account in accounts.items() for key in account.publish]
    _check_unique("the published key", published, faults)


def _check_unique(what: str, values: list[tuple[str, str]], faults: list[str]) -> None:
    seen: dict[str, str] = {}
    for value, place in values:
        if value in seen:
            faults.append(f"{what} {value} stands twice: {seen[value]}, and {place}")
        seen.setdefault(value, place)
