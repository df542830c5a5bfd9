"""WeCom's credentials of an application: its access token, and the two tickets for web pages.

Sources: WeCom's pages 91039 "gettoken", 90506 and 96909 on tickets, 90454 on limits (2024), 92520 "get_api_domain_ip".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenworker.accounts.account import Account
from tokenworker.credential import ACCESS_TOKEN, DEAD_TOKEN
from tokenworker.credentials.access_token import probe
from tokenworker.credentials.kind import HOUR, Kind, Quota, Repeat, Request
from tokenworker.secret import Secret


def _token(account: Account, _: Mapping[str, Secret], __: bool) -> Request:
    params = {"corpid": account.corpid, "corpsecret": account.secret}
    return Request("GET", "/cgi-bin/gettoken", "access_token", params=params)


def _corp_ticket(_: Account, inputs: Mapping[str, Secret], __: bool) -> Request:
    params = {"access_token": inputs[ACCESS_TOKEN]}
    return Request("GET", "/cgi-bin/get_jsapi_ticket", "ticket", params=params)


def _agent_ticket(_: Account, inputs: Mapping[str, Secret], __: bool) -> Request:
    params = {"access_token": inputs[ACCESS_TOKEN], "type": "agent_config"}
    return Request("GET", "/cgi-bin/ticket/get", "ticket", params=params)


#: All of an application. WeCom hands out the same one until it ends, and does not say whether `expires_in` is then
#: what is left or a whole life.
_RULES: dict[str, Any] = {
    "on": ("wecom",),
    "platform": "wecom",
    "repeat": Repeat.SAME,
    "counts_from_first_sight": True,
}
_TICKET: dict[str, Any] = {"needs": (ACCESS_TOKEN,), "leeway": 600, "grace": 300}

KINDS = (
    Kind(name=ACCESS_TOKEN, fetch=_token, leeway=60, dead=DEAD_TOKEN, probe=probe, **_RULES),
    # 400 an hour for a corporation, 100 for an application (pages 90454, 90506).
    Kind(name="jsapi_ticket", fetch=_corp_ticket, quota=Quota(400, HOUR), **_TICKET, **_RULES),
    Kind(name="agent_ticket", fetch=_agent_ticket, quota=Quota(100, HOUR), **_TICKET, **_RULES),
)
