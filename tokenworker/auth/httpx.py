"""WeChatAuth for httpx: ``httpx.Client(auth=WeChatAuth(reader, appid))``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from tokenworker.auth.calls import carries_token, hosts_of, may_refuse, refuses, with_token
from tokenworker.auth.repeats import repeats
from tokenworker.auth.replacing import async_replaced, replaced
from tokenworker.reading.async_reader import AsyncTokenReader
from tokenworker.reading.reader import TokenReader
from tokenworker.redaction import redact_logs


class _Extensions(dict[str, Any]):
    """A request's extensions with a target that no copy takes along: a redirect's request begins with a copy."""

    def __init__(self, extensions: Mapping[str, Any], target: bytes) -> None:
        super().__init__(extensions)
        self._target = target

    def __contains__(self, name: object) -> bool:
        return name == "target" or super().__contains__(name)

    def __getitem__(self, name: str) -> Any:
        return self._target if name == "target" else super().__getitem__(name)


class WeChatAuth(httpx.Auth):
    """Puts the token of `appid` into calls to WeChat, as the one for requests does, with the same arguments.

    A `Client` takes a `TokenReader`, an `AsyncClient` an `AsyncTokenReader`. Bodies are read into memory first,
    so that they can be sent twice.
    """

    def __init__(self, reader: TokenReader | AsyncTokenReader, appid: str, hosts: Iterable[str] | None = None) -> None:
        self._reader = reader
        self._appid = appid
        self._hosts = hosts_of(appid, hosts)

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
                    response = yield request
                if other == access_token and _may_refuse(request, response) and refuses(response.read()):
                    repeats.give_up(self._appid, other)

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
                    response = yield request
                if other == access_token and _may_refuse(request, response) and refuses(await response.aread()):
                    repeats.give_up(self._appid, other)

    def _signs(self, url: httpx.URL) -> bool:
        return carries_token(url.scheme, url.host, url.path, url.query.decode("ascii"), self._hosts)


@contextmanager
def _signed(request: httpx.Request, access_token: str) -> Iterator[None]:
    """Have the token sent while the request is under way, and never show it in a URL.

    httpcore sends the target among the extensions in place of the URL's path; test doubles find it there, too.
    """
    target = with_token(request.url.raw_path.decode("ascii"), access_token).encode()
    before = request.extensions
    request.extensions = _Extensions(before, target)
    try:
        yield
    finally:
        request.extensions = before


def _may_refuse(request: httpx.Request, response: httpx.Response) -> bool:
    # The request that a redirect leads to carries no token.
    return response.request is request and may_refuse(response.headers)


# At INFO httpx logs the URL of each call; with HTTP/2, hpack logs its path at DEBUG.
redact_logs("httpx", "hpack.hpack")
