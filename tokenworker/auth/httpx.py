"""WeChatAuth for httpx: ``httpx.Client(auth=WeChatAuth(reader, appid))``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from contextlib import contextmanager

import httpx

from tokenworker.async_reader import AsyncTokenReader
from tokenworker.auth.calls import WECHAT_HOSTS, carries_token, may_refuse, refuses, with_token
from tokenworker.auth.replacing import async_replaced, replaced
from tokenworker.reader import TokenReader
from tokenworker.redaction import redact_logs


class WeChatAuth(httpx.Auth):
    """Puts the token of `appid` into calls to WeChat, as the one for requests does, with the same arguments.

    A `Client` takes a `TokenReader`, an `AsyncClient` an `AsyncTokenReader`. Bodies are read into memory first,
    so that they can be sent twice.
    """

    def __init__(self, reader: TokenReader | AsyncTokenReader, appid: str, hosts: Iterable[str] = WECHAT_HOSTS) -> None:
        self._reader = reader
        self._appid = appid
        self._hosts = tuple(hosts)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Make a call of a `Client`."""
        if not self._signs(request.url):
            yield request
            return
        if not isinstance(self._reader, TokenReader):
            raise TypeError("a Client needs a WeChatAuth with a TokenReader")
        request.read()
        access_token = self._reader.get_token(self._appid).access_token
        with _signed(request, access_token):
            response = yield request
        if _may_refuse(request, response) and refuses(response.read()):
            other = replaced(self._reader, self._appid, access_token)
            if other:
                with _signed(request, other):
                    yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Make a call of an `AsyncClient`."""
        if not self._signs(request.url):
            yield request
            return
        if not isinstance(self._reader, AsyncTokenReader):
            raise TypeError("an AsyncClient needs a WeChatAuth with an AsyncTokenReader")
        await request.aread()
        access_token = (await self._reader.get_token(self._appid)).access_token
        with _signed(request, access_token):
            response = yield request
        if _may_refuse(request, response) and refuses(await response.aread()):
            other = await async_replaced(self._reader, self._appid, access_token)
            if other:
                with _signed(request, other):
                    yield request

    def _signs(self, url: httpx.URL) -> bool:
        return carries_token(url.scheme, url.host, url.path, url.query.decode("ascii"), self._hosts)


@contextmanager
def _signed(request: httpx.Request, access_token: str) -> Iterator[None]:
    """Show the token in the URL while the request is under way, and not in what its answer or an error holds."""
    url = request.url
    request.url = url.copy_with(raw_path=with_token(url.raw_path.decode("ascii"), access_token).encode())
    try:
        yield
    finally:
        request.url = url


def _may_refuse(request: httpx.Request, response: httpx.Response) -> bool:
    # What a redirect leads to carried no token.
    return response.request is request and may_refuse(response.headers)


# At INFO httpx logs the URL of each call; with HTTP/2, hpack logs its path at DEBUG.
redact_logs("httpx", "hpack.hpack")
