"""What WeChat answers: JSON that is one of its own, or an error that says what came instead."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus

from tokenworker.credential import Issued, looks_issued
from tokenworker.errors import FetchError, MalformedAnswer
from tokenworker.redaction import discreet
from tokenworker.secret import Secret
from tokenworker.wechat.errcodes import UNKNOWN, Table
from tokenworker.wechat.transport import Answer

#: Seconds. WeChat says at most 7200, and that it may change (page "getAccessToken"); more than a day is a fault.
MAX_EXPIRES_IN = 86_400

_UNKNOWN_IP = "this server's public IP"


def document(answer: Answer) -> dict[str, Any]:
    """Return the JSON object that WeChat answers; raises `MalformedAnswer`."""
    if answer.status != 200:  # noqa: PLR2004  WeChat answers everything with 200, errors too
        refuse(f"HTTP status {answer.status} instead of 200")
    if not answer.body:
        refuse("an empty body")
    found = _object(answer.body)
    if found is None:
        refuse("a body that is no JSON object")
    return found


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {name: _hidden(value) for name, value in found.items()}


def _hidden(value: Any) -> Any:
    """Return a value whose text does not show: error trackers show the variables of frames.

    Not only what WeChat issues: what it says of a refusal, or what something before it says, may repeat what was sent.
    """
    if isinstance(value, str):
        return Secret(value)
    return type(value)() if isinstance(value, list | dict) else value


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)


def refuse(what: str) -> NoReturn:
    """Raise `MalformedAnswer` for what is none of WeChat's; a credential may have been issued all the same."""
    raise MalformedAnswer(
        f"not WeChat's answer: {what}", hint="is a proxy or a captive portal in between?", ambiguous=True
    )


def errcode(found: Mapping[str, Any]) -> int:
    """Return the errcode, 0 where there is none; raises `MalformedAnswer`."""
    code = found.get("errcode", 0)
    if isinstance(code, bool) or not isinstance(code, int):
        refuse(f"an errcode that is {_kind(code)}")
    return code


def issued(found: Mapping[str, Any], field: str) -> Issued:
    """Return what WeChat issued in the field of that name; raises `MalformedAnswer`."""
    value = found.get(field)
    if not isinstance(value, Secret):
        refuse(f"{_named(field)} that is {_kind(value)}")
    if not looks_issued(value.reveal()):
        refuse(f"{_named(field)} that is empty, too long or has characters that none has")
    return Issued(value.reveal(), _expires_in(found.get("expires_in")))


def _expires_in(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(f"an expires_in that is {_kind(value)}")
    if not 0 < value <= MAX_EXPIRES_IN:
        refuse(f"an expires_in that is not above 0 and at most {MAX_EXPIRES_IN}")
    return float(value)


def _named(field: str) -> str:
    return f"{'an' if field[0] in 'aeiou' else 'a'} {field}"


def _kind(value: object) -> str:
    """Return what a value is, without showing it."""
    if isinstance(value, Secret):
        return "a str"
    return "missing" if value is None else f"a {type(value).__name__}"


def error(found: Mapping[str, Any], table: Table, hints: Mapping[int, str], secret: Secret) -> FetchError:
    """Return what an errcode other than 0 means; `hints` are the kind's own, `secret` must not be in it."""
    code, errmsg = errcode(found), _clean(found.get("errmsg"), secret)
    kind, hint = table.get(code, UNKNOWN)
    rid = re.search(r"rid: ([0-9a-f]+(?:-[0-9a-f]+)*)", errmsg)
    sentence = f"WeChat answered {code} {errmsg}".strip()
    return kind(sentence, code, errmsg, rid[1] if rid else "", hints.get(code, hint).format(ip=_ip(errmsg)))


def _clean(errmsg: object, secret: Secret) -> str:
    """Return what a person can read of an errmsg, at most 300 characters, without a secret or token that it echoes."""
    text = " ".join(errmsg.reveal().split()) if isinstance(errmsg, Secret) else ""
    text = "".join(char for char in text if char.isprintable())
    value = secret.reveal()
    for form in (value, quote_plus(value), quote(value, safe="")):
        text = text.replace(form, "***")
    return discreet(text)[:300]


def _ip(errmsg: str) -> str:
    found = re.search(r"(?:invalid ip|requestIP:?|from ip:?) ([0-9a-fA-F.:]+)", errmsg)
    try:
        return str(ip_address(found[1].rstrip(".,:"))) if found else _UNKNOWN_IP
    except ValueError:
        return _UNKNOWN_IP
