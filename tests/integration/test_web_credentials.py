"""Credentials over HTTP, in plain JSON and in the shapes of WeChat and WeCom."""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest
import redis
from support.credentials import put
from support.processes import RedisServer
from support.web import Answer, Web, with_clients

from tokenworker.credential import fingerprint
from tokenworker.signing import sign_url
from tokenworker.store.store import Store
from tokenworker.web.clients.client import new_key

TOKEN = "/v1/credentials/wx1/access_token"
CLAIM = {"grant_type": "client_credential", "appid": "wx1"}
#: Seconds after which there is a new look at what is kept, for whoever asks for what is unknown.
LOOKED = 1.1
RID = re.compile(r" rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$")


@pytest.fixture(autouse=True)
def kept(store: Store) -> Store:
    put(store, "the-token")
    put(store, "the-ticket", name="jsapi_ticket")
    put(store, "of-agent-2", account="ww1/2")
    put(store, "ticket-of-agent-2", account="ww1/2", name="agent_ticket")
    put(store, "corp-ticket", account="ww1/2", name="jsapi_ticket")
    put(store, "of-agent-3", account="ww1/3")
    store.notes.rename({"wx1": "shop"})
    return store


@pytest.fixture
def web(server: RedisServer) -> Web:
    return Web(server.url)


def looks(client: redis.Redis) -> int:
    """Return how often all that is kept was looked at."""
    return int(client.info("commandstats").get("cmdstat_zscan", {}).get("calls", 0))


# Plain


def test_a_credential_comes_with_its_fingerprint_and_its_remaining_life(web: Web) -> None:
    with web:
        answer = web.ask(TOKEN)

    found = answer.json
    assert 95 <= found.pop("expires_in") < 100
    assert abs(found.pop("expires_at") - time.time() - 100) < 5
    assert found == {
        "account": "wx1",
        "name": "access_token",
        "value": "the-token",
        "fingerprint": fingerprint("the-token"),
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["ETag"] == f'"{fingerprint("the-token")}"'


@pytest.mark.parametrize(("sure", "told"), [(4000, 4000), (100, 300), (-10, 300), (8000, 5000), (0, 5000)])
def test_a_token_that_the_next_fetch_ends_may_be_kept_for_less_than_it_lives(
    web: Web, kept: Store, sure: int, told: int
) -> None:
    put(kept, "classic", life=5000, sure_until=kept.now() + sure if sure else 0.0)
    with web:
        plain = web.ask(TOKEN).json
        shaped = web.ask("/cgi-bin/token?" + urlencode(CLAIM | {"secret": "any"})).json

    assert told - 5 <= plain["expires_in"] <= told
    assert abs(plain["expires_at"] - time.time() - told) < 5
    assert told - 5 <= shaped["expires_in"] <= told


def test_who_has_it_already_is_told_no_more_than_that(web: Web, kept: Store) -> None:
    with web:
        tag = web.ask(TOKEN).headers["ETag"]
        same = web.ask(TOKEN, If_None_Match=tag)
        put(kept, "the-next")
        time.sleep(1.1)
        changed = web.ask(TOKEN, If_None_Match=tag)

    assert (same.status, same.body) == (304, b"")
    assert changed.json["value"] == "the-next"


@pytest.mark.parametrize("path", ["ww1/2", "ww1%2F2"])
def test_an_application_of_wecom_is_named_by_corp_and_agent(web: Web, path: str) -> None:
    with web:
        assert web.ask(f"/v1/credentials/{path}/agent_ticket").json["value"] == "ticket-of-agent-2"


def test_an_account_is_named_by_its_name_too(web: Web) -> None:
    with web:
        assert web.ask("/v1/credentials/shop/jsapi_ticket").json["account"] == "wx1"


#: Each way to name an account, of which `KEY` is the client's key.
NAMED = (
    "/v1/credentials/mini3/access_token",
    "/v1/jssdk-signature?account=mini3&url=https://shop.example.com/",
    "/v1/status?account=mini3",
    "/cgi-bin/token?grant_type=client_credential&appid=mini3&secret=KEY",
    "/cgi-bin/gettoken?corpid=mini3&corpsecret=KEY",
)


@pytest.mark.parametrize("accounts", ["mini3", "wx*"])
@pytest.mark.parametrize("path", NAMED)
def test_a_new_account_is_found_by_its_name_at_once(
    server: RedisServer, kept: Store, tmp_path: Path, path: str, accounts: str
) -> None:
    web, keys = with_clients(server, tmp_path, php=f'accounts = ["{accounts}"]\nscopes = ["read", "sign", "status"]')
    with web:
        time.sleep(LOOKED)
        put(kept, "of-mini3", account="wx3")
        put(kept, "ticket-of-mini3", account="wx3", name="jsapi_ticket")
        kept.notes.rename({"wx3": "mini3"})
        answer = web.ask(path.replace("KEY", keys["php"]), key=keys["php"])

    assert answer.status == 200
    assert answer.json.get("errcode", 0) == 0
    assert answer.json.get("counts", {"live": 2})["live"] == 2


def test_a_report_reaches_an_account_by_a_name_that_it_has_just_got(web: Web, kept: Store) -> None:
    with web:
        time.sleep(LOOKED)
        kept.notes.rename({"wx1": "mini3"})
        answer = web.ask("/v1/credentials/mini3/access_token/reject", body={"value": "the-token"})

    assert (answer.status, answer.json["account"]) == (202, "wx1")


def test_who_may_see_a_name_alone_sees_the_account_that_has_just_got_it(
    server: RedisServer, kept: Store, tmp_path: Path
) -> None:
    web, keys = with_clients(server, tmp_path, php='accounts = ["mini3"]')
    with web:
        assert web.ask(TOKEN, key=keys["php"]).status == 403
        kept.notes.rename({"wx1": "mini3"})
        time.sleep(LOOKED)
        assert web.ask(TOKEN, key=keys["php"]).json["value"] == "the-token"


@pytest.mark.parametrize("who", ["unknown", "php", "js"])
def test_a_refusal_looks_once_more_whatever_is_wrong_with_the_key(
    server: RedisServer, client: redis.Redis, tmp_path: Path, who: str
) -> None:
    web, keys = with_clients(server, tmp_path, php='accounts = ["wx2"]', js='scopes = ["sign"]')
    key = (keys | {"unknown": new_key()})[who]
    with web:
        for account in ("wx1", "shop", "nobody"):
            time.sleep(LOOKED)
            before = looks(client)
            assert {web.ask(f"/v1/credentials/{account}/access_token", key=key).status for _ in "123"} == {403}
            assert looks(client) - before == 1


def test_what_is_not_kept_is_said_at_once(web: Web) -> None:
    with web:
        began = time.monotonic()
        account, name = web.ask("/v1/credentials/wx2/access_token"), web.ask("/v1/credentials/wx1/sdk_ticket")
        took = time.monotonic() - began

    assert (account.status, name.status) == (404, 404)
    assert account.json["detail"].startswith("'wx2' is no account that is kept here: ")
    assert name.json["detail"] == (
        "wx1 keeps access_token, jsapi_ticket, and no sdk_ticket: add it to `keep` of this account"
    )
    assert took < 1


def test_a_missing_credential_is_a_problem_with_a_reason_and_a_time(server: RedisServer, client: redis.Redis) -> None:
    client.delete("tokenworker:{wx1}:access_token")
    now = time.time()
    client.hset(
        "tokenworker:{wx1}:access_token:state",
        mapping={
            "error": "WeChat says 40164",
            "errcode": 40164,
            "hint": "add the IP",
            "failed_at": now,
            "retry_at": now + 90,
        },
    )
    with Web(server.url, TOKENWORKER_TIME_SCALE="0.01") as web:
        answer = web.ask(TOKEN)

    assert answer.status == 503
    problem = answer.json
    assert 80 < problem.pop("retry_after") <= 90
    assert 80 < int(answer.headers["Retry-After"]) <= 90
    assert problem.pop("detail").startswith("no access_token for wx1: WeChat says 40164 (add the IP); next attempt in ")
    assert problem == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "reason": "WeChat says 40164",
        "errcode": 40164,
        "hint": "add the IP",
    }


@pytest.mark.parametrize("body", [{"value": "the-token"}, {"fingerprint": fingerprint("the-token")}])
def test_a_report_is_taken_by_value_or_by_fingerprint(web: Web, body: dict[str, str], client: redis.Redis) -> None:
    with web:
        answer = web.ask(f"{TOKEN}/reject", body=body)

    assert (answer.status, answer.json["rejected"]) == (202, fingerprint("the-token"))
    assert client.hget("tokenworker:{wx1}:access_token:state", "rejected") == fingerprint("the-token").encode()


@pytest.mark.parametrize(
    "body", [b"", b"value=x", b"[]", b"\xff", b'{"value": 1}', b'{"fingerprint": "xyz"}', b"[" * 9999]
)
def test_a_report_that_cannot_be_read_is_refused(web: Web, body: bytes) -> None:
    with web:
        answer = web.ask(f"{TOKEN}/reject", body=body)

    assert answer.status == 400


def test_a_report_needs_its_scope(server: RedisServer, tmp_path: Path) -> None:
    web, keys = with_clients(server, tmp_path, php='scopes = ["read"]')
    with web:
        assert web.ask(f"{TOKEN}/reject", key=keys["php"], body={"value": "the-token"}).status == 403


# Signatures


def test_a_page_is_signed_as_wechat_checks_it(web: Web) -> None:
    url = "https://shop.example.com/pay?id=1&name=%E5%95%86"
    with web:
        answer = web.ask(f"/v1/jssdk-signature?account=shop&url={url.replace('%', '%25').replace('&', '%26')}")

    signed = answer.json
    again = sign_url("the-ticket", url, nonce=signed["nonceStr"], timestamp=signed["timestamp"])
    assert signed == {"appId": "wx1", **again}


def test_a_signature_needs_the_ticket_but_not_the_right_to_read_it(server: RedisServer, tmp_path: Path) -> None:
    web, keys = with_clients(server, tmp_path, page='scopes = ["sign"]', token='credentials = ["access_token"]')
    path = "/v1/jssdk-signature?account=wx1&url=https://shop.example.com/"
    with web:
        assert web.ask(path, key=keys["page"]).status == 200
        assert web.ask("/v1/credentials/wx1/jsapi_ticket", key=keys["page"]).status == 403
        assert web.ask(path, key=keys["token"]).status == 403


@pytest.mark.parametrize(
    "query", ["", "account=wx1", "url=https://x/", "account=wx1&url=ftp://x/", "account=wx1&url=%FF"]
)
def test_what_cannot_be_signed_is_a_bad_request(web: Web, query: str) -> None:
    with web:
        assert web.ask(f"/v1/jssdk-signature?{query}").status == 400


def test_pages_of_the_configured_origins_alone_may_ask(server: RedisServer) -> None:
    path, ours = "/v1/jssdk-signature?account=wx1&url=https://shop.example.com/", "https://shop.example.com"
    with Web(server.url, TOKENWORKER_WEB_ORIGINS=ours) as web:
        answer, other = web.ask(path, Origin=ours), web.ask(path, Origin="https://evil.example.com")
        preflight = web.ask(path, method="OPTIONS", Origin=ours, Access_Control_Request_Method="GET")
        elsewhere = web.ask(TOKEN, Origin=ours)
    with Web(server.url) as web:
        off = web.ask(path, Origin=ours)

    assert answer.headers["Access-Control-Allow-Origin"] == ours
    assert (preflight.status, preflight.headers["Access-Control-Allow-Headers"]) == (204, "Authorization")
    for refused in (other, elsewhere, off):
        assert "Access-Control-Allow-Origin" not in refused.headers


# Status


def test_the_status_shows_a_client_its_own_accounts(server: RedisServer, tmp_path: Path) -> None:
    web, keys = with_clients(server, tmp_path, ops='scopes = ["status"]\naccounts = ["shop"]')
    with web:
        answer = web.ask("/v1/status", key=keys["ops"])

    assert answer.json["counts"] == {"live": 2, "missing": 0, "contested": 0}
    assert {row["account"] for row in answer.json["credentials"]} == {"wx1"}
    assert b"the-token" not in answer.body


def test_the_status_comes_in_pages(web: Web) -> None:
    with web:
        rows = [web.ask(f"/v1/status?limit=2&offset={offset}").json["credentials"] for offset in (0, 2, 4, 6)]
        assert [len(page) for page in rows] == [2, 2, 2, 0]
        assert web.ask("/v1/status?state=missing").json["credentials"] == []
        assert len(web.ask("/v1/status?account=ww1/3").json["credentials"]) == 1
        for query in ("limit=-1", "limit=1e3", "offset=99999", "state=dead", "limit=%C2%B2"):
            assert web.ask(f"/v1/status?{query}").status == 400


# WeChat's shapes


def refusal(answer: Answer) -> int:
    """Return the errcode of a refusal in WeChat's or WeCom's form."""
    assert answer.status == 200
    assert set(answer.json) == {"errcode", "errmsg"}
    assert RID.search(answer.json["errmsg"]) or re.search(r", hint: \[\d{25}\], from ip: 127", answer.json["errmsg"])
    return int(answer.json["errcode"])


def test_the_token_path_answers_as_wechat_does(server: RedisServer, tmp_path: Path) -> None:
    web, keys = with_clients(server, tmp_path, php="")
    with web:
        answers = [web.ask(f"/cgi-bin/token?grant_type=client_credential&appid=wx1&secret={keys['php']}") for _ in "12"]

    for answer in answers:
        assert answer.status == 200
        # WeChat says "encoding" where the standard says "charset".
        assert answer.headers["Content-Type"] == "application/json; encoding=utf-8"
        assert 95 <= answer.json["expires_in"] < 100
        assert set(answer.json) == {"access_token", "expires_in"}
        assert answer.json["access_token"] == "the-token"


@pytest.mark.parametrize(
    ("query", "errcode"),
    [
        ("", 41002),
        ("appid=wx1", 40002),
        ("appid=wx1&grant_type=code&secret=KEY", 40002),
        ("appid=wx1&grant_type=client_credential", 41004),
        ("appid=wx1&grant_type=client_credential&secret=unknown", 40125),
        ("appid=wx2&grant_type=client_credential&secret=KEY", 40125),
        ("appid=wy1&grant_type=client_credential&secret=KEY", 40013),
        ("appid=wx1&grant_type=client_credential&secret=%FF", 40097),
    ],
)
def test_the_token_path_refuses_as_wechat_does(server: RedisServer, tmp_path: Path, query: str, errcode: int) -> None:
    web, keys = with_clients(server, tmp_path, php='accounts = ["wx1", "wy*"]')
    with web:
        assert refusal(web.ask(f"/cgi-bin/token?{query.replace('KEY', keys['php'])}")) == errcode


def test_the_other_method_is_refused_as_wechat_does(web: Web) -> None:
    with web:
        assert refusal(web.ask("/cgi-bin/token", body={})) == 43001
        assert refusal(web.ask("/cgi-bin/stable_token")) == 43002


def test_the_stable_token_path_takes_json_alone(server: RedisServer, tmp_path: Path) -> None:
    web, keys = with_clients(server, tmp_path, php="")
    claim = {**CLAIM, "secret": keys["php"]}
    with web:
        answer = web.ask("/cgi-bin/stable_token", body=claim)
        form = web.ask("/cgi-bin/stable_token", body=b"appid=wx1")
        stranger = web.ask("/cgi-bin/stable_token", body=claim | {"secret": new_key()})
        number = web.ask("/cgi-bin/stable_token", body=claim | {"secret": 7})

    assert answer.json["access_token"] == "the-token"
    assert refusal(form) == 41002
    assert refusal(stranger) == 40125
    assert refusal(number) == 41004


def test_a_forced_refresh_is_a_report_of_the_live_token(
    server: RedisServer, tmp_path: Path, client: redis.Redis
) -> None:
    web, keys = with_clients(server, tmp_path, php="", reads='scopes = ["read"]')
    state = "tokenworker:{wx1}:access_token:state"
    # As a worker does that has tested it.
    client.hset(state, mapping={"probed_alive": fingerprint("the-token"), "probed_at": time.time()})
    with web:
        forced = web.ask("/cgi-bin/stable_token", body={**CLAIM, "secret": keys["php"], "force_refresh": True})
        refused = web.ask("/cgi-bin/stable_token", body={**CLAIM, "secret": keys["reads"], "force_refresh": True})

    assert forced.json["access_token"] == "the-token"
    assert client.hget(state, "probed_alive") == fingerprint("the-token").encode()
    assert refusal(refused) == 40125


def test_wecom_says_that_all_is_well(server: RedisServer, tmp_path: Path) -> None:
    web, keys = with_clients(server, tmp_path, two='accounts = ["ww1/2"]', both='accounts = ["ww1/*"]')
    with web:
        answer = web.ask(f"/cgi-bin/gettoken?corpid=ww1&corpsecret={keys['two']}")
        named = web.ask(f"/cgi-bin/gettoken?corpid=ww1/3&corpsecret={keys['both']}")
        both = web.ask(f"/cgi-bin/gettoken?corpid=ww1&corpsecret={keys['both']}")

    assert 95 <= answer.json.pop("expires_in") < 100
    found = answer.json
    assert list(found) == ["errcode", "errmsg", "access_token", "expires_in"]
    assert (found["errcode"], found["errmsg"], found["access_token"]) == (0, "ok", "of-agent-2")
    assert named.json["access_token"] == "of-agent-3"
    assert refusal(both) == 40013
    assert "this key opens several applications of the corp" in both.json["errmsg"]


@pytest.mark.parametrize(
    ("query", "errcode"),
    [
        ("corpid=ww1", 41004),
        ("corpsecret=KEY", 41002),
        ("corpid=ww1&corpsecret=unknown", 40001),
        ("corpid=ww1/3&corpsecret=KEY", 40001),
        ("corpid=ww2&corpsecret=KEY", 40001),
    ],
)
def test_wecoms_path_refuses_as_wecom_does(server: RedisServer, tmp_path: Path, query: str, errcode: int) -> None:
    web, keys = with_clients(server, tmp_path, two='accounts = ["ww1/2"]')
    with web:
        assert refusal(web.ask(f"/cgi-bin/gettoken?{query.replace('KEY', keys['two'])}")) == errcode


def test_half_a_character_in_a_key_makes_it_an_unknown_one(server: RedisServer, tmp_path: Path) -> None:
    asked = {"grant_type": "client_credential", "appid": "wx1", "secret": "\ud800"}
    web, _ = with_clients(server, tmp_path, php="")
    with web:
        assert refusal(web.ask("/cgi-bin/stable_token", body=asked)) == 40125


def test_a_ticket_may_be_posted_for_as_some_sdks_do(server: RedisServer) -> None:
    with Web(server.url) as web:
        found = web.ask("/cgi-bin/ticket/getticket?access_token=the-token&type=jsapi", body={}).json

    assert (found["errcode"], found["ticket"]) == (0, "the-ticket")


@pytest.mark.parametrize(
    ("path", "ticket"),
    [
        ("/cgi-bin/ticket/getticket?access_token=the-token&type=jsapi", "the-ticket"),
        ("/cgi-bin/get_jsapi_ticket?access_token=of-agent-2", "corp-ticket"),
        ("/cgi-bin/ticket/get?access_token=of-agent-2&type=agent_config", "ticket-of-agent-2"),
    ],
)
def test_a_ticket_is_had_with_a_token_of_its_account(
    server: RedisServer, tmp_path: Path, path: str, ticket: str
) -> None:
    """The second time in a process that has read the token."""
    web, _ = with_clients(server, tmp_path, php="")
    with web:
        answers = [web.ask(path) for _ in "12"]

    for answer in answers:
        found = answer.json
        assert 95 <= found.pop("expires_in") < 100
        assert found == {"errcode": 0, "errmsg": "ok", "ticket": ticket}


@pytest.mark.parametrize(
    ("path", "errcode"),
    [
        ("/cgi-bin/ticket/getticket?type=jsapi", 41001),
        ("/cgi-bin/ticket/getticket?type=jsapi&access_token=made-up", 40001),
        ("/cgi-bin/ticket/getticket?type=jsapi&access_token=of-agent-2", 40001),
        ("/cgi-bin/ticket/getticket?type=x&access_token=the-token", 40097),
        ("/cgi-bin/ticket/getticket?type=2&access_token=the-token", 48001),
        ("/cgi-bin/get_jsapi_ticket?access_token=made-up", 40014),
        ("/cgi-bin/get_jsapi_ticket?access_token=of-agent-3", 48002),
        ("/cgi-bin/ticket/get?access_token=of-agent-2", 40097),
    ],
)
def test_a_ticket_is_refused_as_wechat_and_wecom_do(web: Web, path: str, errcode: int) -> None:
    with web:
        assert refusal(web.ask(path)) == errcode


def test_a_ticket_that_no_client_may_read_is_nobodys(server: RedisServer, tmp_path: Path) -> None:
    web, _ = with_clients(server, tmp_path, php='credentials = ["access_token"]')
    with web:
        assert refusal(web.ask("/cgi-bin/ticket/getticket?type=jsapi&access_token=the-token")) == 48001


def test_a_token_that_was_replaced_brings_a_ticket_for_as_long_as_it_works(server: RedisServer, kept: Store) -> None:
    path = "/cgi-bin/ticket/getticket?type=jsapi&access_token=the-token"
    with Web(server.url, TOKENWORKER_TIME_SCALE=str(2 / 300)) as web:
        assert web.ask(TOKEN).json["value"] == "the-token"
        put(kept, "the-next")
        assert web.ask(path).json["ticket"] == "the-ticket"
        time.sleep(2.1)
        assert refusal(web.ask(path)) == 40001


@pytest.mark.parametrize(
    "path",
    [
        "/cgi-bin/ticket/getticket?type=jsapi&access_token=made-up-{}",
        "/cgi-bin/token?grant_type=client_credential&appid=wx1&secret=made-up-{}",
        "/cgi-bin/gettoken?corpid=made-up-{}&corpsecret=made-up",
        "/v1/credentials/made-up-{}/access_token",
        "/v1/status?account=made-up-{}",
    ],
)
def test_what_is_made_up_does_not_keep_redis_busy(
    server: RedisServer, client: redis.Redis, tmp_path: Path, path: str
) -> None:
    web, keys = with_clients(server, tmp_path, php='scopes = ["read", "status"]')
    with web:
        before = looks(client)
        for number in range(50):
            web.ask(path.format(number), key=keys["php"])
        assert looks(client) - before <= 3
