"""What all faces of `tokenworker web` have in common: keys, clients, bounds, and what it says when it can't."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.credentials import put
from support.ports import is_open
from support.processes import RedisServer, Stack, free_port, wait_for
from support.web import Web, ask, clients_file, with_clients

from tokenworker.cli.commands import main
from tokenworker.credential import CredentialId
from tokenworker.store.store import Store
from tokenworker.web import intake, limits
from tokenworker.web.clients.client import new_key
from tokenworker.web.connections import listen

TOKEN = "/v1/credentials/wx1/access_token"


@pytest.fixture(autouse=True)
def kept(store: Store) -> Store:
    put(store, "the-token")
    store.notes.rename({"wx1": "shop"})
    return store


def test_it_says_that_it_lives(server: RedisServer) -> None:
    with Web(server.url) as web:
        answer = web.ask("/healthz")

    assert answer.status == 200


def test_a_path_that_nobody_knows_is_a_problem_with_a_sentence(server: RedisServer) -> None:
    with Web(server.url) as web:
        answer = web.ask("/v2/tokens", method="DELETE")

    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["detail"] == "there is nothing at this path: /v1/openapi.json lists all paths"


def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(server: RedisServer) -> None:
    with Web(server.url) as web:
        answer, head = web.ask(TOKEN, method="DELETE"), web.ask(f"{TOKEN}/reject", method="HEAD")

    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert (head.status, head.headers["Allow"]) == (405, "POST")


#: One of each that takes GET.
READ = (
    *("/", "/metrics", "/healthz", "/readyz", "/v1/openapi.json", "/v1/status", TOKEN),
    "/v1/credentials/wx2/access_token",
    "/v1/jssdk-signature?account=wx1&url=https://shop.example.com/",
    "/cgi-bin/token?grant_type=client_credential&appid=wx1&secret=any",
    "/cgi-bin/gettoken?corpid=ww1&corpsecret=any",
    *("/cgi-bin/ticket/getticket?type=jsapi&access_token=the-token", "/cgi-bin/get_jsapi_ticket?access_token=x"),
    "/cgi-bin/ticket/get?type=agent_config&access_token=x",
)


@pytest.mark.parametrize("path", READ)
def test_head_is_answered_as_get_without_the_body_and_is_no_read(server: RedisServer, kept: Store, path: str) -> None:
    put(kept, "the-ticket", name="jsapi_ticket")
    with Web(server.url) as web:
        head, get = web.ask(path, method="HEAD"), web.ask(path)
        told, asked = ({name: answer.headers[name] for name in ("Content-Type", "ETag")} for answer in (head, get))

    assert (head.status, head.body, told) == (get.status, b"", asked)
    assert int(head.headers["Content-Length"]) > 0
    counts = kept.usage.counts().get("(anybody)", {"reads": 0, "signatures": 0})
    assert counts["reads"] + counts["signatures"] <= 1


def test_who_has_it_already_learns_so_by_head(server: RedisServer) -> None:
    with Web(server.url) as web:
        tag = web.ask(TOKEN, method="HEAD").headers["ETag"]
        assert web.ask(TOKEN, method="HEAD", If_None_Match=tag).status == 304


# As proxies ask


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"http://127.0.0.1:8790{TOKEN}", 200),
        (f"HTTPS://someone@localhost{TOKEN}?x=http://evil.example/", 200),
        ("http://127.0.0.1", 200),
        ("http://127.0.0.1?lang=en", 200),
        ("http://127.0.0.1/v2", 404),
        (f"http://evil.example{TOKEN}", 403),
        (f"http:{TOKEN}", 404),
        (f"ftp://127.0.0.1{TOKEN}", 404),
        (f"http://a b{TOKEN}", 400),
    ],
)
def test_a_whole_url_may_be_asked_for(server: RedisServer, target: str, status: int) -> None:
    with Web(server.url) as web:
        assert exchange(web, f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(f"HTTP/1.1 {status} ")


def exchange(web: Web, request: str) -> str:
    """Send a request as it is, and return the beginning of the answer; nothing where it hangs up."""
    with socket.create_connection(("127.0.0.1", web.port), 5) as raw:
        raw.sendall(request.encode())
        try:
            return raw.recv(10_000).decode()
        except ConnectionResetError:
            return ""


# Keys


def test_who_has_no_key_is_told_how_to_send_one(server: RedisServer, tmp_path: Path) -> None:
    web, _ = with_clients(server, tmp_path, php="")
    with web:
        answer = web.ask(TOKEN)

    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json["detail"] == "this needs a client's key: send the header Authorization: Bearer KEY"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8790"},
        {"Host": "10.0.0.1"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_without_keys_no_page_of_another_site_asks_through_a_browser(
    server: RedisServer, tmp_path: Path, headers: dict[str, str]
) -> None:
    with Web(server.url) as web:
        answer = web.ask("/v1/status", **headers)
        assert (answer.status, "TOKENWORKER_WEB_CLIENTS" in answer.json["detail"]) == (403, True)
    # Who has a key says so himself, which no browser does for a page.
    web, keys = with_clients(server, tmp_path, watch='scopes = ["status"]')
    with web:
        assert web.ask("/v1/status", keys["watch"], **headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost"},
        {"Host": "[::1]:8790"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://shop.example.com"},
    ],
    ids=str,
)
def test_without_keys_this_machine_asks_and_so_do_pages_that_are_allowed(
    server: RedisServer, headers: dict[str, str]
) -> None:
    with Web(server.url, TOKENWORKER_WEB_ORIGINS="https://shop.example.com") as web:
        assert web.ask("/v1/status", **headers).status == 200


def test_an_unknown_key_and_a_forbidden_account_get_the_same_answer(server: RedisServer, tmp_path: Path) -> None:
    web, keys = with_clients(
        server, tmp_path, php='accounts = ["wx2"]', js='scopes = ["sign"]', go="", c='accounts = ["shop"]'
    )
    with web:
        refused = [web.ask(TOKEN, key=key) for key in (new_key(), "x", keys["php"], keys["js"])]
        allowed = [web.ask(TOKEN, key=key) for key in (keys["go"], keys["c"])]

    assert {answer.status for answer in refused} == {403}
    assert len({answer.body for answer in refused}) == 1
    assert [answer.json["value"] for answer in allowed] == ["the-token"] * 2


def test_a_changed_clients_file_is_in_force_within_two_seconds(server: RedisServer, tmp_path: Path) -> None:
    web, keys = with_clients(server, tmp_path, php="")
    with web:
        assert web.ask(TOKEN, key=keys["php"]).status == 200
        new = clients_file(tmp_path, php="")["php"]
        wait_for(lambda: web.ask(TOKEN, key=new).status == 200, timeout=2)
        assert web.ask(TOKEN, key=keys["php"]).status == 403


def test_a_broken_clients_file_is_in_the_status(server: RedisServer, tmp_path: Path) -> None:
    web, keys = with_clients(server, tmp_path, ops='scopes = ["status"]')
    with web:
        assert web.ask("/v1/status", key=keys["ops"]).json["clients_error"] is None
        (tmp_path / "clients.toml").write_text("[[client]]", encoding="utf-8")
        wait_for(lambda: web.ask("/v1/status", key=keys["ops"]).json["clients_error"], timeout=2)


def test_what_clients_do_is_counted_each(server: RedisServer, kept: Store, tmp_path: Path) -> None:
    web, keys = with_clients(server, tmp_path, php="", js='scopes = ["sign"]')
    with web:
        for _ in range(3):
            web.ask(TOKEN, key=keys["php"])
        web.ask(f"{TOKEN}/reject", key=keys["php"], body={"fingerprint": "0" * 16})
        web.ask(TOKEN, key=keys["js"])
        web.ask(TOKEN, key=new_key())
        wait_for(lambda: len(kept.usage.counts()) == 3, timeout=3)

    assert kept.usage.counts() == {
        "php": {"reads": 3, "reports": 1, "signatures": 0, "refusals": 0},
        "js": {"reads": 0, "reports": 0, "signatures": 0, "refusals": 1},
        "(unknown)": {"reads": 0, "reports": 0, "signatures": 0, "refusals": 1},
    }


def test_what_is_counted_while_redis_is_away_is_written_when_it_is_back(own_server: RedisServer) -> None:
    with own_server.client() as client:
        put(client, "the-token")
    with Web(own_server.url) as web:
        web.ask(TOKEN)
        own_server.kill()
        assert web.ask(TOKEN).json["value"] == "the-token"
        time.sleep(1.2)
        own_server.start()
        with own_server.client() as client:
            wait_for(lambda: Store(client).usage.counts().get("(anybody)", {}).get("reads") == 2, timeout=4)


def test_no_key_and_no_query_is_logged(server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    web, keys = with_clients(server, tmp_path, php="", js='scopes = ["sign"]')
    stranger = new_key()
    with caplog.at_level(logging.DEBUG), web:
        for key in (stranger, keys["php"], keys["js"]):
            web.ask(TOKEN, key=key)
            web.ask(f"/cgi-bin/token?grant_type=client_credential&appid=wx1&secret={key}")
            web.ask(f"/v1/credentials/{key}/access_token", key=key)
            web.ask(f"/nowhere/{key}?secret={key}", key=key)
            with socket.create_connection(("127.0.0.1", web.port)) as raw:
                raw.sendall(f"GET / HTTP/1.1\r\nAuthorization: {key}\x01\r\n\r\n".encode())
                raw.recv(100)

    assert "client js was refused" in caplog.text
    for secret in (stranger, *keys.values(), "the-token"):
        assert secret not in caplog.text


# Bounds


@pytest.mark.parametrize(
    ("request_", "beginning"),
    [
        (f"POST {TOKEN}/reject HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", "HTTP/1.1 400 "),
        (f"GET {TOKEN} HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 17_000}\r\n\r\n", "HTTP/1.1 431 "),
        (f"GET {TOKEN}?{'x' * 17_000} HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 431 "),
        (f"HEAD {TOKEN} HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 17_000}\r\n\r\n", "HTTP/1.1 431 "),
        (f"POST {TOKEN}/reject HTTP/1.1\r\nX: {'x' * 17_000}\r\nContent-Length: 9\r\n\r\n123456789", "HTTP/1.1 431 "),
        (f"GET {TOKEN} HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 70_000}\r\n\r\n", ""),
    ],
    ids=["body", "head", "URL", "HEAD", "head and body", "far too large"],
)
def test_what_is_too_large_is_not_taken(
    server: RedisServer, request_: str, beginning: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Web(server.url) as web:
        answer = exchange(web, request_)
        assert web.ask(TOKEN).status == 200

    assert answer.startswith(beginning)
    assert bool(answer) is bool(beginning)
    assert "Traceback" not in caplog.text
    if " 431 " in beginning and request_[0] != "H":
        assert json.loads(answer.split("\r\n\r\n")[1])["detail"].startswith("the head is larger than 16384 bytes")
    if beginning:
        assert answer.count("HTTP/1.1") == 1


def test_a_body_that_is_slow_is_told_so(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(intake, "BODY_TIME", 0.3)
    with Web(server.url) as web, socket.create_connection(("127.0.0.1", web.port), 5) as raw:
        raw.sendall(f"POST {TOKEN}/reject HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{{".encode())
        answer = raw.recv(10_000).decode()
        assert raw.recv(10_000) == b""
        time.sleep(0.1)
        assert web.ask(f"{TOKEN}/reject", body={"fingerprint": "0" * 16}).status == 202

    head, body = answer.split("\r\n\r\n")
    assert head.startswith("HTTP/1.1 408 Request Timeout\r\n")
    assert json.loads(body)["detail"] == "the body did not come within 0.3 s: send it at once"
    assert web.held.load.underway == 0
    assert "Traceback" not in caplog.text


def test_a_client_that_reports_too_much_is_told_when_to_go_on(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_BURST", 3.0)
    monkeypatch.setattr(limits, "_RATE", 0.01)
    with Web(server.url) as web:
        answers = [web.ask(f"{TOKEN}/reject", body={"fingerprint": "0" * 16}) for _ in range(4)]
        read = web.ask(TOKEN)

    assert [answer.status for answer in answers] == [202, 202, 202, 429]
    assert 90 <= int(answers[3].headers["Retry-After"]) <= 100
    assert read.status == 200


def test_too_many_requests_at_once_are_refused_but_not_the_question_whether_it_lives(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_MOST", 0)
    with Web(server.url) as web:
        assert web.ask(TOKEN).status == 503
        assert web.ask("/healthz").status == 200


# The process


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "shop.example.com"])  # noqa: S104  what is refused
def test_it_does_not_start_where_others_could_take_all(address: str) -> None:
    result = CliRunner().invoke(main, ["web", "--address", address], prog_name="tokenworker")

    assert result.exit_code == 1
    assert "where others could take all credentials: set TOKENWORKER_WEB_CLIENTS to a file" in result.stderr


def test_it_does_not_start_with_a_broken_clients_file(tmp_path: Path) -> None:
    file = tmp_path / "clients.toml"
    file.write_text("[[client]]\nname = 'shop'\n", encoding="utf-8")
    result = CliRunner().invoke(main, ["web"], env={"TOKENWORKER_WEB_CLIENTS": str(file)})

    assert result.exit_code == 1
    assert "client 1 (shop): key_sha256 must be 64 hex digits" in result.stderr


@pytest.mark.parametrize("address", ["é..x", "lo\udcff", "no such host"])
def test_an_address_that_is_none_is_an_error_of_the_systems(address: str) -> None:
    with pytest.raises(OSError, match=r"\w"):
        listen(address, 0)


def test_it_says_when_its_port_is_taken(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        web = stack.run("tokenworker.cli", "web", f"--port={taken.getsockname()[1]}")
        assert web.wait(30) == 1

    assert "tokenworker web can't listen on 127.0.0.1:" in stack.logs()
    assert "Traceback" not in stack.logs()


def test_new_key_prints_a_key_and_the_lines_that_let_it_in(server: RedisServer, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["web", "new-key", "shop-php"])
    key, lines = result.stdout.split("\n", 1)
    (tmp_path / "clients.toml").write_text(lines, encoding="utf-8")
    with Web(server.url, TOKENWORKER_WEB_CLIENTS=str(tmp_path / "clients.toml")) as web:
        assert web.ask(TOKEN, key=key).status == 200


@pytest.mark.parametrize("name", ['a"b', "a b", "-"])
def test_new_key_makes_none_for_a_name_that_the_file_would_not_take(name: str) -> None:
    result = CliRunner().invoke(main, ["web", "new-key", "--", name])

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "NAME must be letters, digits, '_', '.' and '-'" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_stop_it_answers_those_who_asked_and_ends(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: object, kept: Store, number: signal.Signals
) -> None:
    stack, port = make_stack(server, sandbox), free_port()
    # One that nobody brings: whoever asks for it waits.
    kept.schedule.set(CredentialId("wx9"), time.time() + 100)
    # Whoever runs the tests with nohup has it ignored, and so would web.
    before = signal.signal(number, signal.SIG_DFL)
    web = stack.run("tokenworker.cli", "web", f"--port={port}")
    signal.signal(number, before)
    wait_for(lambda: is_open(port))
    assert ask(f"http://127.0.0.1:{port}{TOKEN}").status == 200
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as waiting:
        waiting.sendall(b"GET /v1/credentials/wx9/access_token HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.05)
        os.kill(web.pid, number)
        answer = waiting.recv(1000)
    assert answer.startswith(b"HTTP/1.1 503 "), answer
    assert web.wait(5) == 0
    print(f"answered and ended after {time.monotonic() - began:.2f} s")
    assert "Traceback" not in stack.logs()


def test_who_hangs_up_while_he_waits_counts_no_more(server: RedisServer, kept: Store) -> None:
    kept.schedule.set(CredentialId("wx9"), time.time() + 100)
    with Web(server.url, TOKENWORKER_TIME_SCALE="0.1") as web:
        with socket.create_connection(("127.0.0.1", web.port)) as waiting:
            waiting.sendall(b"GET /v1/credentials/wx9/access_token HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_for(lambda: web.held.load.waiting)
        wait_for(lambda: not web.held.load.underway)
        assert not web.held.load.waiting
