"""What watches the calls of a process sees no secret in a URL, and WeChat gets it all the same."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter
from support.credentials import put
from support.processes import RedisServer
from support.readers import APPID
from support.wire import Server, json_answer

from tokenworker import TokenReader
from tokenworker.auth.httpx import WeChatAuth as HttpxAuth
from tokenworker.auth.requests import WeChatAuth
from tokenworker.secret import Secret
from tokenworker.store.store import Store
from tokenworker.wechat.transport import Transport
from tokenworker.wechat.veil import Veil

OK = json_answer({"errcode": 0})
REFUSED = json_answer({"errcode": 40001})
SECRET = "a+b/c=&" + "s" * 130


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Watch the places that Sentry and OpenTelemetry watch."""
    seen: list[str] = []

    def watch(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def watching(*args: Any, **kwargs: Any) -> Any:
            seen.append(repr((args, kwargs)) + "".join(str(getattr(arg, "url", "")) for arg in args))
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, watching)

    watch(HTTPConnection, "putrequest")
    watch(urllib3.HTTPConnectionPool, "urlopen")
    watch(requests.Session, "send")
    watch(httpx.Client, "send")
    watch(httpx.HTTPTransport, "handle_request")
    yield seen
    assert seen
    assert not [text for text in seen if SECRET[-20:] in text]


def arrived(server: Server) -> str:
    return server.requests[-1].target


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("name", ["secret", "access_token"])
def test_of_our_own_calls_only_a_stand_in_is_seen(name: str) -> None:
    with Server(OK) as server:
        Transport().call("GET", f"{server.url}/cgi-bin/token", timeout=5, params={"appid": "wx1", name: Secret(SECRET)})

        assert arrived(server) == f"/cgi-bin/token?appid=wx1&{name}=a%2Bb%2Fc%3D%26{'s' * 130}"


@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_of_a_services_calls_no_token_is_seen(
    server: RedisServer, store: Store, watched: list[str], library: str
) -> None:
    put(store, SECRET)
    with Server(REFUSED, OK) as wechat, TokenReader(server.url) as reader:
        url = f"{wechat.url}/cgi-bin/user/get"
        if library == "requests":
            requests.get(url, auth=WeChatAuth(reader, APPID), timeout=5)
        else:
            httpx.get(url, auth=HttpxAuth(reader, APPID))

        assert arrived(wechat) == f"/cgi-bin/user/get?access_token=a%2Bb%2Fc%3D%26{'s' * 130}"
    assert any("/cgi-bin/user/get" in text for text in watched)


def test_a_stand_in_stands_for_nothing_when_its_call_is_over() -> None:
    veil = Veil(Secret(SECRET))
    stand_in = veil.stand_in
    del veil
    gc.collect()
    with Server(OK) as server:
        requests.get(f"{server.url}/x?secret={stand_in}", timeout=5)

        assert arrived(server) == f"/x?secret={stand_in}"


class Double(BaseAdapter):
    """A test double: it refuses the token, and its answers know no connection."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response._content, response.request = 200, b'{"errcode": 40001}', request
        response.url = str(request.url)
        return response

    def close(self) -> None:
        pass


def test_a_test_double_that_can_not_be_asked_again_is_told_of(
    server: RedisServer, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, SECRET)
    caplog.set_level(logging.WARNING)
    with TokenReader(server.url) as reader, requests.Session() as session:
        session.mount("https://", Double())
        answer = session.get("https://api.weixin.qq.com/cgi-bin/user/get", auth=Waiting(reader, store), timeout=5)

    assert answer.json() == {"errcode": 40001}
    assert "its adapter or test double can't be asked to" in caplog.text


class Waiting(WeChatAuth):
    """Finds another token at once when the first is refused."""

    def __init__(self, reader: TokenReader, store: Store) -> None:
        super().__init__(reader, APPID)
        self._store = store

    def _answered(self, response: requests.Response, **options: Any) -> requests.Response:
        put(self._store, "another" * 20)
        return super()._answered(response, **options)
