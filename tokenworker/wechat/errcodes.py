"""What WeChat's errcodes mean when a credential is fetched: the class of the error, and what to do; a table a platform.

Sources: WeChat's page "global return codes" and those of the calls; WeCom's page 90313 (all read in November 2026);
where a row says so, what users saw.
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

#: What WeChat says when it is busy: -1 by its page, -1000 as users saw it in 2021.
BUSY = frozenset({-1, -1000})

_WECHAT: Table = {
    -1: (TransientError, ""),
    -1000: (TransientError, ""),
    40001: (OperatorError, _SECRET),
    40002: (OperatorError, _PROXY),
    40013: (OperatorError, "check the appid: WeChat does not know it"),
    40066: (OperatorError, _PROXY),
    40125: (OperatorError, _SECRET),
    40164: (OperatorError, _WHITELIST),
    # Page "AppSecret freeze", 2023.
    40243: (OperatorError, "the AppSecret is frozen: unfreeze it in WeChat's console; it takes about 10 minutes"),
    41002: (OperatorError, _PROXY),
    41004: (OperatorError, _PROXY),
    43001: (OperatorError, _PROXY),
    43002: (OperatorError, _PROXY),
    44002: (OperatorError, _PROXY),
    45009: (DayLimit, "the calls of this day are used up: move to stable_token, or clear the quota (10 a month)"),
    45011: (MinuteLimit, ""),
    45035: (OperatorError, _WHITELIST),
    47001: (OperatorError, _PROXY),
    48001: (OperatorError, "the account lacks the permission: check it in WeChat's console"),
    48004: (OperatorError, _CONSOLE),
    50002: (OperatorError, "the account is restricted: " + _CONSOLE),
    50004: (OperatorError, "the account may not use tokens: " + _CONSOLE),
    50007: (OperatorError, "the account is frozen: unfreeze it in WeChat's console"),
    # Instead of 40164 where a third-party platform is involved, as users saw it.
    61004: (OperatorError, _WHITELIST),
    61024: (OperatorError, "the appid is a third-party platform's: it gets its token by another call"),
    # Page "risk of calls", 2020: the admin must confirm a server that is new.
    89501: (OperatorError, _ADMIN),
    89503: (OperatorError, _ADMIN),
    89506: (OperatorError, "the admin refused this server's IP twice; it is blocked for 24 hours: " + _ADMIN),
    89507: (OperatorError, "the admin refused this server's IP; it is blocked for an hour: " + _ADMIN),
}

_CORP_SECRET = "check the Secret of this application in WeCom's console, and that corpid and agent are its own"  # noqa: S105

_WECOM: Table = {
    -1: (TransientError, ""),
    6000: (TransientError, ""),
    40001: (OperatorError, _CORP_SECRET),
    40013: (OperatorError, "check the corpid: WeCom does not know it"),
    40056: (OperatorError, "check the agent: WeCom does not know it"),
    40091: (OperatorError, _CORP_SECRET),
    41002: (OperatorError, _PROXY),
    41004: (OperatorError, _PROXY),
    # Page 90454: blocked for an hour, or for the rest of the day.
    45009: (DayLimit, "WeCom blocks this corporation's calls for a while: find out what calls it so often"),
    45033: (MinuteLimit, ""),
    48002: (OperatorError, "the application lacks the permission: check it in WeCom's console"),
    50003: (OperatorError, "the application is disabled: enable it in WeCom's console"),
    # Not when a token is fetched, but when it is used.
    60020: (OperatorError, "add {ip} to the trusted IPs of this application in WeCom's console"),
    301002: (OperatorError, "this token belongs to another application: does another program write under our keys?"),
}

TABLES: Mapping[str, Table] = {"wechat": _WECHAT, "wecom": _WECOM}
