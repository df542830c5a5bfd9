"""Refusals in the words of WeChat and of WeCom, whose SDKs go by the errcode."""

from __future__ import annotations

import secrets
import time
from http import HTTPStatus

from tornado.web import HTTPError

from tokenworker.web.problems import Problem

#: Their words: "Global return codes" of WeChat, and what users saw; of WeCom, path/90313.
_WECHAT = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40013: "invalid appid",
    40097: "invalid args",
    40125: "invalid appsecret",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    43001: "require GET method",
    43002: "require POST method",
    45011: "api minute-quota reach limit  mustslower  retry next minute",
    48001: "api unauthorized",
}
_WECOM = _WECHAT | {
    -1: "system busy",
    40001: "invalid credential",
    40013: "invalid corpid",
    40014: "invalid access_token",
    41002: "corpid missing",
    41004: "corpsecret missing",
    45009: "api freq out of limit",
    48002: "api forbidden",
}


class Refusal(HTTPError):  # noqa: N818  it states a fact
    """An errcode instead of a credential; `detail` is for people, and stands behind WeChat's own words."""

    def __init__(self, errcode: int, detail: str = "") -> None:
        super().__init__(HTTPStatus.OK)
        self.errcode = errcode
        self.detail = detail

    def wechat(self) -> str:
        """Return its text, with an id as `rid` is: the time, and two random numbers."""
        return f"{self._text(_WECHAT)} rid: {int(time.time()):08x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"

    def wecom(self, ip: str) -> str:
        """Return its text, with an id and the caller's address, as WeCom does."""
        hint = f"{int(time.time())}{secrets.randbelow(10**15):015}"
        return f"{self._text(_WECOM)}, hint: [{hint}], from ip: {ip}"

    def _text(self, words: dict[int, str]) -> str:
        known = words[self.errcode]
        return f"{known}: {self.detail}" if self.detail else known


#: What a problem is called, by its status: of WeChat, of WeCom.
_CODES = {
    HTTPStatus.BAD_REQUEST: (40097, 40097),
    HTTPStatus.UNAUTHORIZED: (40125, 40001),
    HTTPStatus.FORBIDDEN: (40125, 40001),
    HTTPStatus.TOO_MANY_REQUESTS: (45011, 45009),
}


def refusal_of(problem: Problem, *, wecom: bool) -> Refusal:
    """Return the refusal that a problem is; what passes by itself is WeChat's -1, after which SDKs try again."""
    codes = _CODES.get(HTTPStatus(problem.status_code))
    if problem.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Refusal(40001 if wecom else 40125)
    return Refusal(codes[wecom] if codes else -1, problem.detail)
