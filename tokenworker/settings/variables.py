"""The names of the settings, their values, and those that are misspelt: they would be ignored without a word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

from tokenworker.redaction import discreet

#: The fields of the one account that needs no file.
ACCOUNT = {
    "appid": "WECHAT_APPID",
    "secret": "WECHAT_SECRET",
    "secret_file": "WECHAT_SECRET_FILE",
    "endpoint": "WECHAT_ENDPOINT",
    "token_key": "WECHAT_TOKEN_KEY",
    "keep": "WECHAT_KEEP",
}

SETTINGS = (
    *ACCOUNT.values(),
    "WECHAT_API_URL",
    "WECHAT_PROXY",
    "WECOM_API_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "CELERY_RESULT_BACKEND",
    "TOKENWORKER_ACCOUNTS",
    "TOKENWORKER_FETCH_CONCURRENCY",
    "TOKENWORKER_REPLICAS",
    "TOKENWORKER_FETCH_RATE",
    "TOKENWORKER_FETCH_TIMEOUT",
    "TOKENWORKER_HEARTBEAT_FILE",
    "TOKENWORKER_LEEWAY",
    "TOKENWORKER_LOG",
    "TOKENWORKER_METRICS",
    "TOKENWORKER_PREFIX",
    "TOKENWORKER_SANDBOX",
    "TOKENWORKER_TICK",
    "TOKENWORKER_TIME_SCALE",
    "TOKENWORKER_WEB_ADDRESS",
    "TOKENWORKER_WEB_CLIENTS",
    "TOKENWORKER_WEB_ORIGINS",
    "TOKENWORKER_WEB_PASSWORD",
    "TOKENWORKER_WEB_PORT",
)

#: Only our names begin so; many programs have names in WECHAT_ and REDIS_.
_OURS = "TOKENWORKER_"
_THEIRS_TOO = ("REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")
#: Names that are meant for a setting, but too far from its name to look like it.
_OTHER_WORDS = {"REDIS_HOST": "REDIS_URL", "CELERY_BROKER": "CELERY_BROKER_URL"}
#: A value in quotes, as `docker --env-file` hands it on.
_QUOTED = re.compile(r"""(?:'.*'|".*")""", re.DOTALL)


def cleaned(environ: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    """Return the variables that are not blank, without blanks and quotes around their values; quotes are a fault."""
    given = {key: value.strip() for key, value in environ.items() if value.strip()}
    quoted = [name for name in SETTINGS if _QUOTED.fullmatch(given.get(name, ""))]
    faults.extend(f"{name} is in quotes, which are part of it here: write it without them" for name in quoted)
    given |= {name: given[name][1:-1].strip() for name in quoted}
    return {name: value for name, value in given.items() if value}


def misspelt(environ: Mapping[str, str], used: Collection[str] | None) -> list[str]:
    """Return a sentence for each variable that must be meant as a setting, but is none.

    `used` are those that the accounts name for their secrets; None when the accounts are not known.
    """
    strangers = [name for name in _strangers(environ) if name not in (used or ())]
    meant = {name: _meant(name, environ) or (_ours(name) if used is not None else "") for name in strangers}
    return [
        f"{discreet(name)[:60]} is set, but there is no such setting: {advice}"
        for name, advice in meant.items()
        if advice
    ]


def overlooked(environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that may be meant for us, or for another program."""
    return [
        f"{name[:60]} is set, but tokenworker reads {setting}, which is not"
        for name in _strangers(environ)
        for setting in _THEIRS_TOO
        if (_OTHER_WORDS.get(name) == setting or _slip(name, setting)) and not _is_set(setting, environ)
    ]


def _strangers(environ: Mapping[str, str]) -> list[str]:
    return [name for name in environ if name not in SETTINGS and _is_set(name, environ) and not _service(name, environ)]


def _meant(name: str, environ: Mapping[str, str]) -> str:
    found = [setting for setting in SETTINGS if _slip(name, setting) and _wanted(setting, environ)]
    return f"write {found[0]}" if found else ""


def _ours(name: str) -> str:
    if not name.upper().startswith(_OURS):
        return ""
    endings = [setting.removeprefix(_OURS) for setting in SETTINGS if setting.startswith(_OURS)]
    near = difflib.get_close_matches(name.upper().removeprefix(_OURS), endings, 1)
    return f"write {_OURS}{near[0]}" if near else "take it out, or look for the right name in the README"


def _wanted(setting: str, environ: Mapping[str, str]) -> bool:
    """Return whether a name like the setting's is meant for us, since the setting itself is not there."""
    if setting.startswith(_OURS):
        return True
    others = ["TOKENWORKER_ACCOUNTS"] if setting in ACCOUNT.values() else []
    others += ["WECHAT_SECRET_FILE"] if setting == "WECHAT_SECRET" else []
    return setting not in _THEIRS_TOO and not any(_is_set(name, environ) for name in (setting, *others))


def _is_set(name: str, environ: Mapping[str, str]) -> bool:
    return bool(environ.get(name, "").strip())


def _slip(name: str, setting: str) -> bool:
    """Return whether they differ by at most one letter, or two swapped ones; case and underscores don't count."""
    return not _stems(_squeezed(name)).isdisjoint(_stems(_squeezed(setting)))


def _squeezed(name: str) -> str:
    return name.upper().replace("_", "").replace("APPSECRET", "SECRET")


def _stems(word: str) -> set[str]:
    return {word} | {word[:at] + word[at + 1 :] for at in range(len(word))}


def _service(name: str, environ: Mapping[str, str]) -> bool:
    """Return whether Kubernetes set it: for each service it sets NAME_SERVICE_HOST, among others."""
    hosts = [other.removesuffix("_SERVICE_HOST") for other in environ if other.endswith("_SERVICE_HOST")]
    return any(name.startswith((f"{host}_SERVICE_", f"{host}_PORT")) for host in hosts)
