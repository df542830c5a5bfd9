"""The token to use in place of one that WeChat refused."""

from __future__ import annotations

import logging
from contextlib import suppress

from tokenworker.auth.repeats import repeats
from tokenworker.errors import StoreUnavailable, TokenUnavailable
from tokenworker.reading.async_reader import AsyncTokenReader
from tokenworker.reading.reader import TokenReader

logger = logging.getLogger("tokenworker.auth")

_NONE = "%s: WeChat refused its token, and its answer goes to the caller: %s"
_SAME = "%s: WeChat refused its token, but a worker probed it and it works; the answer goes to the caller"


def replaced(reader: TokenReader, appid: str, access_token: str) -> str | None:
    """Report a token and return the one to make the call once more with, if any.

    That is the same one where a worker found that it works, but not for every call.
    """
    # A report that Redis does not take does no harm: it may take another service's.
    with suppress(StoreUnavailable):
        reader.reject(appid, access_token)
    try:
        return _worth_using(appid, access_token, reader.get_token(appid).access_token)
    except TokenUnavailable as error:
        logger.warning(_NONE, appid, error)
    return None


async def async_replaced(reader: AsyncTokenReader, appid: str, access_token: str) -> str | None:
    """Report a token and return the one to use, as `replaced`."""
    with suppress(StoreUnavailable):
        await reader.reject(appid, access_token)
    try:
        return _worth_using(appid, access_token, (await reader.get_token(appid)).access_token)
    except TokenUnavailable as error:
        logger.warning(_NONE, appid, error)
    return None


def _worth_using(appid: str, refused: str, found: str) -> str | None:
    if found != refused or repeats.take(appid, found):
        return found
    logger.warning(_SAME, appid)
    return None
