"""What looks wrong about an account: no reason to refuse it, for sandboxes have such too, but worth a look."""

from __future__ import annotations

import re
import stat

from tokenworker.accounts.account import Account
from tokenworker.demo import DEMO_APPID

_HEX = re.compile(r"[0-9a-fA-F]+")
_APPID = re.compile(r"wx[0-9a-f]{16}")
_APPID_LENGTH = 18
_SECRET_LENGTH = 32
#: Docker mounts secrets here, for everybody in the container.
_CONTAINER_SECRETS = "/run/secrets"
#: What else WeChat shows near an appid, by how it begins.
_OTHER_IDS = {
    "gh_": "is the original ID of an account (gh_…), and not its appid",
    "ww": "looks like the corpid of a WeCom organisation, and not like an appid",
    "dk": "looks like the corpid of a WeCom organisation, and not like an appid",
}


def oddities(account: Account, *, sandboxed: bool = False) -> list[str]:
    """Say what is unlike WeChat's own accounts; `sandboxed`: a sandbox plays WeChat."""
    if sandboxed:
        return []
    found = [_appid(account.appid), _secret(account.secret.reveal()), _secret_file(account)]
    return [f"{account.appid}: {sentence}" for sentence in found if sentence]


def _appid(appid: str) -> str:
    if appid == DEMO_APPID:
        return "this is the account of the sandbox, which WeChat does not know: write your own appid and AppSecret"
    if _APPID.fullmatch(appid):
        return ""
    for beginning, sentence in _OTHER_IDS.items():
        if appid.startswith(beginning):
            return f"{sentence}: copy the AppID (wx and 16 hex digits)"
    if _APPID.fullmatch(appid.lower()):
        return "the appid has capital letters, and WeChat's have small ones: copy it anew"
    length = "" if len(appid) == _APPID_LENGTH else f", this has {len(appid)} characters"
    return f"this does not look like an appid: WeChat's have wx and 16 hex digits{length}"


def _secret(secret: str) -> str:
    if _APPID.fullmatch(secret):
        return "its AppSecret looks like an appid: are the two swapped?"
    if len(secret) != _SECRET_LENGTH:
        return f"its AppSecret has {len(secret)} characters, WeChat's have {_SECRET_LENGTH}: copy it anew"
    if not _HEX.fullmatch(secret):
        return "its AppSecret has other characters than hex digits, which WeChat's are made of: copy it anew"
    return ""


def _secret_file(account: Account) -> str:
    path = account.secret_file
    if path is None or path.is_relative_to(_CONTAINER_SECRETS):
        return ""
    try:
        everybody = path.stat().st_mode & stat.S_IROTH
    except OSError:
        return ""
    return f"everybody on this machine may read {path}: chmod o-r" if everybody else ""
