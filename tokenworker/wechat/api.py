"""WeChat: the only file that knows its URLs, fields and errcodes.

Facts are from its pages "getAccessToken", "getStableAccessToken" and "global return codes", and from what
its users saw on the wire.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, NoReturn, Protocol
from urllib.parse import quote, quote_plus

from tokenworker.accounts.account import Account
from tokenworker.credential import Issued
from tokenworker.errors import (
    DayLimit,
    FetchError,
    MalformedAnswer,
    MinuteLimit,
    NetworkError,
    OperatorError,
    TransientError,
)
from tokenworker.secret import Secret
from tokenworker.wechat.transport import Answer, Transport

#: WeChat says at most 7200 and that it may change; more than a day is no life of a token but a fault.
MAX_EXPIRES_IN = 86_400
#: WeChat asks to reserve 512 characters and promises nothing.
MAX_TOKEN = 2048

#: What WeChat says of a token on a business call when it is dead.
DEAD_TOKEN = (40001, 40014, 42001)

#: For so many seconds the hosts keep their new order after one of them failed.
_FAILED_HOST_REST = 60.0

_SECRET = "check the AppSecret in WeChat's console, and that it belongs to this appid"  # noqa: S105  advice
_ADMIN = "ask the account's admin to confirm this server in WeChat, or add its IP to the whitelist"
_WHITELIST = "add {ip} to the IP whitelist of this account in WeChat's console"
_CONSOLE = "log in to WeChat's console and read the notice there"
_PROXY = "WeChat got another call than ours: does a proxy drop the body, or turn POST into GET?"
_UNKNOWN_IP = "this server's public IP"

#: What WeChat says when it is busy.
_BUSY = (-1, -1000)

_CODES: dict[int, tuple[type[FetchError], str]] = {
    -1: (TransientError, ""),
    -1000: (TransientError, ""),
    40001: (OperatorError, _SECRET),
    40002: (OperatorError, _PROXY),
    40013: (OperatorError, "check the appid: WeChat does not know it"),
    40125: (OperatorError, _SECRET),
    40164: (OperatorError, _WHITELIST),
    40243: (
        OperatorError,
        "the AppSecret is frozen: unfreeze it in WeChat's console; it takes about 10 minutes",
    ),
    40066: (OperatorError, _PROXY),
    41002: (OperatorError, _PROXY),
    41004: (OperatorError, _PROXY),
    43001: (OperatorError, _PROXY),
    43002: (OperatorError, _PROXY),
    44002: (OperatorError, _PROXY),
    45009: (
        DayLimit,
        "the calls of this day are used up: move to stable_token, or clear the quota (10 a month)",
    ),
    45011: (MinuteLimit, ""),
    45035: (OperatorError, _WHITELIST),
    47001: (OperatorError, _PROXY),
    48001: (OperatorError, "the account lacks the permission: check it in WeChat's console"),
    48004: (OperatorError, _CONSOLE),
    50002: (OperatorError, "the account is restricted: " + _CONSOLE),
    50004: (OperatorError, "the account may not use tokens: " + _CONSOLE),
    50007: (OperatorError, "the account is frozen: unfreeze it in WeChat's console"),
    61004: (OperatorError, _WHITELIST),
    61024: (OperatorError, "the appid is a third-party platform's: it gets its token by another call"),
    89501: (OperatorError, _ADMIN),
    89503: (OperatorError, _ADMIN),
    89506: (OperatorError, "the admin refused this server's IP twice; it is blocked for 24 hours: " + _ADMIN),
    89507: (OperatorError, "the admin refused this server's IP; it is blocked for an hour: " + _ADMIN),
}


class Source(Protocol):
    """Where tokens come from."""

    def fetch(self, account: Account, *, force: bool = False) -> Issued:
        """Ask for a token; raises a `FetchError`."""

    def is_alive(self, access_token: Secret) -> bool:
        """Say whether a token still works; raises a `FetchError` when that can't be known."""


class WeChat:
    """WeChat's server API, at one of several hosts."""

    def __init__(
        self,
        transport: Transport,
        urls: tuple[str, ...],
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._urls = urls
        self._timeout = timeout
        self._clock = clock
        #: The host to begin with, and until when.
        self._preferred = (0, 0.0)

    def fetch(self, account: Account, *, force: bool = False) -> Issued:
        """Ask WeChat for a token; `force` kills the one before and needs stable_token.

        Raises a `FetchError`: of a class by errcode, or `NetworkError`, or `MalformedAnswer`.
        """
        content = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret}
        if account.endpoint == "token":
            answer = self._call("GET", "/cgi-bin/token", repeatable=False, params=content)
        else:
            content["force_refresh"] = force
            answer = self._call("POST", "/cgi-bin/stable_token", repeatable=not force, json=content)
        return _token(answer, account.secret)

    def is_alive(self, access_token: Secret) -> bool:
        """Try a token on the cheapest call there is, /cgi-bin/get_api_domain_ip.

        Raises a `FetchError` when WeChat's answer says nothing about the token.
        """
        params = {"access_token": access_token}
        document = _json(self._call("GET", "/cgi-bin/get_api_domain_ip", repeatable=True, params=params))
        errcode = _errcode(document)
        if errcode in _BUSY:
            raise TransientError(f"WeChat answered {errcode}", errcode)
        if errcode == 0 and "ip_list" not in document:
            _refuse("neither an ip_list nor an errcode")
        return errcode not in DEAD_TOKEN

    def _call(self, method: str, path: str, *, repeatable: bool, **content: Any) -> Answer:
        """Call the hosts in order; the next one only when nothing can have happened at the one before.

        A call that is `repeatable` may go to the next host even though the first may have acted on it.
        """
        deadline = self._clock() + self._timeout
        order = self._order()
        ambiguous, reasons = False, []
        for position, number in enumerate(order):
            url = self._urls[number]
            left = max(0.001, deadline - self._clock())
            share = left / (len(order) - position)
            timeout = share if repeatable else left
            try:
                return self._transport.call(method, url + path, timeout=timeout, connect_timeout=share, **content)
            except NetworkError as error:
                reasons.append(f"{url}: {error.reason}")
                ambiguous = ambiguous or error.ambiguous
            self._begin_with((number + 1) % len(order))
            if ambiguous and not repeatable:
                break
        raise NetworkError("; ".join(reasons), ambiguous=ambiguous)

    def _order(self) -> list[int]:
        first, until = self._preferred
        if self._clock() >= until:
            first = 0
        return [*range(first, len(self._urls)), *range(first)]

    def _begin_with(self, number: int) -> None:
        self._preferred = (number, self._clock() + _FAILED_HOST_REST)


def _json(answer: Answer) -> dict[str, Any]:
    if answer.status != 200:  # noqa: PLR2004  WeChat answers everything with 200, errors too
        _refuse(f"HTTP status {answer.status} instead of 200")
    if not answer.body:
        _refuse("an empty body")
    document = _object(answer.body)
    if document is None:
        _refuse("a body that is no JSON object")
    return document


def _object(body: bytes) -> dict[str, Any] | None:
    """Read a JSON object; its token is a secret from here on, since error trackers show the variables of frames."""
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("access_token"), str):
        document["access_token"] = Secret(document["access_token"])
    return document


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)


def _refuse(what: str) -> NoReturn:
    """Refuse what is none of WeChat's; a token may have been issued all the same."""
    raise MalformedAnswer(
        f"not WeChat's answer: {what}", hint="is a proxy or a captive portal in between?", ambiguous=True
    )


def _errcode(document: dict[str, Any]) -> int:
    errcode = document.get("errcode", 0)
    if isinstance(errcode, bool) or not isinstance(errcode, int):
        _refuse(f"an errcode that is {_kind(errcode)}")
    return errcode


def _token(answer: Answer, secret: Secret) -> Issued:
    document = _json(answer)
    errcode = _errcode(document)
    if errcode != 0:
        raise _error(errcode, _clean(document.get("errmsg"), secret))
    token = document.get("access_token")
    if not isinstance(token, Secret):
        _refuse(f"an access_token that is {_kind(token)}")
    if not re.fullmatch(rf"[!-~]{{1,{MAX_TOKEN}}}", token.reveal()):
        _refuse("an access_token that is empty, too long or has characters that no token has")
    return Issued(token.reveal(), _expires_in(document.get("expires_in")))


def _expires_in(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(f"an expires_in that is {_kind(value)}")
    if not 0 < value <= MAX_EXPIRES_IN:
        _refuse(f"an expires_in that is not above 0 and at most {MAX_EXPIRES_IN}")
    return float(value)


def _kind(value: object) -> str:
    """Describe a value without showing it."""
    return "missing" if value is None else f"a {type(value).__name__}"


def _error(errcode: int, errmsg: str) -> FetchError:
    kind, hint = _CODES.get(errcode, (OperatorError, "look the code up among WeChat's global return codes"))
    rid = re.search(r"rid: ([0-9a-f]+(?:-[0-9a-f]+)*)", errmsg)
    return kind(
        f"WeChat answered {errcode} {errmsg}".strip(),
        errcode,
        errmsg,
        rid[1] if rid else "",
        hint.format(ip=_ip(errmsg)),
    )


def _clean(errmsg: object, secret: Secret) -> str:
    """Keep what a person can read, and nothing that an answer may have echoed."""
    text = " ".join(errmsg.split()) if isinstance(errmsg, str) else ""
    text = "".join(char for char in text if char.isprintable())
    value = secret.reveal()
    for form in (value, quote_plus(value), quote(value, safe="")):
        text = text.replace(form, "***")
    return text[:300]


def _ip(errmsg: str) -> str:
    found = re.search(r"(?:invalid ip|requestIP:?) ([0-9a-fA-F.:]+)", errmsg)
    try:
        return str(ip_address(found[1].rstrip(".,:"))) if found else _UNKNOWN_IP
    except ValueError:
        return _UNKNOWN_IP
