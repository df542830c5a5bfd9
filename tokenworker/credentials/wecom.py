"""WeCom's credentials of an application: its access token, and the two tickets for web pages.

In the comments, a number is a page of WeCom's documentation (developer.work.weixin.qq.com/document/path/…), as of
November 2026.
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


#: What holds for all. WeCom hands out the same token until it ends (97164, 2022-10-19; gone from 91039, 2024-03-26) and
#: does not say whether `expires_in` is then what is left or a whole life. Of tickets it says neither: our reading.
_RULES: dict[str, Any] = {
    "on": ("wecom",),
    "platform": "wecom",
    "repeat": Repeat.SAME,
    "counts_from_first_sight": True,
}
_TICKET: dict[str, Any] = {"needs": (ACCESS_TOKEN,), "leeway": 600, "grace": 300}

KINDS = (
    # 91039 (2024-03-26); the probe: 92520 "get_api_domain_ip".
    Kind(name=ACCESS_TOKEN, fetch=_token, leeway=60, dead=DEAD_TOKEN, probe=probe, **_RULES),
    # For wx.config: 400 fetches an hour for a corp (90506, 90454).
    Kind(name="jsapi_ticket", fetch=_corp_ticket, quota=Quota(400, HOUR), **_TICKET, **_RULES),
    # For wx.agentConfig: 100 fetches an hour for an application (96909, 2024-11-14; 90454).
    Kind(name="agent_ticket", fetch=_agent_ticket, quota=Quota(100, HOUR), **_TICKET, **_RULES),
)
