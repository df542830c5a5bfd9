"""One account as a table of fields, from the file or from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tokenworker.accounts.account import ENDPOINTS, TYPES, Account, Endpoint, Type
from tokenworker.accounts.files import Files
from tokenworker.credential import ACCESS_TOKEN
from tokenworker.publish import formats
from tokenworker.redaction import excerpt
from tokenworker.secret import Secret
from tokenworker.textfile import here, reason, shown

#: Seconds that credentials live ("getAccessToken", "getTicket"); with a leeway as long, none would ever be fresh.
_LIFE = 7200

#: 32 hex digits are an AppSecret, put in the wrong place; as an appid it would stand in key names and logs.
_APPID = re.compile(r"(?![0-9a-fA-F]{32}\Z)[A-Za-z0-9_-]{1,64}")
#: ASCII without blanks; without quotes too, since `docker --env-file` hands those on.
_SECRET = re.compile(r"[!#-&(-~]{1,512}")
_APPSECRET = re.compile(r"[0-9a-fA-F]{32}")
#: No quotes and no lines, which the content of the file has, and no AppSecret.
PATH = re.compile(r"""(?![0-9a-fA-F]{32}\Z)[^"'\x00-\x1f\x7f]+""")
#: Shorter than any secret, so that one in the wrong place is noticed.
_CORPID = _AGENT = re.compile(r"[A-Za-z0-9_-]{1,31}")
_COMMON = ("secret", "secret_file", "secret_env", "name", "type", "keep", "leeway", "publish", "quota")
#: The fields that only accounts of a type have.
_OWN: dict[Type, tuple[str, ...]] = {
    "wechat": ("appid", "endpoint"),
    "mini_program": ("appid", "endpoint"),
    "wecom": ("corpid", "agent"),
}
_EXAMPLES = {
    "appid": 'write appid = "wx0123456789abcdef", as WeChat shows it',
    "corpid": 'write corpid = "ww0123456789abcdef", as WeCom shows it',
    "agent": "write agent = 1000002, as WeCom shows it for the application",
}
_SECRETS = ("secret", "secret_file", "secret_env")
_MAX_SECRET_FILE = 4096
#: Letters; WeChat's have 32.
_SHORTEST_SECRET = 16
#: The largest quota that is no mistake.
_MOST = 1_000_000_000

#: A field that is wrong, and the rest of the sentence about it. Values have no place in it: one may be a secret.
Fault = tuple[str, str]


class Listed(str):
    """A list as a variable holds it: its items with commas between them."""

    __slots__ = ()


def contradictions(table: Mapping[str, Any]) -> list[Fault]:
    """Return what is wrong with the choice of fields."""
    own = _OWN[_type(table, [])]
    fields = (*own, *_COMMON)
    faults = [(repr(excerpt(key)), f"is unknown: use {', '.join(fields)}") for key in table if key not in fields]
    faults += [(key, f"is missing: {_EXAMPLES[key]}") for key in own if key in _EXAMPLES and key not in table]
    secrets = [key for key in _SECRETS if key in table]
    if not secrets:
        faults.append(("secret", f"is missing: set one of {', '.join(_SECRETS)}"))
    if len(secrets) > 1:
        faults.append((" and ".join(secrets), "are set: keep one of them"))
    return faults


def parse_account(table: Mapping[str, Any], environ: Mapping[str, str], files: Files, faults: list[Fault]) -> Account:
    """Make an account of a table; of no use when that adds to `faults`. What is not in the table is no fault."""
    secret_file, secret_env = table.get("secret_file"), table.get("secret_env")
    return Account(
        id=_id(table, faults),
        secret=_secret(table, environ, files, faults),
        name=_name(table, faults),
        endpoint=_endpoint(table, faults),
        leeway=_leeway(table, faults),
        publish=_publish(table, faults) + _token_key(table, faults),
        secret_file=secret_file if isinstance(secret_file, str) else None,
        quota=_quota(table, faults),
        secret_env=secret_env if isinstance(secret_env, str) else None,
        type=_type(table, faults),
        keep=_keep(table, faults),
    )


def _type(table: Mapping[str, Any], faults: list[Fault]) -> Type:
    given = table.get("type", "wechat")
    if given in TYPES:
        # Ours and not the file's: one text for all accounts.
        return TYPES[TYPES.index(given)]
    faults.append(("type", f"must be {', '.join(TYPES[:-1])} or {TYPES[-1]}"))
    return "wechat"


def _keep(table: Mapping[str, Any], faults: list[Fault]) -> tuple[str, ...]:
    names, example = table.get("keep", [ACCESS_TOKEN]), '["access_token", "jsapi_ticket"]'
    if isinstance(names, Listed):
        names = [name.strip() for name in names.split(",") if name.strip()]
        example = "access_token,jsapi_ticket"
    if isinstance(names, list) and names and all(isinstance(name, str) and name for name in names):
        return _shared(tuple(dict.fromkeys(names)))
    faults.append(("keep", f"must list credentials, at least one, for example {example}"))
    return (ACCESS_TOKEN,)


@lru_cache
def _shared(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return one tuple for all that are the same: thousands of accounts keep the same credentials."""
    return names


def _id(table: Mapping[str, Any], faults: list[Fault]) -> str:
    if _type(table, []) != "wecom":
        return _appid(table, faults)
    corpid, agent = table.get("corpid", ""), table.get("agent", "")
    if "corpid" in table and not (isinstance(corpid, str) and _CORPID.fullmatch(corpid)):
        faults.append(("corpid", "must be a corpid as WeCom shows it, for example ww0123456789abcdef"))
        corpid = ""
    if "agent" in table and not (type(agent) in (int, str) and _AGENT.fullmatch(str(agent))):
        faults.append(("agent", "must be the number of an application, for example 1000002, or a short name of yours"))
        agent = ""
    return f"{corpid}/{agent}" if corpid and agent else ""


def _appid(table: Mapping[str, Any], faults: list[Fault]) -> str:
    appid = table.get("appid", "")
    if isinstance(appid, str) and _APPID.fullmatch(appid):
        return appid
    if "appid" in table:
        faults.append(("appid", "must be an appid as WeChat shows it, for example wx0123456789abcdef"))
    return ""


def _secret(table: Mapping[str, Any], environ: Mapping[str, str], files: Files, faults: list[Fault]) -> Secret:
    given = [key for key in _SECRETS if key in table]
    if len(given) != 1:
        return Secret("")
    source = table[given[0]]
    if not isinstance(source, str) or not source:
        faults.append((given[0], "must be a text that is not empty"))
        return Secret("")
    text = _secret_text(given[0], source, environ, files, faults)
    if text is not None and not _SECRET.fullmatch(text.strip()):
        faults.append((given[0], "holds no AppSecret: WeChat's has 32 hex digits, no blanks and no quotes"))
    return Secret((text or "").strip())


def _secret_text(kind: str, source: str, environ: Mapping[str, str], files: Files, faults: list[Fault]) -> str | None:
    if kind == "secret":
        return source
    if kind == "secret_env":
        return _from_environ(source, environ, faults)
    # What was given is not shown if it may be the secret itself.
    named, where = ("", f" {here()}") if _is_like_secret(source) else (f"{shown(source)} ", "")
    try:
        return files.read(source, _MAX_SECRET_FILE).decode("utf-8-sig")
    except OSError as error:
        faults.append((kind, f"{named}can't be read: {reason(source, error)}{where}"))
    except ValueError:
        faults.append((kind, f"{named}can't be read: it must be the path of a text file"))
    return None


def _is_like_secret(path: str) -> bool:
    """Return whether a path is none, as paths go: it has no slash, and is as long as a secret, or of several lines."""
    return "/" not in path and (len(path) >= _SHORTEST_SECRET or not path.isprintable())


def _from_environ(variable: str, environ: Mapping[str, str], faults: list[Fault]) -> str | None:
    if variable not in environ:
        # As with paths: a name is shown only if it can't be the secret itself.
        shown = variable if re.fullmatch(r"[A-Z][A-Z\d]*_[A-Z\d_]+", variable) else "a variable"
        faults.append(("secret_env", f"names {shown} that is not set: write the name of one that holds the AppSecret"))
    return environ.get(variable)


def _name(table: Mapping[str, Any], faults: list[Fault]) -> str:
    name = table.get("name", "")
    if isinstance(name, str) and _APPSECRET.search(name):
        faults.append(("name", "looks like an AppSecret, and names are shown: give it another"))
        return ""
    if isinstance(name, str) and name.isprintable() and name == name.strip():
        return name
    faults.append(("name", "must be a text on one line, without blanks around it"))
    return ""


def _endpoint(table: Mapping[str, Any], faults: list[Fault]) -> Endpoint:
    endpoint = table.get("endpoint", "stable_token")
    if endpoint in ENDPOINTS:
        return ENDPOINTS[ENDPOINTS.index(endpoint)]
    faults.append(("endpoint", f"must be {' or '.join(ENDPOINTS)}"))
    # This one goes with any leeway, so that the leeway is not a fault too.
    return "token"


def _leeway(table: Mapping[str, Any], faults: list[Fault]) -> float | None:
    leeway = table.get("leeway")
    if leeway is None:
        return None
    if isinstance(leeway, bool) or not isinstance(leeway, int | float) or not 0 < leeway < _LIFE:
        faults.append(("leeway", f"must be a number of seconds, more than 0 and less than {_LIFE}"))
        return None
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
    faults.extend(("publish", sentence) for sentence in map(formats.fault, entries) if sentence)
    return tuple(dict.fromkeys(entries))


def _token_key(table: Mapping[str, Any], faults: list[Fault]) -> tuple[str, ...]:
    """Read the one plain key that the environment may name."""
    key = table.get("token_key")
    if key is None:
        return ()
    if not _is_plain(key):
        faults.append(("token_key", "must be a Redis key, for example YG-WECHAT-TOKEN"))
    elif formats.is_format(key):
        faults.append(("token_key", f"names {key!r}, an SDK's format: those go into publish of TOKENWORKER_ACCOUNTS"))
    return (key,)


def _is_plain(key: str) -> bool:
    return key.isprintable() and key == key.strip() != ""
