"""Real SDKs get tokens and tickets from `tokenworker web`, with a client's key, and only workers ask WeChat."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from conversation import SDKS as INSTALLED, SILENCEPER, Conversation, wxjava, wxjava_class
from support.processes import RedisServer, Stack, wait_for
from support.web import Web, clients_file

from tokenworker.sandbox import DEMO_AGENT, DEMO_AGENT_SECRET, DEMO_APPID, DEMO_CORPID, DEMO_SECRET, Rules, Sandbox

pytestmark = pytest.mark.conformance

WECOM = f"{DEMO_CORPID}/{DEMO_AGENT}"
ACCOUNTS = f"""
[[account]]
appid = "{DEMO_APPID}"
secret = "{DEMO_SECRET}"
keep = ["access_token", "jsapi_ticket", "wx_card_ticket"]

[[account]]
type = "wecom"
corpid = "{DEMO_CORPID}"
agent = {DEMO_AGENT}
secret = "{DEMO_AGENT_SECRET}"
keep = ["access_token", "jsapi_ticket", "agent_ticket"]
"""
KEEPS = {
    DEMO_APPID: ("access_token", "jsapi_ticket", "wx_card_ticket"),
    WECOM: ("access_token", "jsapi_ticket", "agent_ticket"),
}
PAGE = "https://example.com/page?a=1"


@dataclass(frozen=True)
class Sdk:
    """How an application on an SDK is run, what must be there for that, and what it asks for of whom."""

    command: tuple[str, ...]
    needs: Path
    of: str = DEMO_APPID
    more: tuple[str, ...] = ()
    tickets: tuple[str, ...] = ()


def _wxjava(part: str, program: str, **more: Any) -> Sdk:
    return Sdk(wxjava(part, program), wxjava_class(part, program), **more)


def _silenceper(*more: str, **also: Any) -> Sdk:
    return Sdk((str(SILENCEPER), "web"), SILENCEPER, more=more, **also)


def _wechatpy(version: str, of: str, *tickets: str) -> Sdk:
    python = INSTALLED / f"wechatpy-{version}" / "bin" / "python"
    return Sdk((str(python), "wechatpy_over_http.py"), python, of=of, tickets=tickets)


def _node(name: str, *tickets: str) -> Sdk:
    return Sdk(("node", f"{name}-over-http.js"), INSTALLED / "node" / "node_modules" / name, tickets=tickets)


SDKS = {
    "wechatpy 1.8.18": _wechatpy("1.8.18", DEMO_APPID, "jsapi_ticket", "wx_card_ticket"),
    "wechatpy 2.0.0a26": _wechatpy("2.0.0a26", DEMO_APPID, "jsapi_ticket", "wx_card_ticket"),
    "wechatpy 1.8.18 for WeCom": _wechatpy("1.8.18", WECOM, "jsapi_ticket"),
    "wechatpy 2.0.0a26 for WeCom": _wechatpy("2.0.0a26", WECOM, "jsapi_ticket", "agent_ticket"),
    "co-wechat-api 3.11.0": _node("co-wechat-api", "jsapi_ticket", "wx_card_ticket"),
    "node-easywechat 3.6.2": _node("node-easywechat"),
    "WxJava 4.7.0": _wxjava("wechat", "OfficialAccountOverHttp", tickets=("jsapi_ticket", "wx_card_ticket")),
    "WxJava 4.7.0 for mini programs": _wxjava("wechat", "MiniProgramOverHttp", more=("token",)),
    "WxJava 4.7.0 for mini programs, stable": _wxjava("wechat", "MiniProgramOverHttp", more=("stable",)),
    "WxJava 4.6.0 for WeCom": _wxjava(
        "wecom", "WeComApplicationOverHttp", of=WECOM, tickets=("jsapi_ticket", "agent_ticket")
    ),
    "silenceper 2.1.10": _silenceper("token", tickets=("jsapi_ticket",)),
    "silenceper 2.1.10, stable": _silenceper("stable", tickets=("jsapi_ticket",)),
    "silenceper 2.1.10 with a handle": _silenceper("handle", tickets=("jsapi_ticket",)),
    "silenceper 2.1.10 for WeCom": _silenceper("token", of=WECOM, tickets=("jsapi_ticket", "agent_ticket")),
}
#: Those that report a token that WeChat refused by themselves, as the page has them do, and take the next.
REPORTING = [name for name in SDKS if name.startswith(("WxJava", "wechatpy"))]
#: Those whose application reports it.
REPORTED = ["silenceper 2.1.10 with a handle", "co-wechat-api 3.11.0", "node-easywechat 3.6.2"]


@pytest.fixture
def life() -> float:
    """For how many seconds what WeChat issues lives."""
    return 7200


@pytest.fixture
def sandbox(life: float) -> Iterator[Sandbox]:
    with Sandbox(Rules(life=life)) as sandbox:
        yield sandbox


@pytest.fixture
def kept(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox, client: redis.Redis, tmp_path: Path
) -> None:
    """Have all that the accounts keep in Redis, and workers that go on."""
    (tmp_path / "accounts.toml").write_text(ACCOUNTS, encoding="utf-8")
    stack = make_stack(
        server,
        sandbox,
        WECHAT_APPID="",
        WECHAT_SECRET="",
        WECOM_API_URL=sandbox.url,
        TOKENWORKER_ACCOUNTS=str(tmp_path / "accounts.toml"),
        TOKENWORKER_TIME_SCALE="1",
    )
    stack.worker()
    stack.beat()
    wait_for(lambda: all(value(client, account, name) for account in KEEPS for name in KEEPS[account]), timeout=30)


@pytest.fixture
def start(server: RedisServer, kept: None, sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[[str], Conversation]]:
    """Return a function that starts an application on an SDK, with a key and without an AppSecret."""
    del kept
    key = clients_file(tmp_path, shop='scopes = ["read", "report"]')["shop"]
    with ExitStack() as exits:
        web = exits.enter_context(Web(server.url, TOKENWORKER_WEB_CLIENTS=str(tmp_path / "clients.toml")))

        def start(name: str) -> Conversation:
            sdk = SDKS[name]
            return exits.enter_context(Conversation(*sdk.command, web.url, sandbox.url, sdk.of, key, *sdk.more))

        yield start


@pytest.fixture(autouse=True)
def _installed(name: str) -> None:
    sdk = SDKS[name]
    if not shutil.which(sdk.command[0]) or not sdk.needs.exists():
        pytest.skip(f"{name} is not here: run tests/conformance/install, with npm, go and mvn on the PATH")


def value(client: redis.Redis, account: str, name: str = "access_token") -> str:
    """Return what is in Redis, or nothing."""
    found = client.get(f"tokenworker:{{{account}}}:{name}")
    return found.decode() if isinstance(found, bytes) else ""


def fetches(sandbox: Sandbox) -> dict[tuple[str, str], int]:
    """Return how often WeChat was asked for each credential, by anybody."""
    return {(account, name): sandbox.counts(account, name).fetches for account in KEEPS for name in KEEPS[account]}


@pytest.mark.parametrize("name", SDKS)
def test_it_works_with_what_web_hands_out_and_fetches_nothing(
    name: str, start: Callable[[str], Conversation], sandbox: Sandbox, client: redis.Redis
) -> None:
    sdk, before = SDKS[name], fetches(sandbox)
    app = start(name)

    assert [app.ask() for _ in range(3)] == ["0"] * 3
    assert json.loads(app.ask("access_token")) == value(client, sdk.of)
    for ticket in sdk.tickets:
        assert json.loads(app.ask(ticket)) == value(client, sdk.of, ticket)
    assert fetches(sandbox) == before


@pytest.mark.parametrize("name", [name for name, sdk in SDKS.items() if sdk.tickets])
def test_wechat_takes_what_it_signs_for_a_page(
    name: str, start: Callable[[str], Conversation], sandbox: Sandbox
) -> None:
    before = fetches(sandbox)
    config = json.loads(start(name).ask(f"config {PAGE}"))
    nonce = config.get("nonceStr") or config["nonce_str"]
    whose = SDKS[name].of.partition("/")[0]

    said = sandbox.page_check(PAGE, nonce, config["timestamp"], config["signature"], whose)
    assert said == {"errMsg": "config:ok"}
    assert fetches(sandbox) == before


@pytest.mark.parametrize("life", [1000])
@pytest.mark.parametrize("name", [name for name in SDKS if "silenceper" in name])
def test_it_works_with_less_left_than_it_takes_off(
    name: str, start: Callable[[str], Conversation], sandbox: Sandbox
) -> None:
    before = fetches(sandbox)
    app = start(name)

    assert [app.ask() for _ in range(3)] == ["0"] * 3
    assert fetches(sandbox) == before


@pytest.mark.parametrize("name", REPORTING)
def test_one_that_wechat_refuses_is_reported_and_replaced_by_one_fetch(
    name: str, start: Callable[[str], Conversation], sandbox: Sandbox, client: redis.Redis
) -> None:
    sdk, app = SDKS[name], start(name)
    assert app.ask() == "0"
    dead, before = value(client, sdk.of), fetches(sandbox)
    sandbox.revoke(sdk.of)

    assert [app.ask() for _ in range(3)] == ["0"] * 3
    assert value(client, sdk.of) != dead
    assert fetches(sandbox) == before | {(sdk.of, "access_token"): before[sdk.of, "access_token"] + 1}


@pytest.mark.parametrize("name", REPORTED)
def test_an_application_reports_one_that_wechat_refuses_and_has_the_next(
    name: str, start: Callable[[str], Conversation], sandbox: Sandbox
) -> None:
    app = start(name)
    assert app.ask() == "0"
    before = fetches(sandbox)
    sandbox.revoke(DEMO_APPID)

    assert app.ask() == "40001"
    assert app.ask("report") == "0"
    assert app.ask() == "0"
    token = DEMO_APPID, "access_token"
    assert fetches(sandbox) == before | {token: before[token] + 1}
