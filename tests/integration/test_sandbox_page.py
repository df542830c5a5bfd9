"""Signatures of pages and cards, checked by the WeChat look-alike as clients of WeChat do."""

from collections.abc import Iterator
from hashlib import sha1
from typing import Any

import pytest
import requests

from tokenworker.sandbox import (
    DEMO_AGENT,
    DEMO_AGENT_SECRET,
    DEMO_APPID,
    DEMO_CORPID,
    DEMO_SECRET,
    Sandbox,
)
from tokenworker.sandbox.signatures import card_signature, page_signature

OK = {"errMsg": "config:ok"}
INVALID = {"errMsg": "config:invalid signature"}
URL = "http://shop.example/a?b=c&d=%E4%B8%AD"
APPLICATION = f"{DEMO_CORPID}/{DEMO_AGENT}"

# Printed in the appendices of WeChat's JS-SDK page.
TICKET = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
CARD_VALUES = ["1404896688", "pjZ8Yt1XGILfi-FUsewpnnolGgZk", "1434008071", "123"]


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def fetch(http: requests.Session, sandbox: Sandbox, path: str, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = http.get(f"{sandbox.url}/cgi-bin/{path}", params=query, timeout=2).json()
    return answer


def ticket(http: requests.Session, sandbox: Sandbox, kind: str = "jsapi") -> str:
    claim = {"grant_type": "client_credential", "appid": DEMO_APPID, "secret": DEMO_SECRET}
    token = fetch(http, sandbox, "token", **claim)["access_token"]
    return str(fetch(http, sandbox, "ticket/getticket", access_token=token, type=kind)["ticket"])


def signed(ticket: str, url: str = URL, **changes: Any) -> dict[str, Any]:
    """Sign a page as its server should, by the documentation and not by the sandbox's own code."""
    text = f"jsapi_ticket={ticket}&noncestr=Wm3WZYTPz0wzccnW&timestamp=1414587457&url={url}"
    signature = sha1(text.encode()).hexdigest()  # noqa: S324  WeChat's choice
    page = {"url": url, "nonceStr": "Wm3WZYTPz0wzccnW", "timestamp": 1414587457, "signature": signature}
    return page | changes


def check(http: requests.Session, sandbox: Sandbox, page: dict[str, Any]) -> Any:
    return http.post(f"{sandbox.url}/sandbox/page", json=page, timeout=2).json()


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        ("http://mp.weixin.qq.com?params=value", "0f9de62fce790f9a083d5c99e95740ceb90c27ed"),
        ("http://mp.weixin.qq.com", "f4d90daf4b3bca3078ab155816175ba34c443a7b"),
        ("http://mp.weixin.qq.com?params=value#part", "0f9de62fce790f9a083d5c99e95740ceb90c27ed"),
        ("http://mp.weixin.qq.com/?params=value", "f50191877b62b116ef830363a3a613ed652a2d5d"),
    ],
)
def test_pages_are_signed_as_wechat_s_examples_are(url: str, signature: str) -> None:
    assert page_signature(TICKET, "Wm3WZYTPz0wzccnW", "1414587457", url) == signature


def test_cards_are_signed_as_wechat_s_example_is() -> None:
    values = ["ojZ8YtyVyr30HheH3CM73y7h4jJE", *CARD_VALUES]
    assert card_signature(values) == "f137ab68b7f8112d20ee528ab6074564e2796250"


def test_a_page_signed_with_the_ticket_is_ok(http: requests.Session, sandbox: Sandbox) -> None:
    page = signed(ticket(http, sandbox))
    assert check(http, sandbox, page) == OK
    assert check(http, sandbox, page | {"timestamp": "1414587457"}) == OK
    assert check(http, sandbox, page | {"url": URL + "#/cart"}) == OK
    assert sandbox.page_check(URL, "Wm3WZYTPz0wzccnW", 1414587457, page["signature"]) == OK


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://shop.example/a?b=c&d=中"},
        {"url": URL + "&"},
        {"nonceStr": "wm3WZYTPz0wzccnW"},
        {"timestamp": 1414587458},
        {"signature": ""},
        {"appId": "wx00000000000000ff"},
    ],
)
def test_whatever_differs_makes_a_signature_invalid(
    http: requests.Session, sandbox: Sandbox, changes: dict[str, Any]
) -> None:
    assert check(http, sandbox, signed(ticket(http, sandbox)) | changes) == INVALID


def test_a_page_stays_ok_until_its_ticket_is_not_accepted_any_more(
    http: requests.Session, sandbox: Sandbox, clock: Clock
) -> None:
    old = signed(ticket(http, sandbox))
    clock.now += 7200
    new = signed(ticket(http, sandbox))
    assert [check(http, sandbox, page) for page in (old, new)] == [OK, OK]
    clock.now += 7200
    assert [check(http, sandbox, page) for page in (old, new)] == [INVALID, OK]
    sandbox.revoke(DEMO_APPID, "jsapi_ticket")
    assert check(http, sandbox, new) == INVALID


@pytest.mark.parametrize("kind", ["wx_card", "2"])
def test_other_tickets_sign_no_pages(http: requests.Session, sandbox: Sandbox, kind: str) -> None:
    assert check(http, sandbox, signed(ticket(http, sandbox, kind))) == INVALID


def test_pages_of_wecom_are_checked_by_their_corp_or_their_agent(http: requests.Session, sandbox: Sandbox) -> None:
    secret = {"corpid": DEMO_CORPID, "corpsecret": DEMO_AGENT_SECRET}
    token = fetch(http, sandbox, "gettoken", **secret)["access_token"]
    corp = fetch(http, sandbox, "get_jsapi_ticket", access_token=token)["ticket"]
    agent = fetch(http, sandbox, "ticket/get", access_token=token, type="agent_config")["ticket"]
    for appid, answers in {DEMO_CORPID: [OK, OK], APPLICATION: [INVALID, OK], DEMO_APPID: [INVALID] * 2}.items():
        assert [check(http, sandbox, signed(each, appId=appid)) for each in (corp, agent)] == answers


def test_a_card_signed_with_the_card_ticket_is_ok(http: requests.Session, sandbox: Sandbox) -> None:
    values = sorted([ticket(http, sandbox, "wx_card"), *CARD_VALUES])
    signature = sha1("".join(values).encode()).hexdigest()  # noqa: S324  WeChat's choice
    card = {"values": CARD_VALUES, "signature": signature}
    url = f"{sandbox.url}/sandbox/card"
    assert http.post(url, json=card, timeout=2).json() == {"errMsg": "addCard:ok"}
    card["values"] = CARD_VALUES[1:]
    assert http.post(url, json=card, timeout=2).json() == {"errMsg": "addCard:invalid signature"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("page", {}),
        ("page", {"url": URL}),
        ("page", signed("", nonceStr=1)),
        ("page", signed("") | {"url": "\ud800"}),
        ("card", {"values": [1], "signature": ""}),
    ],
)
def test_a_check_without_what_it_needs_is_a_400_with_a_sentence(
    http: requests.Session, sandbox: Sandbox, path: str, body: dict[str, Any]
) -> None:
    answer = http.post(f"{sandbox.url}/sandbox/{path}", json=body, timeout=2)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")
