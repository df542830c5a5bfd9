"""Real SDKs take tickets and WeCom's credentials from our copies, sign as we do, and ask WeChat for nothing."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
from conversation import SDKS, SILENCEPER, Conversation, wxjava, wxjava_class
from support.processes import RedisServer

from tokenworker.publish.formats import Original, copies
from tokenworker.signing import sign_card, sign_url

pytestmark = pytest.mark.conformance

ACCOUNTS = {"wechat": "wx0123456789abcdef", "wecom": "ww0123456789abcdef/1000002"}
SECRET = "0123456789abcdef0123456789abcdef"

#: WeChat's own examples.
JSAPI_TICKET = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
VALUES = {
    "access_token": "97_" + "x" * 509,
    "jsapi_ticket": JSAPI_TICKET,
    "wx_card_ticket": "ojZ8YtyVyr30HheH3CM73y7h4jJE",
    "agent_ticket": "y" * 512,
}
URL = "http://mp.weixin.qq.com?params=value"


@dataclass(frozen=True)
class Sdk:
    """How an application on an SDK is run, what must be there for that, and what it keeps of whom."""

    format: str
    command: tuple[str, ...]
    needs: Path
    wechat: tuple[str, ...]
    wecom: tuple[str, ...] = ()


def _wechatpy(version: str) -> Sdk:
    python = SDKS / f"wechatpy-{version}" / "bin" / "python"
    wechat = ("access_token", "jsapi_ticket", "wx_card_ticket")
    wecom = ("access_token", "jsapi_ticket", "agent_ticket")
    return Sdk("wechatpy", (str(python), "wechatpy_copies.py"), python, wechat, wecom)


def _node(name: str, wechat: tuple[str, ...], wecom: tuple[str, ...] = ()) -> Sdk:
    return Sdk(name, ("node", f"{name}-copies.js"), SDKS / "node" / "node_modules" / name, wechat, wecom)


def _silenceper(name: str, wechat: tuple[str, ...], wecom: tuple[str, ...] = ()) -> Sdk:
    return Sdk(name, (str(SILENCEPER), "copies"), SILENCEPER, wechat, wecom)


def _wxjava(client: str) -> dict[str, Sdk]:
    """Return what WxJava is on one of the clients of Redis that it takes."""
    wechat = ("access_token", "jsapi_ticket", "wx_card_ticket")
    wecom = ("access_token", "jsapi_ticket", "agent_ticket")
    return {
        f"WxJava 4.7.0 on {client}": _java("wxjava", "wechat", "OfficialAccount", client, wechat),
        f"WxJava 4.7.0 for mini programs on {client}": _java(
            "wxjava-miniapp", "wechat", "MiniProgram", client, ("access_token",)
        ),
        f"WxJava 4.6.0 for WeCom on {client}": _java("wxjava-cp", "wecom", "WeComApplication", client, (), wecom),
    }


def _java(name: str, part: str, program: str, client: str, *kept: tuple[str, ...]) -> Sdk:
    return Sdk(name, wxjava(part, program, client), wxjava_class(part, program), *kept)


#: Spring's `StringRedisTemplate` is called template.
WXJAVA_CLIENTS = ("jedis", "template", "redisson")

INSTALLABLE = {
    "wechatpy 1.8.18": _wechatpy("1.8.18"),
    "wechatpy 2.0.0a26": _wechatpy("2.0.0a26"),
    "co-wechat-api 3.11.0": _node("co-wechat-api", ("access_token", "jsapi_ticket", "wx_card_ticket")),
    "node-easywechat 3.6.2": _node(
        "node-easywechat", ("access_token", "jsapi_ticket"), ("access_token", "jsapi_ticket", "agent_ticket")
    ),
    "silenceper 2.1.10": _silenceper("silenceper", ("access_token", "jsapi_ticket")),
    "silenceper 2.1.10 for WeCom": _silenceper("silenceper-work", (), ("access_token", "jsapi_ticket", "agent_ticket")),
    **{name: sdk for client in WXJAVA_CLIENTS for name, sdk in _wxjava(client).items()},
}
WECHATPY = [name for name in INSTALLABLE if name.startswith("wechatpy")]
#: Those that make all that a page needs at once, and of whom.
CONFIGURING = [
    ("co-wechat-api 3.11.0", "wechat"),
    ("node-easywechat 3.6.2", "wechat"),
    ("silenceper 2.1.10", "wechat"),
    ("silenceper 2.1.10 for WeCom", "wecom"),
    ("WxJava 4.7.0 on template", "wechat"),
    ("WxJava 4.6.0 for WeCom on template", "wecom"),
]
KEPT = [
    pytest.param(name, of, credential, id=f"{name}-{of}-{credential}")
    for name, sdk in INSTALLABLE.items()
    for of in ACCOUNTS
    for credential in getattr(sdk, of)
]

Start = Callable[[str, str], Conversation]


class Upstream(ThreadingHTTPServer):
    """A WeChat that gives nothing and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Refusal)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Refusal(BaseHTTPRequestHandler):
    server: Upstream

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = b'{"errcode":40013,"errmsg":"invalid appid"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        thread = threading.Thread(target=upstream.serve_forever)
        thread.start()
        yield upstream
        upstream.shutdown()
        thread.join()


@pytest.fixture
def start(server: RedisServer, upstream: Upstream) -> Iterator[Start]:
    """Return a function that starts an application on an SDK."""
    with ExitStack() as exits:

        def start(name: str, of: str) -> Conversation:
            sdk = INSTALLABLE[name]
            if not shutil.which(sdk.command[0]) or not sdk.needs.exists():
                pytest.skip(f"{name} is not here: run tests/conformance/install, with npm, go and mvn on the PATH")
            return exits.enter_context(Conversation(*sdk.command, server.url, upstream.url, ACCOUNTS[of], SECRET))

        yield start


def publish(client: redis.Redis, name: str, of: str, life: float = 7200) -> None:
    """Put the copies of everything that an account may have where the SDK looks for them."""
    for credential, value in VALUES.items():
        original = Original(of, ACCOUNTS[of], credential, SECRET, value, time.time() + life, 7200)
        for copy in copies(INSTALLABLE[name].format, original):
            client.set(copy.key, copy.value, ex=7200)


def answer(app: Conversation, *question: str) -> Any:
    return json.loads(app.ask(" ".join(question)))


@pytest.mark.parametrize(("name", "of", "credential"), KEPT)
def test_it_takes_what_it_keeps_from_our_copy(
    name: str, of: str, credential: str, client: redis.Redis, start: Start, upstream: Upstream
) -> None:
    publish(client, name, of)

    assert answer(start(name, of), credential) == VALUES[credential]
    assert upstream.asked == []


@pytest.mark.parametrize(("name", "of", "credential"), KEPT)
def test_without_our_copy_it_asks_so_that_what_is_counted_here_counts(
    name: str, of: str, credential: str, start: Start, upstream: Upstream
) -> None:
    assert answer(start(name, of), credential) not in VALUES.values()
    assert upstream.asked


@pytest.mark.parametrize("credential", ["jsapi_ticket", "wx_card_ticket"])
@pytest.mark.parametrize("name", [*WECHATPY, "co-wechat-api 3.11.0"])
def test_it_reads_from_our_copy_when_a_ticket_has_ended(
    name: str, credential: str, client: redis.Redis, start: Start, upstream: Upstream
) -> None:
    publish(client, name, "wechat", life=-2)

    assert answer(start(name, "wechat"), credential) != VALUES[credential]
    assert upstream.asked


@pytest.mark.parametrize("of", ACCOUNTS)
@pytest.mark.parametrize("name", WECHATPY)
def test_wechatpy_signs_an_address_as_we_do(
    name: str, of: str, client: redis.Redis, start: Start, upstream: Upstream
) -> None:
    publish(client, name, of)
    signed = sign_url(JSAPI_TICKET, URL)

    question = ("signature", str(signed["nonceStr"]), str(signed["timestamp"]), URL)
    assert answer(start(name, of), *question) == signed["signature"]
    assert upstream.asked == []


def test_wechatpy_signs_a_card_as_we_do(client: redis.Redis, start: Start, upstream: Upstream) -> None:
    publish(client, "wechatpy 2.0.0a26", "wechat")
    signed = sign_card(VALUES["wx_card_ticket"], "pjZ8Yt1XGILfi-FUsewpnnolGgZk", code="1434008071")

    question = ("pjZ8Yt1XGILfi-FUsewpnnolGgZk", "1434008071", str(signed["nonce_str"]), str(signed["timestamp"]))
    app = start("wechatpy 2.0.0a26", "wechat")
    assert answer(app, "card_signature", *question) == signed["signature"]
    assert upstream.asked == []


@pytest.mark.parametrize(("name", "of"), CONFIGURING)
def test_an_sdk_that_makes_all_that_a_page_needs_signs_as_we_do(
    name: str, of: str, client: redis.Redis, start: Start, upstream: Upstream
) -> None:
    publish(client, name, of)
    config = answer(start(name, of), "config", URL)
    nonce = config.get("nonceStr") or config["nonce_str"]
    signed = sign_url(JSAPI_TICKET, URL, nonce=nonce, timestamp=int(config["timestamp"]))

    assert config["signature"] == signed["signature"]
    assert upstream.asked == []
