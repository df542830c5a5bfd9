"""Calls to WeChat that get their token by themselves."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from traceback import format_exception
from typing import Any

import httpx
import pytest
import requests
from support.credentials import put
from support.processes import RedisServer, wait_for
from support.readers import APPID, BusyWorker, Clock
from support.wire import NOWHERE, Server, http, json_answer, refusing_url

from tokenworker import AsyncTokenReader, Durations, TokenReader, TokenUnavailable
from tokenworker.auth.calls import WECHAT_HOSTS, carries_token, hosts_of, with_token
from tokenworker.auth.httpx import WeChatAuth as HttpxAuth
from tokenworker.auth.repeats import Repeats
from tokenworker.auth.requests import WeChatAuth
from tokenworker.credential import CredentialId, fingerprint
from tokenworker.sandbox import DEMO_APPID, Sandbox
from tokenworker.store.store import Store

SEND = "/cgi-bin/message/custom/send"
OK = json_answer({"errcode": 0, "errmsg": "ok"})
REFUSED = json_answer({"errcode": 40001, "errmsg": "invalid credential"})
TOKEN = "t" * 136
OTHER = "n" * 136
ID = CredentialId(APPID)
#: Whoever waits for a token in vain waits for so long.
PATIENCE = 0.4


@dataclass(frozen=True)
class Reply:
    """What a service sees of an answer."""

    body: bytes
    url: str
    shown: str

    @property
    def errcode(self) -> int:
        return int(json.loads(self.body)["errcode"])


@dataclass
class Caller:
    """Makes calls as a service does, with one of the libraries."""

    redis_url: str
    appid: str = APPID
    hosts: Iterable[str] | None = None
    durations: Durations = field(default_factory=lambda: Durations(reader_patience=PATIENCE))

    def call(self, method: str, url: str, **options: Any) -> Reply:
        raise NotImplementedError


class RequestsCaller(Caller):
    def call(self, method: str, url: str, **options: Any) -> Reply:
        with TokenReader(self.redis_url, durations=self.durations) as reader, requests.Session() as session:
            session.auth = WeChatAuth(reader, self.appid, self.hosts)
            answer = session.request(method, url, **options)
        return Reply(answer.content, answer.url, repr([answer, vars(answer), answer.history, answer.request]))


class HttpxCaller(Caller):
    def call(self, method: str, url: str, **options: Any) -> Reply:
        with TokenReader(self.redis_url, durations=self.durations) as reader:
            auth = HttpxAuth(reader, self.appid, self.hosts)
            with httpx.Client(auth=auth, follow_redirects=True) as client:
                return _reply(client.request(method, url, **options))


class AsyncHttpxCaller(Caller):
    def call(self, method: str, url: str, **options: Any) -> Reply:
        return asyncio.run(self._call(method, url, **options))

    async def _call(self, method: str, url: str, **options: Any) -> Reply:
        async with AsyncTokenReader(self.redis_url, durations=self.durations) as reader:
            auth = HttpxAuth(reader, self.appid, self.hosts)
            async with httpx.AsyncClient(auth=auth, follow_redirects=True) as client:
                return _reply(await client.request(method, url, **options))


def _reply(answer: httpx.Response) -> Reply:
    return Reply(answer.content, str(answer.url), repr([answer, answer.history, answer.request, answer.headers]))


CALLERS = {"requests": RequestsCaller, "httpx": HttpxCaller, "async httpx": AsyncHttpxCaller}


@pytest.fixture(params=CALLERS)
def caller(request: pytest.FixtureRequest, server: RedisServer) -> Caller:
    return CALLERS[request.param](server.url)


@pytest.fixture
def live(store: Store) -> Store:
    put(store, TOKEN)
    return store


@pytest.fixture
def keeper(store: Store, sandbox: Sandbox) -> Iterator[None]:
    with BusyWorker(store, sandbox):
        wait_for(lambda: store.records.look(CredentialId(DEMO_APPID)).credential)
        yield


@pytest.fixture
def replaced(live: Store) -> Iterator[None]:
    """The token is replaced as soon as somebody reports it."""
    stopped = threading.Event()

    def replace() -> None:
        while not stopped.wait(0.01):
            if live.records.look(ID).rejected:
                put(live, OTHER)

    thread = threading.Thread(target=replace)
    thread.start()
    yield
    stopped.set()
    thread.join()


def tokens(wechat: Server) -> list[str | None]:
    """Return the token of each call that came in."""
    return [dict(request.query if "?" in request.target else []).get("access_token") for request in wechat.requests]


# The token


@pytest.mark.usefixtures("keeper")
def test_a_call_carries_the_token(sandbox: Sandbox, caller: Caller) -> None:
    caller.appid = DEMO_APPID

    assert caller.call("POST", sandbox.url + SEND, json={"touser": "x"}).errcode == 0


@pytest.mark.usefixtures("live")
def test_the_rest_of_the_query_stays_as_it_is(caller: Caller) -> None:
    with Server(OK) as wechat:
        caller.call("GET", wechat.url + "/cgi-bin/user/get?next_openid=a%2Bb%20c&access_token=")

    [request] = wechat.requests
    assert request.target == f"/cgi-bin/user/get?next_openid=a%2Bb%20c&access_token={TOKEN}"


@pytest.mark.usefixtures("live")
def test_a_call_that_names_a_token_itself_is_left_alone(caller: Caller) -> None:
    with Server(REFUSED) as wechat:
        assert caller.call("GET", wechat.url + "/cgi-bin/user/info?access_token=a-users").errcode == 40001

    assert tokens(wechat) == ["a-users"]


def test_without_a_token_nothing_is_sent(caller: Caller) -> None:
    with Server(OK) as wechat, pytest.raises(TokenUnavailable, match=APPID):
        caller.call("GET", wechat.url + "/cgi-bin/user/get")

    assert wechat.requests == []


@pytest.mark.usefixtures("live")
def test_a_host_that_is_not_wechats_sees_no_token(caller: Caller) -> None:
    caller.hosts = ("api.weixin.qq.com",)
    with Server(REFUSED) as elsewhere:
        caller.call("GET", elsewhere.url + "/cgi-bin/user/get")

    assert tokens(elsewhere) == [None]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_no_token_along(live: Store, caller: Caller, status: int) -> None:
    with Server(REFUSED) as elsewhere, Server(http(b"", status, Location=elsewhere.url + "/there")) as wechat:
        assert caller.call("POST", wechat.url + SEND, json={}).errcode == 40001

    assert tokens(wechat) == [TOKEN]
    assert [request.target for request in elsewhere.requests] == ["/there"]
    # It is not WeChat that refused it.
    assert live.records.look(ID).rejected == ""


@pytest.mark.parametrize(
    ("url", "carries"),
    [
        ("https://api.weixin.qq.com/cgi-bin/user/get", True),
        ("https://API2.weixin.qq.com:443/cgi-bin/user/get", True),
        ("https://api.weixin.qq.com./cgi-bin/user/get", True),
        ("https://sh.api.weixin.qq.com/cgi-bin/user/get", True),
        ("http://127.0.0.1:8080/cgi-bin/user/get", True),
        ("http://[::1]:8080/cgi-bin/user/get", True),
        ("http://api.weixin.qq.com/cgi-bin/user/get", False),
        ("https://qyapi.weixin.qq.com/cgi-bin/user/get", False),
        ("https://api.weixin.qq.com.evil.example/cgi-bin/user/get", False),
        ("https://evil-api.weixin.qq.com/cgi-bin/user/get", False),
        ("https://api.weixin.qq.com@evil.example/cgi-bin/user/get", False),
        ("https://evil.example/api.weixin.qq.com", False),
        ("https://evilweixin.qq.com/", False),
        ("https://api.weixin.qq.com/sns/userinfo?openid=o", False),
        ("https://api.weixin.qq.com/cgi-bin/user/get?access_token=x", False),
        ("https://api.weixin.qq.com/cgi-bin/user/get?access_token=", True),
    ],
)
def test_which_calls_carry_a_token(url: str, carries: bool) -> None:
    parts = httpx.URL(url)

    assert carries_token(parts.scheme, parts.host, parts.path, parts.query.decode(), hosts_of(APPID)) == carries


@pytest.mark.parametrize(
    ("host", "carries"),
    [("qyapi.weixin.qq.com", True), ("127.0.0.1", True), ("api.weixin.qq.com", False), ("qyapi.evil.example", False)],
)
def test_a_token_of_wecom_goes_to_wecom_alone(host: str, carries: bool) -> None:
    assert carries_token("https", host, "/cgi-bin/user/get", "", hosts_of("ww0123456789abcdef/1000002")) == carries


def test_a_host_that_is_given_alone_is_one_host(caller: Caller) -> None:
    caller.hosts = "wechat*.example"
    with Server(OK) as elsewhere:
        caller.call("GET", elsewhere.url + "/cgi-bin/user/get")

    assert tokens(elsewhere) == [None]


@pytest.mark.parametrize(
    ("target", "signed"),
    [
        ("/a", "/a?access_token=t"),
        ("/a?b=c", "/a?b=c&access_token=t"),
        ("/a?access_token=&b=c", "/a?b=c&access_token=t"),
        ("/a?b=c&access_token=", "/a?b=c&access_token=t"),
        ("/a?my_access_token=", "/a?my_access_token=&access_token=t"),
    ],
)
def test_where_the_token_goes(target: str, signed: str) -> None:
    assert with_token(target, "t") == signed


# Refusals


@pytest.mark.usefixtures("keeper")
def test_a_dead_token_is_replaced_and_nobody_notices(sandbox: Sandbox, caller: Caller) -> None:
    caller.appid, caller.durations = DEMO_APPID, Durations()
    sandbox.revoke()

    assert caller.call("POST", sandbox.url + SEND, json={"touser": "x"}).errcode == 0
    assert sandbox.counts().fetches == 2


@pytest.mark.usefixtures("keeper")
def test_a_token_that_works_after_all_is_used_once_more(sandbox: Sandbox, caller: Caller) -> None:
    caller.appid, caller.durations = DEMO_APPID, Durations()
    sandbox.fault("flap", path=SEND)

    assert caller.call("POST", sandbox.url + SEND, json={"touser": "x"}).errcode == 0
    assert sandbox.counts().fetches == 1


@pytest.mark.usefixtures("keeper")
def test_an_api_that_refuses_every_token_is_not_called_twice_each_time(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caller.appid, caller.durations = DEMO_APPID, Durations()
    with Server(REFUSED) as wechat:
        answers = [caller.call("POST", wechat.url + SEND, json={}).errcode for _ in range(5)]

    assert answers == [40001] * 5
    # The worker tested the token, so it was worth one more call, of five.
    assert len(wechat.requests) == 6
    assert len(set(tokens(wechat))) == 1
    assert caplog.text.count("a worker probed it and it works") == 4


@pytest.mark.usefixtures("keeper")
def test_many_calls_that_are_refused_at_once_are_not_all_made_twice(sandbox: Sandbox, server: RedisServer) -> None:
    with TokenReader(server.url) as reader, requests.Session() as session, Server(REFUSED) as wechat:
        session.auth = WeChatAuth(reader, DEMO_APPID)
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=8))
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(session.post, wechat.url + SEND, json={}) for _ in range(24)]
            assert {call.result().json()["errcode"] for call in calls} == {40001}

    assert 24 < len(wechat.requests) <= 24 + 8
    assert sandbox.counts().fetches == 1


def test_with_the_same_token_one_call_in_some_seconds_is_made_once_more() -> None:
    clock = Clock()
    repeats = Repeats(clock)

    assert [repeats.take(APPID, TOKEN), repeats.take(APPID, TOKEN), repeats.take("wx2", TOKEN)] == [True, False, True]
    clock.now = 4.9
    assert not repeats.take(APPID, TOKEN)
    clock.now = 5
    assert repeats.take(APPID, TOKEN)


def test_a_token_that_is_refused_again_is_not_used_so_any_more_but_the_next_one_is() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    assert repeats.take(APPID, TOKEN)
    repeats.give_up(APPID, TOKEN)
    clock.now = 1e9

    assert not repeats.take(APPID, TOKEN)
    assert repeats.take(APPID, OTHER)


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
@pytest.mark.usefixtures("replaced")
def test_a_refused_call_is_made_once_more_with_another_token(caller: Caller, errcode: int) -> None:
    with Server(json_answer({"errcode": errcode}), OK) as wechat:
        assert caller.call("GET", wechat.url + "/cgi-bin/user/get").errcode == 0

    assert tokens(wechat) == [TOKEN, OTHER]


@pytest.mark.usefixtures("replaced")
def test_it_is_made_once_more_and_not_twice(caller: Caller) -> None:
    with Server(REFUSED) as wechat:
        assert caller.call("GET", wechat.url + "/cgi-bin/user/get").errcode == 40001

    assert tokens(wechat) == [TOKEN, OTHER]


@pytest.mark.parametrize(
    "answer",
    [
        json_answer({"errcode": 45009}),
        json_answer({"errcode": -1}),
        json_answer({"errcode": True}),
        json_answer([40001]),
        http(b"40001"),
        http(b"{" * 5000, Content_Type="application/json"),
        http(json_answer({"errcode": 40001}).partition(b"\r\n\r\n")[2], Content_Type="image/jpeg"),
        http(b'{"errcode": 40001, "x": "' + b"x" * 70_000 + b'"}', Content_Type="application/json"),
    ],
)
def test_other_answers_are_left_alone(live: Store, caller: Caller, answer: bytes) -> None:
    with Server(answer) as wechat:
        caller.call("GET", wechat.url + "/cgi-bin/user/get")

    assert tokens(wechat) == [TOKEN]
    assert live.records.look(ID).rejected == ""


def test_when_there_is_no_other_token_the_answer_is_wechats(
    live: Store, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    with Server(REFUSED) as wechat:
        assert caller.call("GET", wechat.url + "/cgi-bin/user/get").errcode == 40001

    assert tokens(wechat) == [TOKEN]
    assert live.records.look(ID).rejected == fingerprint(TOKEN)
    assert "no worker has tested or replaced it" in caplog.text


@pytest.mark.usefixtures("keeper")
def test_many_threads_with_a_dead_token_cost_one_fetch(sandbox: Sandbox, server: RedisServer) -> None:
    with TokenReader(server.url) as reader, requests.Session() as session:
        session.auth = WeChatAuth(reader, DEMO_APPID)
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=8))
        reader.get_token(DEMO_APPID)
        sandbox.revoke()
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(session.post, sandbox.url + SEND, json={}) for _ in range(24)]
            assert {call.result().json()["errcode"] for call in calls} == {0}

    assert sandbox.counts().fetches == 2


# Bodies


@pytest.mark.parametrize(
    "content",
    [
        {"json": {"a": 1}},
        {"data": {"a": "1"}},
        {"files": {"media": ("a.jpg", b"picture", "image/jpeg")}},
    ],
    ids=["json", "form", "file in memory"],
)
@pytest.mark.usefixtures("replaced")
def test_a_body_is_sent_again_as_it_was(caller: Caller, content: dict[str, Any]) -> None:
    with Server(REFUSED, OK) as wechat:
        assert caller.call("POST", wechat.url + "/cgi-bin/media/upload?type=image", **content).errcode == 0

    first, second = wechat.requests
    assert first.body == second.body != b""


@pytest.mark.usefixtures("replaced")
def test_a_file_is_sent_again_from_where_it_was(caller: Caller, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"header" + b"picture" * 20_000)
    name = "data" if isinstance(caller, RequestsCaller) else "content"
    with Server(REFUSED, OK) as wechat, path.open("rb") as file:
        # httpx writes chunks for an asynchronous iterator only.
        file.seek(6)
        body = file if isinstance(caller, RequestsCaller) else file.read()
        assert caller.call("POST", wechat.url + "/cgi-bin/media/upload", **{name: body}).errcode == 0

    assert [request.body for request in wechat.requests] == [b"picture" * 20_000] * 2


@pytest.mark.usefixtures("replaced")
def test_a_file_in_a_form_is_sent_again(caller: Caller, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    with Server(REFUSED, OK) as wechat, path.open("rb") as file:
        assert caller.call("POST", wechat.url + "/cgi-bin/media/upload", files={"media": file}).errcode == 0

    assert [b"picture" in request.body for request in wechat.requests] == [True, True]


class Pipe(io.BytesIO):
    """Knows no way back, as a pipe."""

    def seek(self, *_: int) -> int:
        raise OSError("not seekable")


class ReadOnce(io.BytesIO):
    """Closes itself when it is read."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data:
            self.close()
        return data


@pytest.mark.parametrize("body", [Pipe(b"{}"), ReadOnce(b"{}"), (b"{%d}" % number for number in range(2))])
def test_requests_makes_a_call_with_a_stream_once(
    live: Store, server: RedisServer, caplog: pytest.LogCaptureFixture, body: object
) -> None:
    timer = threading.Timer(0.1, put, (live, OTHER))
    timer.start()
    with Server(REFUSED) as wechat:
        caller = RequestsCaller(server.url, durations=Durations(reader_patience=2))
        assert caller.call("POST", wechat.url + SEND, data=body).errcode == 40001
    timer.join()

    assert tokens(wechat) == [TOKEN]
    assert live.records.look(ID).fingerprint == fingerprint(OTHER)
    assert "a stream without a way back" in caplog.text


@pytest.mark.usefixtures("replaced")
def test_httpx_reads_a_stream_first_and_sends_it_twice(server: RedisServer) -> None:
    with Server(REFUSED, OK) as wechat:
        sent = HttpxCaller(server.url).call(
            "POST",
            wechat.url + SEND,
            content=(b"{%d}" % number for number in range(2)),
            headers={"Content-Length": "6"},
        )

    assert sent.errcode == 0
    assert [request.body for request in wechat.requests] == [b"{0}{1}"] * 2


@pytest.mark.usefixtures("live")
def test_a_long_answer_is_not_read_before_its_time(server: RedisServer) -> None:
    picture = http(b"x" * 1_000_000, Content_Type="image/jpeg")
    with TokenReader(server.url) as reader, requests.Session() as session, Server(picture) as wechat:
        session.auth = WeChatAuth(reader, APPID)
        with session.get(wechat.url + "/cgi-bin/media/get", stream=True) as answer:
            assert not answer._content_consumed  # type: ignore[attr-defined]
            assert len(answer.content) == 1_000_000
        with httpx.Client(auth=HttpxAuth(reader, APPID)) as client, client.stream("GET", wechat.url + "/get") as stream:
            assert not stream.is_stream_consumed
            assert len(stream.read()) == 1_000_000


# Secrecy


@pytest.mark.usefixtures("replaced")
def test_no_token_shows_in_what_a_service_sees_or_in_logs(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Server(REFUSED, OK) as wechat:
        reply = caller.call("POST", wechat.url + SEND + "?lang=zh", json={})

    assert tokens(wechat) == [TOKEN, OTHER]
    assert reply.url == wechat.url + SEND + "?lang=zh"
    for token in (TOKEN, OTHER):
        assert token not in reply.shown
        assert token not in caplog.text
    assert SEND in caplog.text


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_no_token_shows_in_the_logs_of_a_service_that_imports_nothing_else(server: RedisServer, library: str) -> None:
    code = (
        "import logging, sys\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        f"import {library}\n"
        "from tokenworker import TokenReader\n"
        f"from tokenworker.auth.{library} import WeChatAuth\n"
        f"{library}.get(sys.argv[1], auth=WeChatAuth(TokenReader(sys.argv[2]), {APPID!r}))\n"
    )
    with Server(OK) as wechat:
        command = [sys.executable, "-c", code, wechat.url + "/cgi-bin/user/get", server.url]
        log = subprocess.run(command, capture_output=True, text=True, check=True).stderr

    assert tokens(wechat) == [TOKEN]
    assert TOKEN not in log
    assert "/cgi-bin/user/get" in log


@pytest.mark.parametrize("fault", ["refused", "unknown", "hang"])
@pytest.mark.usefixtures("live")
def test_no_token_shows_in_an_error(caller: Caller, fault: str) -> None:
    caller.hosts = (*WECHAT_HOSTS, NOWHERE)
    with Server(lambda exchange: exchange.wait(1)) as wechat:
        url = {"refused": refusing_url(), "unknown": f"http://{NOWHERE}"}.get(fault, wechat.url)
        with pytest.raises((requests.RequestException, httpx.HTTPError)) as caught:
            caller.call("GET", url + "/cgi-bin/user/get", timeout=0.3)

    error: BaseException | None = caught.value
    assert TOKEN not in "".join(format_exception(caught.value))
    while error:
        assert TOKEN not in repr(error) + str(error) + repr(getattr(error, "request", ""))
        error = error.__cause__ or error.__context__


@pytest.mark.usefixtures("live")
def test_no_token_shows_when_an_error_status_is_raised(server: RedisServer) -> None:
    with TokenReader(server.url) as reader, Server(http(b"", 502)) as wechat:
        with requests.Session() as session, pytest.raises(requests.HTTPError) as first:
            session.get(wechat.url + "/cgi-bin/user/get", auth=WeChatAuth(reader, APPID)).raise_for_status()
        with httpx.Client() as client, pytest.raises(httpx.HTTPStatusError) as second:
            client.get(wechat.url + "/cgi-bin/user/get", auth=HttpxAuth(reader, APPID)).raise_for_status()

    assert tokens(wechat) == [TOKEN, TOKEN]
    assert TOKEN not in str(first.value) + str(second.value)


# The rest


@pytest.mark.usefixtures("live")
def test_a_reader_of_the_wrong_kind_is_named(server: RedisServer) -> None:
    async def call(reader: TokenReader) -> None:
        async with httpx.AsyncClient(auth=HttpxAuth(reader, APPID)) as client:
            await client.get(wechat.url)

    with Server(OK) as wechat, TokenReader(server.url) as reader:
        with pytest.raises(TypeError, match="needs a WeChatAuth with an AsyncTokenReader"):
            asyncio.run(call(reader))
        auth = HttpxAuth(AsyncTokenReader(server.url), APPID)
        with httpx.Client(auth=auth) as client, pytest.raises(TypeError, match="with a TokenReader"):
            client.get(wechat.url)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("tokenworker.auth", "requests httpx redis"),
        ("tokenworker.auth.httpx", "requests"),
        ("tokenworker.auth.requests", "httpx"),
    ],
)
def test_each_library_is_imported_for_its_own_users(module: str, absent: str) -> None:
    code = f"import sys, {module}; print([name for name in {absent.split()} if name in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_short_name_is_the_one_for_requests() -> None:
    from tokenworker import auth  # noqa: PLC0415

    assert auth.WeChatAuth is WeChatAuth
    with pytest.raises(AttributeError):
        auth.nothing  # noqa: B018
