"""Tickets of official accounts: for web pages (JS-SDK), for cards, and for login in mobile apps.

Sources: WeChat's pages "getTicket" and "JS-SDK", appendices 1 and 4. Where they are silent, what users saw from 2018 to
2025: the same ticket comes again with `expires_in` 7200 each time, the one before goes on working for a while, and a
ticket does not die with its token. None of that is promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tokenworker.accounts.account import Account
from tokenworker.credential import ACCESS_TOKEN
from tokenworker.credentials.kind import Kind, Quota, Repeat, Request
from tokenworker.secret import Secret

_NONE = "mini programs and unverified accounts have no tickets: take it out of `keep` of this account"


def _fetch(type_: str, _: Account, inputs: Mapping[str, Secret], __: bool) -> Request:
    params = {"access_token": inputs[ACCESS_TOKEN], "type": type_}
    return Request("GET", "/cgi-bin/ticket/getticket", "ticket", params=params)


def _kind(name: str, type_: str) -> Kind:
    return Kind(
        on=("wechat",),
        name=name,
        fetch=partial(_fetch, type_),
        needs=(ACCESS_TOKEN,),
        repeat=Repeat.SAME,
        leeway=600,
        counts_from_first_sight=True,
        grace=300,
        # The page has no figure. Users saw 45009 after 10,000 calls a day (2020), others after 5,000,000 (2020, 2022).
        quota=Quota(10_000),
        hints={48001: _NONE},
    )


KINDS = (
    # For wx.config: "JS-SDK", appendix 1.
    _kind("jsapi_ticket", "jsapi"),
    # For wx.addCard and wx.chooseCard: "JS-SDK", appendix 4.
    _kind("wx_card_ticket", "wx_card"),
    # For login by QR code in mobile apps: "Login via scan"; the type by WxJava's pull request 1653 (2020).
    _kind("sdk_ticket", "2"),
)
