"""Another token for one that WeChat refused."""

from __future__ import annotations

import logging
from contextlib import suppress

from tokenworker.async_reader import AsyncTokenReader
from tokenworker.errors import StoreUnavailable, TokenUnavailable
from tokenworker.reader import TokenReader

logger = logging.getLogger("tokenworker.auth")

_NONE = "%s: WeChat refused its token, and its answer goes to the caller: %s"


def replaced(reader: TokenReader, appid: str, access_token: str) -> str | None:
    """Report a token and return the one in its place, or None."""
    # Unheard, a report does no harm: another service's may have been heard.
    with suppress(StoreUnavailable):
        reader.reject(appid, access_token)
    try:
        return reader.get_token(appid).access_token
    except TokenUnavailable as error:
        logger.warning(_NONE, appid, error)
    return None


async def async_replaced(reader: AsyncTokenReader, appid: str, access_token: str) -> str | None:
    """Do the same on asyncio."""
    with suppress(StoreUnavailable):
        await reader.reject(appid, access_token)
    try:
        return (await reader.get_token(appid)).access_token
    except TokenUnavailable as error:
        logger.warning(_NONE, appid, error)
    return None
