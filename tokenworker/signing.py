"""Signatures that a page shows to WeChat's and WeCom's JavaScript, made of a ticket; nothing is fetched or kept here.

What each function returns goes to the page under the names that it has there. `timestamp` is a number, and the page
must pass on the very one that was signed, with the very nonce; both are new for each signature unless given.
"""

from __future__ import annotations

import secrets
import string
import time
from hashlib import sha1

from tokenworker.errors import WrongArgument
from tokenworker.redaction import excerpt

_LETTERS = string.ascii_letters + string.digits
_NONCE_LENGTH = 16

_HALF = "what is to be signed has half a character in it: give the URL and all else whole"


def sign_url(ticket: str, url: str, *, nonce: str | None = None, timestamp: int | None = None) -> dict[str, str | int]:
    """Return `timestamp`, `nonceStr` and `signature`, which `wx.config` takes beside the page's `appId`.

    `ticket` is a jsapi_ticket. For `wx.config` of WeCom it is the corp's, for `wx.agentConfig` the agent_ticket.
    `url` is what `location.href` of the page says: what follows `#` is left out, and all else is signed as it stands.
    """
    page = page_of(url)
    nonce, timestamp = _fresh(nonce, timestamp)
    text = f"jsapi_ticket={_given(ticket)}&noncestr={nonce}&timestamp={timestamp}&url={page}"
    return {"timestamp": timestamp, "nonceStr": nonce, "signature": _sha1(text)}


def sign_card(
    ticket: str,
    card_id: str,
    *,
    code: str = "",
    openid: str = "",
    nonce: str | None = None,
    timestamp: int | None = None,
) -> dict[str, str | int]:
    """Return what `cardExt` of a card in `wx.addCard` holds, which there is a string: `json.dumps` of this.

    It has `timestamp`, `nonce_str` and `signature`, and `code` and `openid` if given. `ticket` is a wx_card_ticket.
    """
    nonce, timestamp = _fresh(nonce, timestamp)
    signature = _sorted_sha1(_given(ticket), str(timestamp), card_id, code, openid, nonce)
    bound = {name: value for name, value in (("code", code), ("openid", openid)) if value}
    return {**bound, "timestamp": timestamp, "nonce_str": nonce, "signature": signature}


def sign_choose_card(
    ticket: str,
    appid: str,
    *,
    location_id: str = "",
    card_id: str = "",
    card_type: str = "",
    nonce: str | None = None,
    timestamp: int | None = None,
) -> dict[str, str | int]:
    """Return `timestamp`, `nonceStr`, `signType` and `cardSign`, which `wx.chooseCard` takes.

    The page must name the same shop, card and type, as `shopId`, `cardId` and `cardType`. `ticket` is a wx_card_ticket.
    """
    nonce, timestamp = _fresh(nonce, timestamp)
    signature = _sorted_sha1(_given(ticket), appid, location_id, str(timestamp), nonce, card_id, card_type)
    return {"timestamp": timestamp, "nonceStr": nonce, "signType": "SHA1", "cardSign": signature}


def page_of(url: str) -> str:
    """Return the part of a page's address that is signed; nothing is normalised, since WeChat compares bytes.

    Raises `WrongArgument`: call it before a ticket is at hand, since error trackers show the variables of frames.
    """
    if not isinstance(url, str):
        raise WrongArgument.of("url", url, "the address of the page as the browser shows it, as a text")
    if not url.startswith(("http://", "https://")):
        what = f"which begins with http:// or https://, and not {excerpt(url)!r}"
        raise WrongArgument(f"url must be the address of the page as location.href there says it, {what}")
    if url.encode("utf-8", "replace").decode() != url:
        raise WrongArgument(_HALF)
    return url.partition("#")[0]


def _given(ticket: str) -> str:
    """Return the ticket; a signature made of none would only fail later, in the page, without a reason."""
    if not ticket:
        raise WrongArgument("ticket must be one that WeChat has issued, and it is empty")
    return ticket


def _fresh(nonce: str | None, timestamp: int | None) -> tuple[str, int]:
    """Return what is given, with what is not made anew."""
    made = "".join(secrets.choice(_LETTERS) for _ in range(_NONCE_LENGTH)) if nonce is None else nonce
    return made, int(time.time()) if timestamp is None else timestamp


def _sorted_sha1(*values: str) -> str:
    """Return WeChat's signature of card values: in the order of their bytes, joined by nothing."""
    return _sha1("".join(sorted(values, key=lambda value: value.encode("utf-8", "replace"))))


def _sha1(text: str) -> str:
    """Return the digest that WeChat asks for; the ticket in it is what others do not know."""
    data = text.encode("utf-8", "replace")
    # Not by what Python itself raises: that holds the whole text, and so the ticket.
    if data.decode() != text:
        raise WrongArgument(_HALF)
    return sha1(data, usedforsecurity=False).hexdigest()
