"""What WeChat's errcodes mean when a credential is fetched: the class of the error, and what to do; a table a platform.

The comment of a row names its source: a page of WeChat's documentation by its title, a page of WeCom's by its number
(developer.work.weixin.qq.com/document/path/…), all as of November 2026; or what users saw, with the date where known.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokenworker.errors import DayLimit, FetchError, MinuteLimit, OperatorError, TransientError

Meaning = tuple[type[FetchError], str]
Table = Mapping[int, Meaning]

_SECRET = "check the AppSecret in WeChat's console, and that it belongs to this appid"  # noqa: S105  advice
_ADMIN = "ask the account's admin to confirm this server in WeChat, or add its IP to the whitelist"
_WHITELIST = "add {ip} to the IP whitelist of this account in WeChat's console"
_CONSOLE = "log in to WeChat's console and read the notice there"
_PROXY = "WeChat got another call than ours: does a proxy drop the body, or turn POST into GET?"

#: For codes that stand in no table.
UNKNOWN: Meaning = (OperatorError, "look the code up among WeChat's global return codes")

#: What WeChat says when it is busy.
BUSY = frozenset({-1, -1000})

_WECHAT: Table = {
    -1: (TransientError, ""),  # getAccessToken
    -1000: (TransientError, ""),  # seen by users, 2017
    40001: (OperatorError, _SECRET),  # getAccessToken
    40002: (OperatorError, _PROXY),  # getAccessToken
    40013: (OperatorError, "check the appid: WeChat does not know it"),  # getAccessToken
    40066: (OperatorError, _PROXY),  # Global return codes
    40125: (OperatorError, _SECRET),  # getAccessToken
    40164: (OperatorError, _WHITELIST),  # getAccessToken
    # getAccessToken
    40243: (OperatorError, "the AppSecret is frozen: unfreeze it in WeChat's console; it takes about 10 minutes"),
    41002: (OperatorError, _PROXY),  # getStableAccessToken; seen by users for a body that is no JSON, 2024-04
    41004: (OperatorError, _PROXY),  # getAccessToken
    43001: (OperatorError, _PROXY),  # Global return codes
    43002: (OperatorError, _PROXY),  # getStableAccessToken
    44002: (OperatorError, _PROXY),  # Global return codes
    # getStableAccessToken
    45009: (DayLimit, "the calls of this day are used up: move to stable_token, or clear the quota (10 a month)"),
    45011: (MinuteLimit, ""),  # getStableAccessToken
    45035: (OperatorError, _WHITELIST),  # Global return codes
    47001: (OperatorError, _PROXY),  # Global return codes
    48001: (OperatorError, "the account lacks the permission: check it in WeChat's console"),  # Global return codes
    48004: (OperatorError, _CONSOLE),  # Global return codes
    50002: (OperatorError, "the account is restricted: " + _CONSOLE),  # Global return codes
    50004: (OperatorError, "the account may not use tokens: " + _CONSOLE),  # getAccessToken
    50007: (OperatorError, "the account is frozen: unfreeze it in WeChat's console"),  # getAccessToken
    # Instead of 40164, for service accounts and where a third-party platform is involved: "Calling server APIs".
    61004: (OperatorError, _WHITELIST),
    # "Get access token", the older page.
    61024: (OperatorError, "the appid is a third-party platform's: it gets its token by another call"),
    # The admin must confirm a server that is new: "Get access token", the older page; all but 89501 also in
    # "getStableAccessToken".
    89501: (OperatorError, _ADMIN),
    89503: (OperatorError, _ADMIN),
    89506: (OperatorError, "the admin refused this server's IP twice; it is blocked for 24 hours: " + _ADMIN),
    89507: (OperatorError, "the admin refused this server's IP; it is blocked for an hour: " + _ADMIN),
}

_CORP_SECRET = "check the Secret of this application in WeCom's console, and that corpid and agent are its own"  # noqa: S105

_WECOM: Table = {
    -1: (TransientError, ""),  # 90313: three retries at most
    6000: (TransientError, ""),  # 90313: versions of data in conflict
    40001: (OperatorError, _CORP_SECRET),  # 90313
    40013: (OperatorError, "check the corpid: WeCom does not know it"),  # 90313
    40056: (OperatorError, "check the agent: WeCom does not know it"),  # 90313
    40091: (OperatorError, _CORP_SECRET),  # 90313
    41002: (OperatorError, _PROXY),  # 90313
    41004: (OperatorError, _PROXY),  # 90313; seen by users, 2026-09
    # 90313; 90454: blocked for a minute, an hour, until the end of the day, or 30 days.
    45009: (DayLimit, "WeCom blocks this corporation's calls for a while: find out what calls it so often"),
    45033: (MinuteLimit, ""),  # 90313
    48002: (OperatorError, "the application lacks the permission: check it in WeCom's console"),  # 90313
    50003: (OperatorError, "the application is disabled: enable it in WeCom's console"),  # 90313
    # 90313; seen by users, 2023-09: not when a token is fetched, but when it is used.
    60020: (OperatorError, "add {ip} to the trusted IPs of this application in WeCom's console"),
    # 90313
    301002: (OperatorError, "this token belongs to another application: does another program write under our keys?"),
}

TABLES: Mapping[str, Table] = {"wechat": _WECHAT, "wecom": _WECOM}
