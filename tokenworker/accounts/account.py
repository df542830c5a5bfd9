"""Accounts: the WeChat applications whose tokens we keep, and the file that lists them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, cast, get_args

from tokenworker.credential import Credential
from tokenworker.publish import formats as exports
from tokenworker.redaction import excerpt
from tokenworker.secret import Secret
from tokenworker.textfile import content, reason, shown

Endpoint = Literal["stable_token", "token"]

ENDPOINTS: tuple[Endpoint, ...] = get_args(Endpoint)

#: WeChat renews a token of stable_token in its last 300 s; asking sooner brings the same one again.
STABLE_WINDOW = 300

#: WeChat's tokens live so many seconds; with a leeway as long, none would ever be fresh.
_LIFE = 7200

#: 32 hex digits are an AppSecret, put in the wrong place; as an appid it would stand in key names and logs.
_APPID = re.compile(r"(?![0-9a-fA-F]{32}\Z)[A-Za-z0-9_-]{1,64}")
#: ASCII without blanks; without quotes too, since `docker --env-file` hands those on.
_SECRET = re.compile(r"[!#-&(-~]{1,512}")
#: No quotes and no lines, which the content of the file has, and no AppSecret.
_PATH = re.compile(r"""(?![0-9a-fA-F]{32}\Z)[^"'\x00-\x1f\x7f]+""")
_FIELDS = ("appid", "secret", "secret_file", "secret_env", "name", "endpoint", "leeway", "publish", "quota")
_SECRETS = ("secret", "secret_file", "secret_env")
#: Room for 100,000 accounts; what is larger is another file, or never ends.
_MAX_FILE = 16 * 1024 * 1024
_MAX_SECRET_FILE = 4096
#: The largest quota that is no mistake.
_MOST = 1_000_000_000
_QUOTAS: dict[Endpoint, int] = {"stable_token": 500_000, "token": 2_000}


#: A field that is wrong, and the rest of the sentence about it. Values have no place in it: one may be a secret.
Fault = tuple[str, str]


@dataclass(frozen=True)
class Account:
    """A WeChat application whose token we keep."""

    appid: str
    secret: Secret = field(repr=False)
    name: str = ""
    endpoint: Endpoint = "stable_token"
    #: Seconds before `expires_at` at which its token is stale; None means the default of its endpoint.
    leeway: float | None = None
    #: More Redis keys for the bare token, and names of SDKs' formats.
    publish: tuple[str, ...] = ()
    #: Where the secret was read from; read again when that file changes.
    secret_file: Path | None = None
    #: Fetches a day that WeChat allows; None means what it allows by default.
    quota: int | None = None
    #: The variable that the secret was read from.
    secret_env: str | None = field(default=None, repr=False)

    @property
    def daily_quota(self) -> int:
        """Fetches a day that WeChat allows: 2,000 classic ones for a new account, 500,000 of stable_token."""
        return self.quota or _QUOTAS[self.endpoint]

    @property
    def settings_digest(self) -> str:
        """Name the state of the settings that a fetch depends on; 32 bits, too few to test secrets against."""
        return sha256(f"{self.endpoint}\n{self.secret.reveal()}".encode()).hexdigest()[:8]

    def copies(self, token: Credential, fetched_at: float) -> list[exports.Copy]:
        """Make the copies of a token that `publish` asks for."""
        life = round(token.expires_at - fetched_at)
        secret = self.secret.reveal()
        original = exports.Original(self.appid, secret, token.access_token, token.expires_at, life)
        return [copy for entry in self.publish for copy in exports.copies(entry, original)]

    @cached_property
    def blank_copies(self) -> tuple[exports.Copy, ...]:
        """Its copies with no token in them, for their names and keys."""
        return tuple(self.copies(Credential("", 0), 0))

    @cached_property
    def publish_digest(self) -> str:
        """The name of its list of copies, to notice a change of it; empty for none, and as short as `revision`."""
        keys = "\n".join(copy.key for copy in self.blank_copies)
        return sha256(keys.encode()).hexdigest()[:8] if keys else ""


def load_accounts(path: Path, environ: Mapping[str, str], faults: list[str]) -> dict[str, Account]:
    """Read the accounts file into accounts by place, adding to `faults` a sentence for each thing wrong with it.

    The file is TOML, one ``[[account]]`` table each; a secret may stand in it, in a file or in a variable.
    """
    accounts: dict[str, Account] = {}
    for number, table in enumerate(_tables(path, faults), start=1):
        found = _contradictions(table)
        account = parse_account(table, environ, found)
        place = f"{path}: account {number}" + (f" ({account.appid})" if account.appid else "")
        faults.extend(f"{place}: {field} {sentence}" for field, sentence in found)
        accounts[place] = account
    return accounts


def _tables(path: Path, faults: list[str]) -> list[dict[str, Any]]:
    if not _PATH.fullmatch(str(path)):
        # Whoever puts the content there, or a secret, must not find it in the log.
        faults.append("TOKENWORKER_ACCOUNTS must be the path of a file, for example /etc/tokenworker/accounts.toml")
        return []
    try:
        document = tomllib.loads(_text(path, _MAX_FILE))
    except OSError as error:
        faults.append(f"{shown(path)}: can't be read: {reason(path, error)}")
    except UnicodeDecodeError:
        faults.append(f"{path}: is not UTF-8 text")
    except (ValueError, RecursionError) as error:
        # Besides TOML's own errors: numbers of thousands of digits, brackets a thousand deep.
        faults.append(f"{path}: is not TOML: {_place(error)}")
    else:
        return _account_tables(document, path, faults)
    return []


def _text(path: Path, limit: int) -> str:
    return content(path, limit).decode("utf-8-sig")


def _place(error: Exception) -> str:
    """Say where the fault is, but not what stands there: it may be a secret."""
    found = re.search(r"\(at (line \d+, column \d+)\)$", str(error))
    return f"look at {found[1]}" if found else "look for an open quote or bracket"


def _account_tables(document: dict[str, Any], path: Path, faults: list[str]) -> list[dict[str, Any]]:
    tables = document.pop("account", [])
    faults.extend(f"{path}: {excerpt(key)!r} is unknown here: write [[account]] over what is one's" for key in document)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        faults.append(f"{path}: write [[account]], with two brackets, over each account")
        return []
    return tables


def _contradictions(table: Mapping[str, Any]) -> list[Fault]:
    faults = [(repr(excerpt(key)), f"is unknown: use {', '.join(_FIELDS)}") for key in table if key not in _FIELDS]
    if "appid" not in table:
        faults.append(("appid", 'is missing: write appid = "wx0123456789abcdef", as WeChat shows it'))
    secrets = [key for key in _SECRETS if key in table]
    if not secrets:
        faults.append(("secret", f"is missing: set one of {', '.join(_SECRETS)}"))
    if len(secrets) > 1:
        faults.append((" and ".join(secrets), "are set: keep one of them"))
    return faults


def parse_account(table: Mapping[str, Any], environ: Mapping[str, str], faults: list[Fault]) -> Account:
    """Make an account of a table; of no use when that adds to `faults`. What is not in the table is no fault."""
    secret_file = table.get("secret_file")
    return Account(
        appid=_appid(table, faults),
        secret=_secret(table, environ, faults),
        name=_name(table, faults),
        endpoint=_endpoint(table, faults),
        leeway=_leeway(table, faults),
        publish=_publish(table, faults) + _token_key(table, faults),
        secret_file=Path(secret_file) if isinstance(secret_file, str) else None,
        quota=_quota(table, faults),
        secret_env=table.get("secret_env"),
    )


def _appid(table: Mapping[str, Any], faults: list[Fault]) -> str:
    appid = table.get("appid", "")
    if isinstance(appid, str) and _APPID.fullmatch(appid):
        return appid
    if "appid" in table:
        faults.append(("appid", "must be an appid as WeChat shows it, for example wx0123456789abcdef"))
    return ""


def _secret(table: Mapping[str, Any], environ: Mapping[str, str], faults: list[Fault]) -> Secret:
    given = [key for key in _SECRETS if key in table]
    if len(given) != 1:
        return Secret("")
    source = table[given[0]]
    if not isinstance(source, str) or not source:
        faults.append((given[0], "must be a text that is not empty"))
        return Secret("")
    text = _secret_text(given[0], source, environ, faults)
    if text is not None and not _SECRET.fullmatch(text.strip()):
        faults.append((given[0], "holds no AppSecret: WeChat's has 32 hex digits, no blanks and no quotes"))
    return Secret((text or "").strip())


def _secret_text(kind: str, source: str, environ: Mapping[str, str], faults: list[Fault]) -> str | None:
    if kind == "secret":
        return source
    if kind == "secret_env":
        return _from_environ(source, environ, faults)
    # Whoever puts the secret where its path belongs must not find it in the log; a path has a slash.
    path = Path(source)
    named = f"{shown(path)} " if "/" in source else ""
    try:
        return _text(path, _MAX_SECRET_FILE)
    except OSError as error:
        faults.append((kind, f"{named}can't be read: {reason(path, error)}"))
    except ValueError:
        faults.append((kind, f"{named}can't be read: it must be the path of a text file"))
    return None


def _from_environ(variable: str, environ: Mapping[str, str], faults: list[Fault]) -> str | None:
    if variable not in environ:
        # As with paths: a name is shown only if it can't be the secret itself.
        shown = variable if re.fullmatch(r"[A-Z][A-Z\d]*_[A-Z\d_]+", variable) else "a variable"
        faults.append(("secret_env", f"names {shown} that is not set: write the name of one that holds the AppSecret"))
    return environ.get(variable)


def _name(table: Mapping[str, Any], faults: list[Fault]) -> str:
    name = table.get("name", "")
    if isinstance(name, str) and name.isprintable() and name == name.strip():
        return name
    faults.append(("name", "must be a text on one line, without blanks around it"))
    return ""


def _endpoint(table: Mapping[str, Any], faults: list[Fault]) -> Endpoint:
    endpoint = table.get("endpoint", "stable_token")
    if endpoint in ENDPOINTS:
        return cast(Endpoint, endpoint)
    faults.append(("endpoint", f"must be {' or '.join(ENDPOINTS)}"))
    # Any leeway goes with this one, so that it is not a fault too.
    return "token"


def _leeway(table: Mapping[str, Any], faults: list[Fault]) -> float | None:
    leeway = table.get("leeway")
    if leeway is None:
        return None
    if isinstance(leeway, bool) or not isinstance(leeway, int | float) or not 0 < leeway < _LIFE:
        faults.append(("leeway", f"must be a number of seconds, more than 0 and less than {_LIFE}"))
        return None
    if leeway > STABLE_WINDOW and table.get("endpoint", "stable_token") == "stable_token":
        reason = f"stable_token hands out a new token only in the last {STABLE_WINDOW} s"
        faults.append(("leeway", f"is {leeway:g}: {reason}, so write 295"))
    return float(leeway)


def _quota(table: Mapping[str, Any], faults: list[Fault]) -> int | None:
    quota = table.get("quota")
    if quota is None or (type(quota) is int and 0 < quota <= _MOST):
        return quota
    faults.append(("quota", "must be the fetches a day that WeChat allows this account, for example 200"))
    return None


def _publish(table: Mapping[str, Any], faults: list[Fault]) -> tuple[str, ...]:
    entries = table.get("publish", [])
    if not isinstance(entries, list) or not all(isinstance(entry, str) and _is_plain(entry) for entry in entries):
        faults.append(
            ("publish", 'must be a list of Redis keys and formats, for example ["YG-WECHAT-TOKEN", "wechatpy"]')
        )
        return ()
    faults.extend(("publish", sentence) for sentence in map(exports.fault, entries) if sentence)
    return tuple(dict.fromkeys(entries))


def _token_key(table: Mapping[str, Any], faults: list[Fault]) -> tuple[str, ...]:
    """Read the one plain key that the environment may name."""
    key = table.get("token_key")
    if key is None:
        return ()
    if not _is_plain(key):
        faults.append(("token_key", "must be a Redis key, for example YG-WECHAT-TOKEN"))
    elif exports.is_format(key):
        faults.append(("token_key", f"names {key!r}, an SDK's format: those go into publish of TOKENWORKER_ACCOUNTS"))
    return (key,)


def _is_plain(key: str) -> bool:
    return key.isprintable() and key == key.strip() != ""


def check_together(accounts: Mapping[str, Account], faults: list[str]) -> None:
    """Add a fault for what is wrong between accounts: an appid or a name twice, one key for two tokens.

    `accounts` maps the place where an account is configured to the account.
    """
    named = {place: account for place, account in accounts.items() if account.appid}
    _check_unique("appid", [(account.appid, account.appid, place) for place, account in named.items()], faults)
    _check_names(named, faults)
    keys = [
        (copy.key, copy.name, place)
        for place, account in accounts.items()
        for copy in account.blank_copies
        # The key of a format is not known without an appid.
        if place in named or not exports.is_format(copy.name)
    ]
    _check_unique("the key of publish or WECHAT_TOKEN_KEY,", keys, faults)


def _check_names(accounts: Mapping[str, Account], faults: list[str]) -> None:
    """Add a fault for each name that leaves open whom a command means."""
    names = [(account.name, account.name, place) for place, account in accounts.items() if account.name]
    _check_unique("name", names, faults)
    appids = {account.appid: place for place, account in accounts.items()}
    faults.extend(
        f"{place}: name is the appid of {appids[name]}: choose another"
        for name, _, place in names
        if appids.get(name, place) != place
    )


def _check_unique(what: str, values: list[tuple[str, str, str]], faults: list[str]) -> None:
    """Add a fault for each value that stands twice; `values` are triples of it, its name for people, and its place."""
    seen: dict[str, str] = {}
    for value, name, place in values:
        if value in seen:
            faults.append(f"{what} {name} stands twice: {seen[value]}, and {place}")
        seen.setdefault(value, place)
