"""HTTP against servers that behave and servers that do not, all of them on real sockets."""

from __future__ import annotations

import gc
import gzip
import logging
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import urllib3
from support.processes import wait_for
from support.wire import (
    NOWHERE,
    Exchange,
    Reply,
    Server,
    after,
    black_hole,
    chunked,
    drip,
    fetching,
    hang,
    hang_up,
    http,
    nothing_left_behind,
    refusing_url,
    reset,
    then_hang_up,
)

from tokenworker.errors import NetworkError
from tokenworker.secret import Secret
from tokenworker.wechat import transport as module
from tokenworker.wechat.transport import MAX_BODY, Answer, Transport

#: Seconds, the deadline of the calls that are meant to meet it.
DEADLINE = 0.2
#: Seconds, the deadline of all others.
AMPLE = 5.0

BODY = b'{"access_token":"97_x","expires_in":7200}'


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    with nothing_left_behind():
        yield


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport._session.close()


def get(transport: Transport, url: str, timeout: float = AMPLE, **options: Any) -> Answer:
    return transport.call("GET", url + "/", timeout=timeout, **options)


def failure(transport: Transport, url: str, timeout: float = AMPLE, **options: Any) -> NetworkError:
    """Make a call that fails, and fails in time."""
    started = time.monotonic()
    with pytest.raises(NetworkError) as caught:
        get(transport, url, timeout, **options)
    assert time.monotonic() - started < timeout + 0.5
    return caught.value


def close_delimited(body: bytes) -> Reply:
    return then_hang_up(b"HTTP/1.1 200 OK\r\n\r\n" + body)


# What goes out


def test_a_get_arrives_with_its_query_and_these_headers_alone(transport: Transport) -> None:
    with Server(http()) as server:
        transport.call("GET", server.url + "/cgi-bin/token", timeout=AMPLE, params={"b": "1", "a": "x y/&=+ü%"})
    (request,) = server.requests
    assert request.method == "GET"
    assert request.target == "/cgi-bin/token?b=1&a=x+y%2F%26%3D%2B%C3%BC%25"
    assert request.body == b""
    assert request.headers == {
        "Host": f"127.0.0.1:{server.port}",
        "User-Agent": "tokenworker",
        "Accept-Encoding": "identity",
        "Accept": "*/*",
        "Connection": "keep-alive",
    }


def test_a_post_arrives_as_json(transport: Transport) -> None:
    with Server(http()) as server:
        transport.call("POST", server.url + "/p", timeout=AMPLE, json={"b": True, "a": "ü", "c": None})
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/p")
    assert request.body == rb'{"b": true, "a": "\u00fc", "c": null}'
    assert request.headers == {
        "Host": f"127.0.0.1:{server.port}",
        "User-Agent": "tokenworker",
        "Accept-Encoding": "identity",
        "Accept": "*/*",
        "Connection": "keep-alive",
        "Content-Type": "application/json",
        "Content-Length": str(len(request.body)),
    }


def test_a_secret_is_revealed_to_the_server_alone(transport: Transport) -> None:
    with Server(http()) as server:
        get(transport, server.url, params={"secret": Secret("a+b")})
        transport.call("POST", server.url, timeout=AMPLE, json={"secret": Secret("a+b")})
    assert server.requests[0].query == [("secret", "a+b")]
    assert server.requests[1].body == b'{"secret": "a+b"}'


# What comes back


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(http(BODY), id="with its length"),
        pytest.param(chunked(BODY[:10], BODY[10:11], BODY[11:]), id="in chunks"),
        pytest.param(chunked(BODY, end=b"0\r\nTrailer: x\r\n\r\n"), id="in chunks with a trailer"),
        pytest.param(close_delimited(BODY), id="until the connection closes"),
        pytest.param(then_hang_up(http(BODY, Connection="close")), id="with its length, then closed"),
        pytest.param(then_hang_up(http(BODY).replace(b"HTTP/1.1", b"HTTP/1.0")), id="by HTTP/1.0"),
        pytest.param(drip(http(BODY), pause=0.001), id="byte by byte"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + http(BODY), id="after 100 Continue"),
    ],
)
def test_a_body_is_read_however_it_is_delimited(transport: Transport, reply: Reply) -> None:
    with Server(reply) as server:
        assert get(transport, server.url) == Answer(200, BODY)


@pytest.mark.parametrize("status", [200, 204, 304, 404, 429, 500, 502, 503])
def test_any_status_is_an_answer(transport: Transport, status: int) -> None:
    with Server(http(b"", status)) as server:
        assert get(transport, server.url) == Answer(status, b"")


def test_an_answer_does_not_show_its_body() -> None:
    assert repr(Answer(200, BODY)) == "Answer(status=200)"


def test_a_compressed_body_stays_as_it_came(transport: Transport) -> None:
    bomb = gzip.compress(b"a" * 10_000_000)
    with Server(http(bomb, Content_Encoding="gzip")) as server:
        assert get(transport, server.url) == Answer(200, bomb)


FRAMES: dict[str, Callable[[bytes], Reply]] = {
    "length": http,
    "chunks": lambda body: chunked(body[:1000], body[1000:]),
    "close": close_delimited,
}


@pytest.mark.parametrize("frame", FRAMES)
def test_a_body_of_64_kb_is_read_and_one_byte_more_is_refused(transport: Transport, frame: str) -> None:
    with Server(FRAMES[frame](b"a" * MAX_BODY), FRAMES[frame](b"a" * (MAX_BODY + 1)), http(BODY)) as server:
        assert len(get(transport, server.url).body) == MAX_BODY
        error = failure(transport, server.url)
        assert get(transport, server.url).body == BODY
    assert (error.reason, error.ambiguous) == ("the answer has more than 64 KB", True)


def flood(head: bytes, block: bytes) -> Reply:
    def send(exchange: Exchange) -> None:
        exchange.send(head)
        while True:
            exchange.send(block)

    return send


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="body"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", id="body of a redirect"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", id="compressed body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", id="very long body"),
    ],
)
def test_a_body_without_end_is_left_after_64_kb(transport: Transport, head: bytes) -> None:
    with Server(flood(head, b"a" * 65_536)) as server:
        started = time.monotonic()
        assert failure(transport, server.url).reason == "the answer has more than 64 KB"
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(then_hang_up(http(BODY)[:-1]), "the answer was cut off", id="cut body"),
        pytest.param(then_hang_up(http(BODY)[: -len(BODY)]), "the answer was cut off", id="no body"),
        pytest.param(then_hang_up(chunked(BODY, end=b"")), "the answer was cut off", id="last chunk missing"),
        pytest.param(then_hang_up(chunked(BODY)[:-20]), "the answer was cut off", id="cut chunk"),
        pytest.param(hang_up, "Remote end closed connection without response", id="no answer"),
        pytest.param(reset, "Connection reset by peer", id="reset"),
        pytest.param(then_hang_up(b"SSH-2.0-OpenSSH_9.2\r\n"), "what came back is no HTTP", id="another protocol"),
        pytest.param(then_hang_up(b"\x16\x03\x01" * 30_000), "what came back is no HTTP", id="no lines"),
        pytest.param(flood(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 50), "what came back is no HTTP", id="many headers"),
        pytest.param(flood(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 9999), "what came back is no HTTP", id="long header"),
        pytest.param(http(Content_Length="3, 4"), "InvalidHeader", id="two lengths"),
    ],
)
def test_what_is_no_whole_answer_is_a_network_error(transport: Transport, reply: Reply, reason: str) -> None:
    with Server(reply) as server:
        error = failure(transport, server.url)
    assert (error.reason, error.ambiguous) == (reason, True)


# When no request leaves


def test_a_refused_connection_is_not_ambiguous(transport: Transport) -> None:
    error = failure(transport, refusing_url())
    assert (error.reason, error.ambiguous) == ("Connection refused", False)


def test_an_unknown_name_is_not_ambiguous(transport: Transport) -> None:
    error = failure(transport, f"http://{NOWHERE}")
    assert (error.reason, error.ambiguous) == ("the host's name can't be resolved", False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://", "nonsense", "ftp://127.0.0.1", "http://a..b"])
def test_an_address_that_makes_no_sense_is_not_ambiguous(transport: Transport, url: str) -> None:
    assert not failure(transport, url).ambiguous


def test_a_full_queue_is_not_ambiguous(transport: Transport) -> None:
    with black_hole() as port:
        error = failure(transport, f"http://127.0.0.1:{port}", DEADLINE)
    assert not error.ambiguous


# The deadline


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(hang, id="silence"),
        pytest.param(drip(http(b"a" * 9999)), id="headers drip"),
        pytest.param(drip(b"a" * 9999, head=http(b"a" * 9999)[:-9999]), id="body drips"),
        pytest.param(drip(b"a" * 9999, head=b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), id="last body drips"),
        pytest.param(drip(b"1\r\na\r\n" * 999, head=chunked(end=b"")), id="chunks drip"),
        pytest.param(flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99), id="100 Continue for ever"),
        pytest.param(drip(b"a", head=http(b"a" * 9, 302, Location="/x")[:-9], pause=9), id="body of a redirect"),
    ],
)
def test_a_slow_answer_meets_the_deadline_and_is_ambiguous(transport: Transport, reply: Reply) -> None:
    with Server(reply) as server:
        error = failure(transport, server.url, DEADLINE)
        # At once, and not only when the server ends.
        wait_for(lambda: not fetching(), timeout=0.5)
    assert (error.reason, error.ambiguous) == ("no answer within 0.2 s", True)


def resolve(monkeypatch: pytest.MonkeyPatch, *ports: int, seconds: float = 0.0) -> None:
    """Give every name these addresses, after so many seconds."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports]

    def look_up(*_: object) -> list[Any]:
        time.sleep(seconds)
        return found

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_a_slow_name_lookup_meets_the_deadline_and_nothing_is_sent(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(http(BODY)) as server:
        resolve(monkeypatch, server.port, seconds=2 * DEADLINE)
        assert not failure(transport, server.url, DEADLINE).ambiguous
        wait_for(lambda: not fetching())
    assert server.requests == []


def test_many_dead_addresses_meet_the_deadline_and_nothing_is_sent_to_the_one_that_lives(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with black_hole() as port, Server(http(BODY)) as server:
        resolve(monkeypatch, port, port, server.port)
        assert not failure(transport, server.url, DEADLINE).ambiguous
        wait_for(lambda: server.connections == 1 and not fetching())
    assert server.requests == []


def test_a_dead_address_leaves_time_for_the_next_one(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CONNECT_TIMEOUT", 0.1)
    with black_hole() as port, Server(http(BODY)) as server:
        resolve(monkeypatch, port, server.port)
        assert get(transport, server.url).body == BODY


def test_connecting_has_a_deadline_of_its_own(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    with black_hole() as port:
        resolve(monkeypatch, *[port] * 8)
        started = time.monotonic()
        error = failure(transport, "http://localhost", AMPLE, connect_timeout=0.1)
    assert time.monotonic() - started < 0.5
    assert not error.ambiguous


def test_a_request_that_left_in_time_has_the_whole_time_for_its_answer(transport: Transport) -> None:
    with Server(after(0.2, http(BODY))) as server:
        assert get(transport, server.url, connect_timeout=0.05).body == BODY


def test_an_answer_that_comes_too_late_is_nobody_elses(transport: Transport) -> None:
    with Server(after(1.5 * DEADLINE, http(b"late")), http(BODY)) as server:
        failure(transport, server.url, DEADLINE)
        time.sleep(DEADLINE)
        assert get(transport, server.url).body == BODY


def test_a_body_that_the_deadline_cuts_is_no_answer(transport: Transport) -> None:
    def send(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n" + BODY)
        exchange.wait()

    with Server(send) as server:
        assert failure(transport, server.url, DEADLINE).reason == "no answer within 0.2 s"


def test_a_caller_who_is_interrupted_leaves_nothing_running(transport: Transport) -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, interrupt)
    with Server(hang) as server:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(InterruptedError):
            get(transport, server.url)
        wait_for(lambda: not fetching(), timeout=0.5)
    signal.signal(signal.SIGALRM, before)


# Where it does not go


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_nobody_follows_it(transport: Transport, status: int) -> None:
    with Server(http()) as elsewhere, Server(http(BODY, status, Location=elsewhere.url)) as server:
        assert get(transport, server.url) == Answer(status, BODY)
        answer = transport.call("POST", server.url, timeout=AMPLE, json={"secret": "s"})
    assert answer.status == status
    assert len(server.requests) == 2
    assert elsewhere.connections == 0


def test_the_proxy_of_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(http()) as proxy, Server(http(BODY)) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.lower(), proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert get(Transport(), server.url).body == BODY
    assert proxy.connections == 0


def test_a_netrc_file_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login u password p\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    with Server(http(BODY)) as server:
        get(Transport(), server.url)
    assert "Authorization" not in server.requests[0].headers


def test_a_cookie_does_not_come_back(transport: Transport) -> None:
    with Server(http(BODY, Set_Cookie="a=b; Path=/")) as server:
        get(transport, server.url)
        get(transport, server.url)
    assert "Cookie" not in server.requests[1].headers


def test_its_own_proxy_gets_the_whole_address() -> None:
    with Server(http(BODY)) as proxy:
        transport = Transport(proxy.url.replace("//", "//user:pass@"))
        assert get(transport, f"http://{NOWHERE}", params={"a": "b"}).body == BODY
    assert proxy.requests[0].target == f"http://{NOWHERE}/?a=b"
    assert proxy.requests[0].headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNz"


def test_its_own_proxy_that_is_away_is_named_and_not_ambiguous() -> None:
    error = failure(Transport(refusing_url()), "http://127.0.0.1")
    assert (error.reason, error.ambiguous) == ("the proxy: Connection refused", False)


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA, tmp_path: Path, transport: Transport) -> Transport:
    """A transport that trusts our authority and nobody else."""
    trust(transport, authority, tmp_path)
    return transport


def trust(transport: Transport, authority: trustme.CA, folder: Path) -> None:
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    transport._session.verify = str(folder / "ca.pem")


def identity(authority: trustme.CA, name: str = "localhost", **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **options).configure_cert(context)
    return context


def secure_url(server: Server) -> str:
    return f"https://localhost:{server.port}"


def test_a_connection_over_tls_is_used_again(authority: trustme.CA, trusting: Transport) -> None:
    with Server(http(BODY), tls=identity(authority)) as server:
        assert get(trusting, secure_url(server)) == Answer(200, BODY)
        assert get(trusting, secure_url(server)) == Answer(200, BODY)
    assert server.connections == 1


def test_an_unknown_authority_is_refused_whatever_the_environment_says(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: Transport
) -> None:
    trust(Transport(), authority, tmp_path)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    with Server(http(BODY), tls=identity(authority)) as server:
        error = failure(transport, secure_url(server))
    assert error.reason == "TLS failed: unable to get local issuer certificate"
    assert not error.ambiguous
    assert (server.connections, server.requests) == (1, [])


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("api.weixin.qq.com", {}, "TLS failed: Hostname mismatch, certificate is not valid for 'localhost'."),
        ("localhost", {"not_after": datetime.now(UTC) - timedelta(1)}, "TLS failed: certificate has expired"),
        ("localhost", {"not_before": datetime.now(UTC) + timedelta(1)}, "TLS failed: certificate is not yet valid"),
    ],
)
def test_a_wrong_certificate_is_refused(
    authority: trustme.CA, trusting: Transport, name: str, options: dict[str, Any], reason: str
) -> None:
    with Server(http(BODY), tls=identity(authority, name, **options)) as server:
        error = failure(trusting, secure_url(server))
    assert (error.reason, error.ambiguous) == (reason, False)
    assert (server.connections, server.requests) == (1, [])


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_an_old_tls_is_refused(authority: trustme.CA, trusting: Transport) -> None:
    old = identity(authority)
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with Server(http(BODY), tls=old) as server:
        error = failure(trusting, secure_url(server))
    assert error.reason.startswith("TLS failed: ")
    assert server.requests == []


def test_a_server_without_tls_is_refused(trusting: Transport) -> None:
    with Server(http(BODY)) as server:
        error = failure(trusting, secure_url(server), DEADLINE)
    assert not error.ambiguous
    assert b"secret" not in b"".join(request.body for request in server.requests)


@contextmanager
def listener(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Take one connection and talk on it, whatever comes in."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            sock, _ = server.accept()
            with sock, suppress(OSError):
                talk(sock)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def drip_handshake(sock: socket.socket) -> None:
    sock.recv(9999)
    # A record of 16 KB that never gets whole.
    sock.sendall(b"\x16\x03\x03\x40\x00")
    for _ in range(99):
        sock.sendall(b"\x02")
        time.sleep(0.02)


def await_hang_up(sock: socket.socket) -> None:
    while sock.recv(9999):
        pass


@pytest.mark.parametrize("talk", [drip_handshake, await_hang_up])
def test_a_slow_handshake_meets_the_deadline_and_nothing_is_sent(
    transport: Transport, talk: Callable[[socket.socket], None]
) -> None:
    with listener(talk) as port:
        error = failure(transport, f"https://127.0.0.1:{port}", 3 * DEADLINE, connect_timeout=DEADLINE)
        # At once, and not only when the handshake times out.
        wait_for(lambda: not fetching(), timeout=0.3)
    assert not error.ambiguous


def test_a_slow_answer_on_a_used_connection_meets_the_deadline(transport: Transport) -> None:
    with Server(http(BODY), drip(http(b"a" * 9999))) as server:
        get(transport, server.url)
        assert failure(transport, server.url, DEADLINE).ambiguous
        wait_for(lambda: not fetching(), timeout=0.5)
    assert server.connections == 1


def test_a_slow_answer_over_tls_meets_the_deadline(authority: trustme.CA, trusting: Transport) -> None:
    with Server(drip(http(b"a" * 9999)), tls=identity(authority)) as server:
        error = failure(trusting, secure_url(server), DEADLINE)
        wait_for(lambda: not fetching(), timeout=0.5)
    assert (error.reason, error.ambiguous) == ("no answer within 0.2 s", True)


def tunnel_to(server: Server) -> Reply:
    """Connect the caller of CONNECT with `server`, whatever host he named."""

    def pipe(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(9999):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def connect(exchange: Exchange) -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as other:
            exchange.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pipe, args=(other, exchange.sock))
            back.start()
            pipe(exchange.sock, other)
            back.join()

    return connect


def test_its_own_proxy_sees_nothing_of_a_call_over_tls(authority: trustme.CA, tmp_path: Path) -> None:
    with Server(http(BODY), tls=identity(authority)) as server, Server(tunnel_to(server)) as proxy:
        transport = Transport(proxy.url.replace("//", "//user:pass@"))
        trust(transport, authority, tmp_path)
        assert get(transport, "https://localhost", params={"secret": "s"}).body == BODY
        assert get(transport, "https://localhost").body == BODY
        del transport
        gc.collect()
    (request,) = proxy.requests
    assert (request.method, request.target) == ("CONNECT", "localhost:443")
    assert request.headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNz"
    assert server.requests[0].query == [("secret", "s")]
    assert "Proxy-Authorization" not in server.requests[0].headers
    assert server.connections == 1


def test_a_proxy_that_refuses_the_tunnel_is_named_and_not_ambiguous() -> None:
    with Server(http(b"", 403)) as proxy:
        error = failure(Transport(proxy.url), "https://localhost")
    assert (error.reason, error.ambiguous) == ("the proxy: Tunnel connection failed: 403 Whatever", False)


def test_a_proxy_that_hangs_up_instead_of_making_a_tunnel_is_not_ambiguous() -> None:
    with Server(hang_up) as proxy:
        assert not failure(Transport(proxy.url), "https://localhost").ambiguous


@pytest.mark.parametrize("reply", [hang, drip(http(X="y" * 9999))])
def test_a_proxy_that_is_slow_to_make_a_tunnel_meets_the_deadline_and_is_not_ambiguous(reply: Reply) -> None:
    with Server(reply) as proxy:
        error = failure(Transport(proxy.url), "https://localhost", DEADLINE)
        wait_for(lambda: not fetching(), timeout=0.5)
    assert not error.ambiguous


# One connection for many calls


def test_a_connection_is_used_again(transport: Transport) -> None:
    with Server(http(BODY), chunked(BODY), http(b"", 404), http(BODY, 302, Location="/x"), http(BODY)) as server:
        for _ in range(5):
            get(transport, server.url)
    assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_fails_no_call(transport: Transport) -> None:
    with Server(then_hang_up(http(BODY)), http(BODY)) as server:
        get(transport, server.url)
        wait_for(lambda: not server._open)
        assert get(transport, server.url).body == BODY
    assert server.connections == 2


def test_a_connection_that_rested_for_long_is_not_used_again(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_IDLE", 0.1)
    with Server(http(BODY)) as server:
        get(transport, server.url)
        get(transport, server.url)
        assert server.connections == 1
        time.sleep(0.15)
        get(transport, server.url)
    assert server.connections == 2


@pytest.mark.parametrize("reply", [hang_up, reset])
def test_a_used_connection_that_breaks_under_a_request_is_ambiguous(transport: Transport, reply: Reply) -> None:
    with Server(http(BODY), reply, http(BODY)) as server:
        get(transport, server.url)
        assert failure(transport, server.url).ambiguous
        assert get(transport, server.url).body == BODY
    assert [request.method for request in server.requests] == ["GET"] * 3


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(http(b"a" * 100_000), id="too long"),
        pytest.param(hang, id="silence"),
        pytest.param(http(Content_Length="3, 4"), id="two lengths"),
    ],
)
def test_a_connection_is_not_used_again_after_a_failure(transport: Transport, reply: Reply) -> None:
    with Server(reply, http(BODY)) as server:
        failure(transport, server.url, DEADLINE)
        assert get(transport, server.url).body == BODY
    assert server.connections == 2


def echo_number(exchange: Exchange) -> None:
    exchange.wait(0.05)
    exchange.send(http(dict(exchange.request.query)["number"].encode()))


def test_fifty_threads_get_fifty_right_answers(transport: Transport, caplog: pytest.LogCaptureFixture) -> None:
    def ask(number: int) -> bytes:
        return get(transport, server.url, params={"number": str(number)}).body

    with Server(echo_number) as server, ThreadPoolExecutor(50) as pool:
        for numbers in (range(50), range(50, 100)):
            assert list(pool.map(ask, numbers)) == [str(number).encode() for number in numbers]
    assert server.connections <= 50
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_call_that_gives_up_leaves_alone_what_is_another_calls_by_then(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = iter([2 * DEADLINE])
    close = requests.Response.close

    def dawdle(response: requests.Response) -> None:
        """Take long after the connection went back to its pool."""
        time.sleep(next(pauses, 0))
        close(response)

    monkeypatch.setattr(requests.Response, "close", dawdle)
    with Server(http(BODY), after(2 * DEADLINE, http(BODY))) as server, ThreadPoolExecutor(1) as pool:
        first = pool.submit(failure, transport, server.url, DEADLINE)
        wait_for(lambda: server.requests)
        time.sleep(DEADLINE / 2)
        assert get(transport, server.url).body == BODY
        assert first.result().ambiguous
    assert server.connections == 1


def in_a_child(work: Callable[[], object]) -> None:
    """Do it in a forked child, and see that it returns something true."""
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            status = 0 if work() else 1
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_child_process_does_not_use_its_parents_connection(transport: Transport) -> None:
    def ask(number: int) -> bool:
        return get(transport, server.url, params={"number": str(number)}) == Answer(200, str(number).encode())

    with Server(echo_number) as server:
        assert ask(1)
        in_a_child(lambda: ask(2))
        assert ask(3)
    assert server.connections == 2


# What it says


def test_what_urllib3_logs_shows_no_secret_and_no_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    broken_header = then_hang_up(b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n")
    with Server(http(), broken_header) as server:
        for _ in range(2):
            get(Transport(), server.url, params={"secret": "s3cret/+", "access_token": "97_t0ken", "appid": "wx1"})
    assert "appid=wx1" in caplog.text
    assert "s3cret" not in caplog.text
    assert "97_t0ken" not in caplog.text


def urllib3_loggers() -> Iterator[str]:
    """Name those loggers of urllib3 that a call can meet: not its HTTP/2, which has to be asked for."""
    root = Path(urllib3.__file__).parent
    for path in (*root.glob("[!_]*.py"), *root.glob("util/[!_]*.py")):
        if "getLogger(__name__)" in path.read_text(encoding="utf-8"):
            yield ".".join(("urllib3", *path.relative_to(root).with_suffix("").parts))


@pytest.mark.parametrize("name", sorted(urllib3_loggers()))
def test_each_logger_of_urllib3_hides_secrets(name: str, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger(name).error("Retrying %s?a=b&secret=%s", "/cgi-bin/token", "s3cret")
    assert caplog.messages == ["Retrying /cgi-bin/token?a=b&secret=***"]
