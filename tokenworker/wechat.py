"""WeChat: the only file that knows its URLs, fields and errcodes.

Facts are from its pages "getAccessToken", "getStableAccessToken" and "global return codes", and from what
its users saw on the wire.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from typing import Any, NoReturn, Protocol
from urllib.parse import quote_plus

from tokenworker.accounts import Account
from tokenworker.errors import (
    DayLimit,
    FetchError,
    MalformedAnswer,
    MinuteLimit,
    NetworkError,
    OperatorError,
    TransientError,
)
from tokenworker.tokens import FetchedToken
from tokenworker.transport import Answer, Transport

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
_BUG = "this is a fault in tokenworker: please report it"

_CODES: dict[int, tuple[type[FetchError], str]] = {
    -1: (TransientError, ""),
    -1000: (TransientError, ""),
    40001: (OperatorError, _SECRET),
    40002: (OperatorError, _BUG),
    40013: (OperatorError, "check the appid: WeChat does not know it"),
    40125: (OperatorError, _SECRET),
    40164: (OperatorError, _WHITELIST),
    40243: (
        OperatorError,
        "the AppSecret is frozen: unfreeze it in WeChat's console; it takes about 10 minutes",
    ),
    41002: (OperatorError, _BUG),
    41004: (OperatorError, _BUG),
    43002: (OperatorError, _BUG),
    45009: (
        DayLimit,
        "the calls of this day are used up: move to stable_token, or clear the quota (10 a month)",
    ),
    45011: (MinuteLimit, ""),
    45035: (OperatorError, _WHITELIST),
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

    def fetch(self, account: Account, *, force: bool = False) -> FetchedToken:
        """Ask for a token; raises a `FetchError`."""

    def is_alive(self, access_token: str) -> bool:
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
        self._first = 0
        self._rests_until = 0.0

    def fetch(self, account: Account, *, force: bool = False) -> FetchedToken:
        """Ask WeChat for a token; `force` kills the one before and needs stable_token.

        Raises a `FetchError`: of a class by errcode, or `NetworkError`, or `MalformedAnswer`.
        """
        credentials = {
            "grant_type": "client_credential",
            "appid": account.appid,
            "secret": account.secret.reveal(),
        }
        if account.endpoint == "token":
            answer = self._call("GET", "/cgi-bin/token", repeatable=False, params=credentials)
        else:
            content = {**credentials, "force_refresh": force}
            answer = self._call("POST", "/cgi-bin/stable_token", repeatable=not force, json=content)
        return _token(_document(answer, account.secret.reveal()))

    def is_alive(self, access_token: str) -> bool:
        """Try a token on the cheapest call there is, /cgi-bin/get_api_domain_ip.

        Raises a `FetchError` when WeChat's answer says nothing about the token.
        """
        answer = self._call("GET", "/cgi-bin/get_api_domain_ip", repeatable=True, params={"access_token": access_token})
        errcode = _json(answer).get("errcode", 0)
        if errcode in (-1, -1000):
            _raise_errcode({"errcode": errcode, "errmsg": "system error"}, access_token)
        return errcode not in DEAD_TOKEN

    def _call(self, method: str, path: str, *, repeatable: bool, **content: Any) -> Answer:
        """Call the hosts in order; the next one only when nothing can have happened at the one before.

        A call that is `repeatable` may go to the next host even though the first may have acted on it.
        """
        deadline = self._clock() + self._timeout
        order = self._order()
        for position, number in enumerate(order):
            left = max(0.001, deadline - self._clock())
            share = left / (len(order) - position) if repeatable else left
            try:
                return self._transport.call(method, self._urls[number] + path, timeout=share, **content)
            except NetworkError as error:
                failure = error
            self._rest(number)
            if failure.ambiguous and not repeatable:
                break
        raise NetworkError(f"{self._urls[number]}: {failure.reason}", ambiguous=failure.ambiguous)

    def _order(self) -> list[int]:
        if self._clock() >= self._rests_until:
            self._first = 0
        return [*range(self._first, len(self._urls)), *range(self._first)]

    def _rest(self, number: int) -> None:
        """Begin with the host after this one for a while."""
        self._first = (number + 1) % len(self._urls)
        self._rests_until = self._clock() + _FAILED_HOST_REST


def _document(answer: Answer, secret: str) -> dict[str, Any]:
    """Read an answer to a fetch; what is none of WeChat's is ambiguous, for a token may have been issued."""
    document = _json(answer)
    if document.get("errcode", 0) != 0:
        _raise_errcode(document, secret)
    return document


def _json(answer: Answer) -> dict[str, Any]:
    if answer.status != 200:  # noqa: PLR2004  WeChat answers everything with 200, errors too
        _refuse(f"HTTP status {answer.status} instead of 200")
    try:
        document = json.loads(answer.body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        document = None
    if not answer.body:
        _refuse("an empty body")
    if not isinstance(document, dict):
        _refuse("a body that is no JSON object")
    return document


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)


def _refuse(what: str) -> NoReturn:
    raise MalformedAnswer(
        f"not WeChat's answer: {what}", hint="is a proxy or a captive portal in between?", ambiguous=True
    )


def _token(document: dict[str, Any]) -> FetchedToken:
    token, expires_in = document.get("access_token"), document.get("expires_in")
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token) or len(token) > MAX_TOKEN:
        _refuse(f"an access_token that is {_kind(token)}")
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        _refuse(f"an expires_in that is {_kind(expires_in)}")
    if not (math.isfinite(expires_in) and 0 < expires_in <= MAX_EXPIRES_IN):
        _refuse(f"an expires_in that is not between 1 and {MAX_EXPIRES_IN}")
    return FetchedToken(token, float(expires_in))


def _kind(value: object) -> str:
    """Describe a value without showing it."""
    if value is None:
        return "missing"
    if isinstance(value, str):
        return f"a text of {len(value)} characters" + (", some not allowed" if value else "")
    return f"a {type(value).__name__}"


def _raise_errcode(document: dict[str, Any], secret: str) -> NoReturn:
    errcode = document["errcode"]
    if isinstance(errcode, bool) or not isinstance(errcode, int):
        _refuse(f"an errcode that is {_kind(errcode)}")
    errmsg = _clean(document.get("errmsg"), secret)
    kind, hint = _CODES.get(errcode, (OperatorError, "look the code up among WeChat's global return codes"))
    rid = re.search(r"rid: ([0-9a-f]+(?:-[0-9a-f]+)*)", errmsg)
    raise kind(
        f"WeChat answered {errcode} {errmsg}".strip(),
        errcode,
        errmsg,
        rid[1] if rid else "",
        hint.format(ip=_ip(errmsg)),
    )


def _clean(errmsg: object, secret: str) -> str:
    """Keep what a person can read, and nothing that an answer may have echoed."""
    text = errmsg if isinstance(errmsg, str) else ""
    text = re.sub(r"\s+", " ", text).strip().replace(secret, "***").replace(quote_plus(secret), "***")
    return "".join(char for char in text if char.isprintable())[:300]


def _ip(errmsg: str) -> str:
    found = re.search(r"(?:invalid ip|requestIP:?) ([0-9a-fA-F.:]+)", errmsg)
    return found[1].rstrip(".,:") if found else "this server's public IP"
