"""The two servers that the sandbox plays at one address, each with its own numbers and words for a refusal."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tokenworker.sandbox.errors import WeChatError
from tokenworker.sandbox.rules import Rules

_MORE = "could get access_token by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"

# "Global return codes", unless another source is named.
_WECHAT = {
    -1: "system error",
    40001: f"invalid credential, access_token is invalid or not latest, {_MORE}",  # seen by users, 2026-09
    40002: "invalid grant_type",  # seen by users, 2023
    40013: "invalid appid",
    40014: "invalid access_token",
    40097: "invalid args",  # seen by users at getticket, no date
    40125: "invalid appsecret",  # getStableAccessToken
    40164: "invalid ip {ip} ipv6 ::ffff:{ip}, not in whitelist",  # seen by users, 2026
    40243: "AppSecret已被冻结, 请解冻后再次调用",  # getAccessToken
    41001: "access_token missing",  # seen by users, 2026-09
    41002: "appid missing",  # seen by users, 2024
    41004: "appsecret missing",  # getAccessToken
    42001: "access_token expired",  # seen by users
    43001: "require GET method",
    43002: "require POST method",  # getStableAccessToken
    45009: f"reach max api daily quota limit, {_MORE}",  # seen by users, 2024
    45011: "api minute-quota reach limit  mustslower  retry next minute",  # getStableAccessToken
    48001: "api unauthorized",
    48004: "api forbidden for irregularities, view detail on mp.weixin.qq.com",
    50002: "user limited",
    50004: "user not allow to use accesstoken, maybe for punishment",
    61004: "access clientip is not registered requestIP: {ip}",  # seen by users at getticket
}

# WeCom's "Global error codes" (path/90313), unless another source is named.
_WECOM = {
    -1: "system busy",  # the wording is ours
    40001: "invalid credential",  # seen by users, 2020-08
    40013: "invalid corpid",  # seen by users, 2020-05
    40014: "invalid access_token",  # seen by users for a made-up token, 2026-09
    40056: "invalid agentid",  # the wording is ours
    40091: "secret is invalid",
    40097: "invalid args",  # our reading: WeCom documents no errcode for a wrong type
    41001: "access_token missing",  # seen by users, 2026-09
    41002: "corpid missing",  # the wording is ours
    41004: "corpsecret missing",  # seen by users, 2026-09
    42001: "access_token expired",  # seen by users, 2019-12
    43001: "require GET method",
    45009: "api freq out of limit",  # seen by users, 2022-04
    45033: "api concurrent out of limit",  # the wording is ours
    48002: "api forbidden",
    50003: "app is disabled",  # the wording is ours
    60020: "not allow to access from your ip",  # seen by users, 2023-09
    301002: "wrong agentid for this access_token",  # the wording is ours
}


@dataclass(frozen=True, eq=False)
class Host:
    """How one of WeChat's servers refuses."""

    texts: Mapping[int, str]
    #: Makes the end of an errmsg from the errcode, the time and the caller's address.
    tail: Callable[[int, float, str], str]
    #: How its access tokens begin here.
    token_prefix: str
    #: The errcode for a token that it never issued, or that a later one replaced.
    bad_token: int
    #: The errcode for a token that lived out its time.
    expired_token: Callable[[Rules], int]

    def refusal(self, errcode: int, now: float, ip: str = "") -> WeChatError:
        """Build the error for `errcode` as it stands on the wire; `ip` is the caller's address."""
        text = self.texts.get(errcode, f"sandbox error {errcode}").format(ip=ip)
        return WeChatError(errcode, text + self.tail(errcode, now, ip))


def _rid(_errcode: int, now: float, _ip: str) -> str:
    # The Unix time and two random numbers, eight hex digits each: seen by users, 2024.
    return f" rid: {int(now):08x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"


def _hint(errcode: int, now: float, ip: str) -> str:
    # About 25 digits that begin with the Unix time: seen by users since 2022.
    hint = f"{int(now)}{secrets.randbelow(10**15):015}"
    return f", hint: [{hint}], from ip: {ip}, more info at https://open.work.weixin.qq.com/devtool/query?e={errcode}"


#: api.weixin.qq.com. The prefixes of its tokens are integers that rose through the years (seen by users, 2018 to 2023).
#: It has one errcode for a token that lived out its time, another for one that a later one replaced (seen by users).
WECHAT = Host(
    _WECHAT,
    _rid,
    token_prefix="97_",  # noqa: S106  a prefix
    bad_token=40001,
    expired_token=lambda _: 42001,
)

#: qyapi.weixin.qq.com. The prefix is the sandbox's own: it tells whose a token is on the path that both servers have.
WECOM = Host(
    _WECOM,
    _hint,
    token_prefix="ww_",  # noqa: S106  a prefix
    bad_token=40014,
    expired_token=lambda rules: rules.wecom_expired_errcode,
)


def host_of(access_token: str) -> Host:
    """Return the server that a token comes from, or would come from."""
    return WECOM if access_token.startswith(WECOM.token_prefix) else WECHAT
