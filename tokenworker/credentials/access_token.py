"""Access tokens of official accounts and mini programs, from either of two endpoints.

In the comments, a name in quotes is a page of WeChat's documentation, as of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenworker.accounts.account import Account
from tokenworker.credential import ACCESS_TOKEN, DEAD_TOKEN
from tokenworker.credentials.kind import Kind, Quota, Repeat, Request
from tokenworker.secret import Secret


def _claim(account: Account) -> dict[str, Any]:
    return {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret}


def _stable(account: Account, _: Mapping[str, Secret], force: bool) -> Request:
    body = _claim(account) | {"force_refresh": force}
    return Request("POST", "/cgi-bin/stable_token", "access_token", json=body, repeatable=not force)


def _classic(account: Account, _: Mapping[str, Secret], __: bool) -> Request:
    return Request("GET", "/cgi-bin/token", "access_token", params=_claim(account), repeatable=False)


def probe(access_token: Secret) -> Request:
    """Return the cheapest call that needs a token; it answers with a list of IP addresses ("get_api_domain_ip")."""
    return Request("GET", "/cgi-bin/get_api_domain_ip", "ip_list", params={"access_token": access_token})


_ON = ("wechat", "mini_program")

KINDS = (
    Kind(
        on=_ON,
        name=ACCESS_TOKEN,
        endpoint="stable_token",
        fetch=_stable,
        # Until the last 300 s each call hands out the same one ("getStableAccessToken"). Which it is at 300 s nobody
        # says, so the leeway is a few seconds less.
        repeat=Repeat.SAME,
        window=300,
        leeway=295,
        dead=DEAD_TOKEN,
        probe=probe,
        # 500,000 calls a day; a forced refresh ends the one before ("getStableAccessToken").
        quota=Quota(500_000),
        can_force=True,
    ),
    Kind(
        on=_ON,
        name=ACCESS_TOKEN,
        endpoint="token",
        fetch=_classic,
        # Each call makes a new one; the one before works for 5 minutes more ("access_token usage notes", and staff).
        repeat=Repeat.NEW,
        dead=DEAD_TOKEN,
        probe=probe,
        # 2,000 calls a day for a new account ("API call limits").
        quota=Quota(2_000),
    ),
)
