"""The signatures that WeChat's clients check, with SHA-1 because WeChat says so ("JS-SDK", appendices 1 and 4)."""

from collections.abc import Iterable
from hashlib import sha1


def page_signature(ticket: str, nonce: str, timestamp: str, url: str) -> str:
    """Sign a page for wx.config; the address counts up to `#`, byte for byte."""
    page = url.partition("#")[0]
    return _hash(f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={page}".encode())


def card_signature(values: Iterable[str]) -> str:
    """Sign a card for wx.addCard: all values that are used, the ticket among them, sorted as bytes."""
    return _hash(b"".join(sorted(value.encode() for value in values)))


def _hash(text: bytes) -> str:
    return sha1(text).hexdigest()  # noqa: S324  WeChat's choice
