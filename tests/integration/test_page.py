"""The page for people, served over a real Redis: who sees what, and how fast."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from support import lived
from support.processes import RedisServer
from support.web import Web, clients_file

from tokenworker.errors import OperatorError
from tokenworker.refresh.causes import Demand
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Sandbox
from tokenworker.settings.config import Config
from tokenworker.worker.runtime import Runtime

#: Seconds that a page of 300 accounts may cost.
MOST = 0.3


@pytest.fixture
def web(server: RedisServer, client: redis.Redis) -> Iterator[Web]:
    """A firm's credentials, three of them in trouble."""
    lived.write(client, lived.firm(), {"worker-7f9c:1": 0.8, "worker-b2d1:1": 1.4})
    with Web(server.url) as web:
        yield web


def page(web: Web, path: str = "/", **headers: str) -> str:
    """Return the page as text, of which the elements are taken out."""
    answer = web.ask(path, **headers)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    bare = re.sub("<(style|script)>.*?</\\1>", "", answer.body.decode(), flags=re.DOTALL)
    return " ".join(re.sub("<[^>]*>", " ", bare).split())


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()}


def test_the_worst_come_first_with_what_to_do(web: Web) -> None:
    text = page(web)

    assert "2 credentials need you" in text
    assert re.search("7 all .*1 missing .*1 contested .*1 in trouble .*4 live", text)
    names = ("Members' club", "Mini shop", "Field service", "Warehouse", "Flagship store")
    places = [text.index(name.replace("'", "&#x27;")) for name in names]
    assert places == sorted(places)
    assert "Add 120.208.99.249 to the IP whitelist" in text
    assert "tokenworker refresh wx7c1f0a52be90d344" in text
    assert "no answer from qyapi.weixin.qq.com within 8 s" in text


def test_it_says_who_refreshes_and_who_reads(web: Web) -> None:
    web.held.store.usage.add({("shop-php", "reads"): 1204, ("shop-php", "refusals"): 2})

    text = page(web)

    assert re.search("last tick [0-9]+ s ago", text)
    assert re.search("worker-7f9c:1 seen [0-9]+ s ago|worker-7f9c:1 seen just now", text)
    assert "shop-php 1,204 0 0 2" in text


def test_it_speaks_chinese(web: Web) -> None:
    text = page(web, Accept_Language="zh-CN,zh;q=0.9,en;q=0.8")

    assert "2 个凭据需要处理" in text
    assert "在微信公众平台把 120.208.99.249 加入这个账号的 IP 白名单" in text
    assert "2 credentials need you" in page(web, "/?lang=en", Accept_Language="zh-CN")


def test_nobody_sees_a_credential(web: Web) -> None:
    values = [it.value for it in lived.firm()]

    for path in ("/", "/?q=wx", "/?lang=zh-CN", "/?state=live"):
        html = web.ask(path).body.decode()
        assert [value for value in values if value in html] == []


@pytest.mark.parametrize(
    ("query", "there", "gone"),
    [
        ("q=MEMBERS", "Members", "Warehouse"),
        ("q=ww5e80c2", "Warehouse", "Members"),
        ("q=1000005", "Warehouse", "Field"),
        ("state=live", "Press office", "Mini shop"),
        ("state=trouble", "Field service", "Press office"),
        ("state=missing&q=warehouse", "None is like that", "Press office"),
        ("q=%FF%00&page=%F0", "None is like that", "Press office"),
    ],
)
def test_it_finds_accounts_by_name_id_and_state(web: Web, query: str, there: str, gone: str) -> None:
    text = page(web, f"/?{query}")

    assert there in text
    assert gone not in text


def test_of_many_it_shows_fifty_at_once(server: RedisServer, client: redis.Redis) -> None:
    lived.write(client, lived.many(120), {"w:1": 0.5})

    with Web(server.url) as web:
        pages = [page(web, f"/?page={number}") for number in (1, 2, 3, 99)]

    assert [re.findall("[0-9]+ to [0-9]+ of 120", text) for text in pages] == [
        ["1 to 50 of 120"],
        ["51 to 100 of 120"],
        ["101 to 120 of 120"],
        ["101 to 120 of 120"],
    ]
    assert "4 credentials need you" in pages[2]


def test_a_page_of_300_accounts_costs_little(server: RedisServer, client: redis.Redis) -> None:
    lived.write(client, lived.many(300), {"w:1": 0.5})
    with Web(server.url) as web:
        page(web)
        began = time.process_time()
        html = web.ask("/").body
        spent = time.process_time() - began

    # Of this process, which both asks and answers: others keep the clock on the wall busy.
    assert spent < MOST
    assert len(html) < 400_000


def test_while_nothing_is_kept_it_says_what_to_do(server: RedisServer) -> None:
    with Web(server.url) as web:
        assert "No credential is kept yet" in page(web)


def test_it_tells_what_workers_did(server: RedisServer, sandbox: Sandbox, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(f'[[account]]\nappid = "{DEMO_APPID}"\nsecret = "{DEMO_SECRET}"\n', encoding="utf-8")
    held = Runtime.from_config(Config(redis_url=server.url, api_urls=(sandbox.url,), accounts_file=accounts))
    target = held.target(DEMO_APPID)
    held.store.notes.pulse("worker-7f9c:1")
    held.store.notes.set_ticked()
    held.keeper.refresh(target)
    sandbox.fault("errcode", errcode=40164, times=1)
    with pytest.raises(OperatorError):
        held.keeper.refresh(target, Demand(force=True))

    with Web(server.url) as web:
        text = page(web)

    assert "All credentials work; 1 needs a look" in text
    assert "1 fetch failed, " in text
    assert "Add 127.0.0.1 to the IP whitelist" in text
    assert re.search("Failed: WeChat answered 40164 .* WeChat took", text)
    assert "Refreshed: there was none" in text
    assert "2 of 500,000 calls of this day, 1 of them forced" in text


def test_what_somebody_else_wrote_into_a_history_does_no_harm(web: Web, client: redis.Redis) -> None:
    key = lived.KEYS.history(lived.refused().id)
    client.lpush(
        key, '{"at": NaN, "event": "refreshed"}', '{"at": 1e300, "event": []}', "{", '{"at": true, "event": 1}'
    )
    strange = f'{{"at": {time.time():.0f}, "event": {{}}, "took": NaN}}'
    client.lpush(lived.KEYS.history(lived.contested().id), strange)

    assert "2 credentials need you" in page(web)


# Who may


def test_a_password_lets_people_in(server: RedisServer) -> None:
    with Web(server.url, TOKENWORKER_WEB_PASSWORD="correct horse") as web:
        refused = web.ask("/", Accept_Language="zh")

        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"] == 'Basic realm="tokenworker", charset="UTF-8"'
        assert "此页面需要密码" in refused.body.decode()
        assert web.ask("/", **basic("correct horse")).status == 200
        assert web.ask("/", key="correct horse").status == 200
        for wrong in ("", "correct horse ", "é"):
            assert web.ask("/", **basic(wrong)).status == 401
        assert web.ask("/", Authorization="Basic %%%").status == 401


def test_who_tries_passwords_has_to_wait(server: RedisServer) -> None:
    with Web(server.url, TOKENWORKER_WEB_PASSWORD="correct horse") as web:
        began = time.monotonic()
        assert web.ask("/", **basic("battery staple")).status == 401
        assert time.monotonic() - began >= 0.5


def test_a_key_for_the_status_shows_its_own_accounts(server: RedisServer, client: redis.Redis, tmp_path: Path) -> None:
    lived.write(client, lived.firm(), {"w:1": 0.5})
    mine = 'scopes = ["status"]\naccounts = ["ww5e80c2d9a14f7b36/*", "Press *"]'
    keys = clients_file(tmp_path, mine=mine, other='scopes = ["read"]')

    with Web(server.url, TOKENWORKER_WEB_CLIENTS=str(tmp_path / "clients.toml")) as web:
        text = page(web, **basic(keys["mine"]))

        assert "3 credentials of 3 accounts" in text
        assert "Press office" in text
        assert "Members" not in text
        assert web.ask("/", key=keys["mine"]).status == 200
        assert web.ask("/").status == 401
        assert web.ask("/", key=keys["other"]).status == 403
        assert web.ask("/", **basic(keys["other"])).status == 401


def test_a_password_is_no_clients_key(server: RedisServer, tmp_path: Path) -> None:
    clients_file(tmp_path, some="")
    settings = {"TOKENWORKER_WEB_CLIENTS": str(tmp_path / "clients.toml"), "TOKENWORKER_WEB_PASSWORD": "correct horse"}

    with Web(server.url, **settings) as web:
        assert web.ask("/", **basic("correct horse")).status == 200
        assert web.ask("/v1/status", key="correct horse").status == 403


def test_without_redis_the_page_says_so_and_comes_back(own_server: RedisServer) -> None:
    with Web(own_server.url) as web:
        own_server.kill()
        answer = web.ask("/")
        own_server.start()

        assert answer.status == 503
        assert "Redis does not answer" in answer.body.decode()
        assert "No credential is kept yet" in page(web)
