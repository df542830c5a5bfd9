"""Every kind of credential through the whole stack: kept, published, read, signed with, reported, watched."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from support.processes import RedisServer, Stack, wait_for
from support.readers import BusyWorker

from tokenworker import TokenReader, TokenUnavailable
from tokenworker.accounts.account import Account
from tokenworker.credential import CredentialId
from tokenworker.demo import DEMO_AGENT, DEMO_AGENT_SECRET, DEMO_APPID, DEMO_CORPID, DEMO_SECRET
from tokenworker.durations import Durations
from tokenworker.sandbox import Rules, Sandbox
from tokenworker.secret import Secret
from tokenworker.store.store import Store

APPLICATION = f"{DEMO_CORPID}/{DEMO_AGENT}"
URL = "https://shop.example.com/pay?id=1&name=%E5%95%86%E5%93%81#top"

ACCOUNTS = f"""
[[account]]
appid = "{DEMO_APPID}"
secret = "{DEMO_SECRET}"
keep = ["jsapi_ticket", "wx_card_ticket", "sdk_ticket"]
publish = ["YG-WECHAT-TOKEN", "jsapi_ticket=YG-TICKET", "wxjava"]

[[account]]
type = "wecom"
corpid = "{DEMO_CORPID}"
agent = {DEMO_AGENT}
secret = "{DEMO_AGENT_SECRET}"
name = "crm"
keep = ["access_token", "jsapi_ticket", "agent_ticket"]
publish = ["wxjava-cp"]
"""

ALL = [
    *(CredentialId(DEMO_APPID, name) for name in ("access_token", "jsapi_ticket", "wx_card_ticket", "sdk_ticket")),
    *(CredentialId(APPLICATION, name) for name in ("access_token", "agent_ticket", "jsapi_ticket")),
]


@pytest.fixture
def running(make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox, tmp_path: Path) -> Stack:
    """A worker and beat that keep all that the sandbox issues."""
    file = tmp_path / "accounts.toml"
    file.write_text(ACCOUNTS, encoding="utf-8")
    settings = {"TOKENWORKER_ACCOUNTS": str(file), "WECOM_API_URL": sandbox.url}
    stack = make_stack(server, sandbox, WECHAT_APPID="", WECHAT_SECRET="", **settings)
    stack.worker()
    stack.beat()
    with server.client() as client:
        store = Store(client)
        wait_for(lambda: all(store.records.look(id_).credential for id_ in ALL))
    return stack


def called(stack: Stack, *command: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "tokenworker.cli", *command],
        cwd=stack.folder, env=stack.environ, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_every_credential_is_kept_published_read_and_signed_with(
    running: Stack, server: RedisServer, sandbox: Sandbox
) -> None:
    app = Celery(broker=server.url, backend=server.url)

    def task(called: str, **arguments: object) -> dict[str, str]:
        found = app.send_task(f"tokenworker.{called}", kwargs=arguments, queue="tokenworker").get(timeout=10)
        assert isinstance(found, dict)
        return found

    with server.client() as client, TokenReader(server.url) as reader:
        values = {id_: client.get(f"tokenworker:{{{id_.account}}}:{id_.name}").decode() for id_ in ALL}
        for id_, value in values.items():
            verdict = sandbox.verdict(value)
            assert verdict.works, id_
            assert verdict.name == id_.name
            assert reader.get_credential(*_pair(id_)).value == value
            assert task("get_credential", account=id_.account, name=id_.name)["value"] == value
        assert reader.get_ticket(APPLICATION, "agent").ticket == values[ALL[5]]
        assert task("get_token", appid="crm")["access_token"] == values[ALL[4]]
        assert client.get("YG-WECHAT-TOKEN") == values[ALL[0]].encode()
        assert client.get("YG-TICKET") == client.get(f"wx:ticket:key:{DEMO_APPID}:jsapi") == values[ALL[1]].encode()
        assert client.get(f"wechat_cp_agent_jsapi_ticket_key:{DEMO_CORPID}:{DEMO_AGENT}") == values[ALL[5]].encode()
        signed = [
            reader.sign_url(DEMO_APPID, URL),
            task("sign_url", url=URL, appid=DEMO_APPID),
            json.loads(called(running, "sign", URL, DEMO_APPID)),
            reader.sign_url(APPLICATION, URL),
            reader.sign_url(APPLICATION, URL, ticket="agent"),
        ]

    assert called(running, "get", "crm", "--name", "agent_ticket") == values[ALL[5]]
    for each in signed:
        assert accepts(sandbox, each), each
    told = [json.loads(line) for line in called(running, "status", "--json").splitlines()]
    assert [(row["account"], row["credential"], row["state"]) for row in told] == [
        (id_.account, id_.name, "live") for id_ in sorted(ALL)
    ]
    shown = running.logs() + json.dumps(told)
    assert not [value for value in values.values() if value in shown]
    assert DEMO_AGENT_SECRET not in shown


def _pair(id_: CredentialId) -> tuple[str, str]:
    return id_.account, id_.name


def accepts(sandbox: Sandbox, signed: dict[str, object]) -> bool:
    """Return whether a page with these values is let in."""
    answer = sandbox.page_check(
        URL.partition("#")[0], str(signed["nonceStr"]), int(str(signed["timestamp"])), str(signed["signature"]),
        str(signed["appId"]),
    )  # fmt: skip
    return answer == {"errMsg": "config:ok"}


def test_a_wecom_token_that_was_voided_is_reported_probed_and_replaced_with_its_tickets_left_alone(
    running: Stack, server: RedisServer, sandbox: Sandbox
) -> None:
    with TokenReader(server.url) as reader:
        token, ticket = reader.get_token(APPLICATION), reader.get_ticket(APPLICATION, "agent")
        sandbox.revoke(APPLICATION, "access_token")
        reader.reject(APPLICATION, token.value)
        fresh = reader.get_token(APPLICATION)

        assert sandbox.verdict(fresh.value).works
        assert reader.get_ticket(APPLICATION, "agent").ticket == ticket.ticket
    assert sandbox.counts(APPLICATION, "access_token").minted == 2
    assert "is dead and withheld" in running.logs()


@pytest.mark.usefixtures("running")
def test_a_ticket_that_is_reported_too_soon_after_its_fetch_is_handed_out_again_at_once(
    server: RedisServer, sandbox: Sandbox
) -> None:
    """WeChat has handed it out just now, and that is all that can be told."""
    with TokenReader(server.url) as reader:
        ticket = reader.get_ticket(DEMO_APPID)
        fetches = sandbox.counts(DEMO_APPID, "jsapi_ticket").fetches
        for _ in range(3):
            reader.reject(DEMO_APPID, ticket.value, "jsapi_ticket")
            began = time.monotonic()
            assert reader.get_ticket(DEMO_APPID).value == ticket.value
            assert time.monotonic() - began < 2
        time.sleep(0.5)
    assert sandbox.counts(DEMO_APPID, "jsapi_ticket").fetches <= fetches + 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'type = "mini_program"\nappid = "wx0123456789abcdef"\nsecret = "s"\nkeep = ["jsapi_ticket"]',
            "an account of the type mini_program has no jsapi_ticket: use access_token",
        ),
        (
            'type = "wecom"\ncorpid = "ww0123456789abcdef"\nagent = 1\nsecret = "s"\nkeep = ["wx_card_ticket"]',
            "an account of the type wecom has no wx_card_ticket: use access_token, jsapi_ticket, agent_ticket",
        ),
        ('type = "wecom"\nappid = "ww0123456789abcdef"\nsecret = "s"', "corpid is missing"),
        (f'appid = "wx1"\nsecret = "s"\nname = "{DEMO_SECRET}"', "name looks like an AppSecret"),
    ],
)
def test_a_credential_that_an_account_can_not_have_stops_the_start(
    text: str, sentence: str, stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(f"[[account]]\n{text}\n", encoding="utf-8")
    process = stack.run(
        "celery", "--app=tokenworker", "worker", TOKENWORKER_ACCOUNTS=str(file), WECHAT_APPID="", WECHAT_SECRET=""
    )

    assert process.wait(20) != 0
    assert sentence in stack.logs()


# One ticket over many lives


LIFE = 3.0
ACCOUNT = Account(DEMO_APPID, Secret(DEMO_SECRET), endpoint="token", keep=("access_token", "jsapi_ticket"))
DURATIONS = replace(Durations().scaled(LIFE / 7200), fetch_timeout=1.0, reader_copy=0.0, reader_margin=0.0)


@pytest.fixture
def quick() -> Iterator[Sandbox]:
    """WeChat 2,400 times as fast."""
    with Sandbox(Rules().scaled(LIFE / 7200)) as sandbox:
        yield sandbox


def test_over_many_lives_every_ticket_that_is_read_is_accepted_and_each_was_fetched_once(
    server: RedisServer, store: Store, quick: Sandbox
) -> None:
    lives, refused, without, reads = 5, 0, 0, 0
    trouble: dict[int, Callable[[], Any]] = {
        1: lambda: quick.revoke(DEMO_APPID, "access_token"),
        2: lambda: quick.fault("reset", path="getticket"),
        3: lambda: quick.fault("errcode", path="getticket", errcode=-1),
    }
    with BusyWorker(store, quick, ACCOUNT, DURATIONS):
        wait_for(lambda: store.records.look(CredentialId(DEMO_APPID, "jsapi_ticket")).credential)
        began = time.monotonic()
        with TokenReader(server.url, durations=DURATIONS) as reader:
            while (age := time.monotonic() - began) < lives * LIFE:
                if act := trouble.pop(int(age / LIFE), None):
                    act()
                reads += 1
                try:
                    refused += not accepts(quick, reader.sign_url(DEMO_APPID, URL))
                except TokenUnavailable:
                    without += 1
                time.sleep(0.01)
    counts = quick.counts(DEMO_APPID, "jsapi_ticket")

    assert (refused, without) == (0, 0), f"of {reads}"
    assert counts.minted <= lives + 1
    # One more for each answer that was spoilt, for the refused token, and for the first value, whose age nobody knew;
    # and one for a tick in the very millisecond in which it ends: two hours last 3 s here.
    assert counts.fetches <= counts.minted + counts.errors + counts.faults + 2
