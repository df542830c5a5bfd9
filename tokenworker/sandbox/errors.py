"""WeChat's refusals in today's wording, and the sandbox's own.

WeChatError                  an errcode that goes to the caller with HTTP status 200
InputError                   the sandbox was given something that it cannot use
└── UnknownAccountError      the appid is not an account of this sandbox
"""

import secrets

_MORE = "could get access_token by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"

_TEXTS = {
    -1: "system error",
    40001: f"invalid credential, access_token is invalid or not latest, {_MORE}",
    40002: "invalid grant_type",
    40013: "invalid appid",
    40014: "invalid access_token",
    40125: "invalid appsecret",
    40164: "invalid ip {ip} ipv6 ::ffff:{ip}, not in whitelist",
    40243: "AppSecret已被冻结, 请解冻后再次调用",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    42001: "access_token expired",
    43001: "require GET method",
    43002: "require POST method",
    45009: f"reach max api daily quota limit, {_MORE}",
    45011: "api minute-quota reach limit  mustslower  retry next minute",
    48001: "api unauthorized",
    48004: "api forbidden for irregularities, view detail on mp.weixin.qq.com",
    50002: "user limited",
    50004: "user not allow to use accesstoken, maybe for punishment",
    61004: "access clientip is not registered requestIP: {ip}",
}


class WeChatError(Exception):
    """WeChat refused a call; `errcode` says why, `errmsg` is text for people."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errcode, errmsg)
        self.errcode = errcode
        self.errmsg = errmsg

    def __str__(self) -> str:
        return f"{self.errcode} {self.errmsg}"


class InputError(ValueError):
    """The sandbox was given something that it cannot use; the text says what to give instead."""


class UnknownAccountError(InputError):
    """The appid is not an account of this sandbox."""

    def __init__(self, appid: str) -> None:
        super().__init__(appid)
        self.appid = appid

    def __str__(self) -> str:
        return f"{self.appid!r} is no account of this sandbox; add it with POST /sandbox/accounts."


def request_id(now: float) -> str:
    """Make a rid: the Unix time and two random numbers, eight hex digits each, as WeChat does."""
    return f"{int(now):08x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"


def refusal(errcode: int, now: float, ip: str = "") -> WeChatError:
    """Build the error for `errcode` as it stands on the wire; `ip` is the caller's address."""
    text = _TEXTS.get(errcode, f"sandbox error {errcode}").format(ip=ip)
    return WeChatError(errcode, f"{text} rid: {request_id(now)}")
