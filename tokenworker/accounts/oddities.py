"""What looks wrong about an account. It is worth a look and no fault, since sandboxes have such accounts, too."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenworker.accounts.account import Account, Type
from tokenworker.demo import DEMO_ACCOUNTS

#: Docker mounts secrets here, for everybody in the container.
_CONTAINER_SECRETS = "/run/secrets"


@dataclass(frozen=True)
class _Looks:
    """How a platform's ids and secrets look, and what they are called."""

    owner: str
    #: What an id is called, with its article.
    id: str
    id_form: re.Pattern[str]
    #: The same in words, and its length.
    id_words: str
    id_length: int
    secret: str
    secret_length: int
    secret_letters: re.Pattern[str]
    letters_words: str
    #: What else stands near an id, by how it begins, and what to do.
    others: Mapping[str, str]


_COPY_APPID = "copy the AppID (wx and 16 hex digits)"
_CORPID = (
    'looks like the corpid of a WeCom organisation, and not like an appid: write type = "wecom" with corpid and agent'
    f" for its application, or {_COPY_APPID}"
)

_WECHAT = _Looks(
    owner="WeChat",
    id="an appid",
    id_form=re.compile(r"wx[0-9a-f]{16}"),
    id_words="wx and 16 hex digits",
    id_length=18,
    secret="AppSecret",  # noqa: S106  a name
    secret_length=32,
    secret_letters=re.compile(r"[0-9a-fA-F]+"),
    letters_words="hex digits",
    others={
        "gh_": f"is the original ID of an account (gh_…), and not its appid: {_COPY_APPID}",
        **dict.fromkeys(("ww", "wp", "dk"), _CORPID),
    },
)

_WECOM = _Looks(
    owner="WeCom",
    id="a corpid",
    id_form=re.compile(r"(ww|wx|wp|dk)[0-9a-f]{16}"),
    id_words="ww and 16 hex digits",
    id_length=18,
    secret="Secret",  # noqa: S106  a name
    secret_length=43,
    secret_letters=re.compile(r"[A-Za-z0-9_-]+"),
    letters_words="letters, digits, - and _",
    others={"gh_": "is the original ID of an account of WeChat (gh_…): copy the corpid (ww and 16 hex digits)"},
)

_LOOKS: dict[Type, _Looks] = {"wechat": _WECHAT, "mini_program": _WECHAT, "wecom": _WECOM}


def oddities(account: Account, *, sandboxed: bool = False) -> list[str]:
    """Return what is unlike the platform's own accounts; `sandboxed`: a sandbox plays the platform."""
    if sandboxed:
        return []
    looks = _LOOKS[account.type]
    found = [_demo(account) or _id(account.public_id, looks), _secret(account.secret.reveal(), looks)]
    return [f"{account.id}: {sentence}" for sentence in [*found, _secret_file(account)] if sentence]


def _demo(account: Account) -> str:
    if account.id not in DEMO_ACCOUNTS:
        return ""
    looks = _LOOKS[account.type]
    advice = f"write your own {_bare(looks.id)} and {looks.secret}"
    return f"this is the account of the sandbox, which {looks.owner} does not know: {advice}"


def _bare(word: str) -> str:
    """Take the article off."""
    return word.partition(" ")[2]


def _id(given: str, looks: _Looks) -> str:
    if looks.id_form.fullmatch(given):
        return ""
    for beginning, sentence in looks.others.items():
        if given.startswith(beginning):
            return sentence
    if looks.id_form.fullmatch(given.lower()):
        return f"the {_bare(looks.id)} has capital letters, and {looks.owner}'s have small ones: copy it anew"
    length = "" if len(given) == looks.id_length else f", this has {len(given)} characters"
    return f"this does not look like {looks.id}: {looks.owner}'s have {looks.id_words}{length}"


def _secret(secret: str, looks: _Looks) -> str:
    if looks.id_form.fullmatch(secret):
        return f"its {looks.secret} looks like {looks.id}: are the two swapped?"
    if len(secret) != looks.secret_length:
        has = f"its {looks.secret} has {len(secret)} characters"
        return f"{has}, {looks.owner}'s have {looks.secret_length}: copy it anew"
    if not looks.secret_letters.fullmatch(secret):
        has = f"its {looks.secret} has other characters than {looks.letters_words}"
        return f"{has}, which {looks.owner}'s are made of: copy it anew"
    return ""


def _secret_file(account: Account) -> str:
    if account.secret_file is None:
        return ""
    path = Path(account.secret_file)
    if path.is_relative_to(_CONTAINER_SECRETS):
        return ""
    try:
        everybody = path.stat().st_mode & stat.S_IROTH
    except OSError:
        return ""
    return f"everybody on this machine may read {path}: chmod o-r" if everybody else ""
