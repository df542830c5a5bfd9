"""What goes out to WeChat, what is made of its answers, and which host is asked when one fails."""

from __future__ import annotations

import base64
import gzip
import http.client
import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from traceback import walk_tb
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings, strategies as st
from support.targets import kind_of
from support.wire import (
    NOWHERE,
    Reply,
    Server,
    black_hole,
    chunked,
    hang,
    hang_up,
    http as http_answer,
    json_answer,
    nothing_left_behind,
    refusing_url,
    reset,
    then_hang_up,
)

from tokenworker.accounts.account import Account, Endpoint
from tokenworker.credential import Issued
from tokenworker.credentials import target
from tokenworker.errors import (
    DayLimit,
    FetchError,
    MalformedAnswer,
    MinuteLimit,
    NetworkError,
    OperatorError,
    TransientError,
)
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Sandbox
from tokenworker.secret import Secret
from tokenworker.wechat.answers import MAX_EXPIRES_IN
from tokenworker.wechat.hosts import Hosts
from tokenworker.wechat.source import WeChat
from tokenworker.wechat.transport import Transport

APPID = "wx0123456789abcdef"
SECRET = "5ec2e7000000000000000000005ec2e7"
#: Changes when it is put into a URL, into JSON or into a form.
ODD_SECRET = "s+e/c r%e=t&'\"\\é"
TOKEN = "97_" + "tOk-en_" * 19
#: Four times what WeChat asks to reserve.
LONGEST = 2048

#: Seconds, the deadline of the fetches that meet it.
DEADLINE = 0.2
AMPLE = 5.0

ENDPOINTS: tuple[Endpoint, ...] = ("stable_token", "token")
SUCCESS = json.dumps({"access_token": TOKEN, "expires_in": 7200}).encode()
GOOD = http_answer(SUCCESS)
IP_LIST = json_answer({"ip_list": ["203.0.113.10"]})


_transports: list[Transport] = []


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    with nothing_left_behind():
        yield
        while _transports:
            _transports.pop()._session.close()


def account(endpoint: Endpoint = "stable_token", secret: str = SECRET) -> Account:
    return Account(APPID, Secret(secret), endpoint=endpoint)


class Tokens:
    """WeChat, asked for access tokens."""

    def __init__(self, *urls: str, timeout: float = AMPLE, **options: Any) -> None:
        _transports.append(Transport())
        self.source = WeChat(_transports[-1], {"wechat": urls, "wecom": urls}, timeout, **options)

    @property
    def hosts(self) -> Hosts:
        return self.source._hosts["wechat"]

    def fetch(self, account: Account, *, force: bool = False) -> Issued:
        return self.source.fetch(kind_of(account), account, {}, force=force)

    def is_alive(self, value: Secret) -> bool:
        return self.source.is_alive(kind_of(account()), value)


def wechat(*urls: str, timeout: float = AMPLE, **options: Any) -> Tokens:
    return Tokens(*urls, timeout=timeout, **options)


def fetch(reply: Reply, endpoint: Endpoint = "stable_token", timeout: float = AMPLE) -> Issued:
    with Server(reply) as server:
        return wechat(server.url, timeout=timeout).fetch(account(endpoint))


def fetch_error(reply: Reply, endpoint: Endpoint = "stable_token", timeout: float = AMPLE) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch(reply, endpoint, timeout)
    return caught.value


def refusal(errcode: object, errmsg: object = "") -> bytes:
    return json_answer({"errcode": errcode, "errmsg": errmsg})


# What goes out


@pytest.mark.parametrize("force", [False, True])
def test_stable_token_gets_json_with_four_fields(force: bool) -> None:
    with Server(GOOD) as server:
        wechat(server.url).fetch(account(), force=force)
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/cgi-bin/stable_token")
    assert request.headers["Host"] == f"127.0.0.1:{server.port}"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept-Encoding"] == "identity"
    assert json.loads(request.body) == {
        "grant_type": "client_credential",
        "appid": APPID,
        "secret": SECRET,
        "force_refresh": force,
    }


@pytest.mark.parametrize("force", [False, True])
def test_the_classic_endpoint_gets_a_query_with_three_fields(force: bool) -> None:
    with Server(GOOD) as server:
        wechat(server.url).fetch(account("token"), force=force)
    (request,) = server.requests
    assert request.method == "GET"
    assert request.target == f"/cgi-bin/token?grant_type=client_credential&appid={APPID}&secret={SECRET}"
    assert request.headers["Host"] == f"127.0.0.1:{server.port}"
    assert request.headers["Accept-Encoding"] == "identity"
    assert "Content-Type" not in request.headers
    assert request.body == b""


def test_a_secret_with_odd_characters_arrives_as_it_is() -> None:
    with Server(GOOD) as server:
        keeper = wechat(server.url)
        keeper.fetch(account("token", ODD_SECRET))
        keeper.fetch(account("stable_token", ODD_SECRET))
    assert dict(server.requests[0].query)["secret"] == ODD_SECRET
    assert json.loads(server.requests[1].body)["secret"] == ODD_SECRET


def test_a_token_is_tested_with_a_cheap_call() -> None:
    with Server(IP_LIST) as server:
        assert wechat(server.url).is_alive(Secret("97_a+b/c="))
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/cgi-bin/get_api_domain_ip")
    assert request.query == [("access_token", "97_a+b/c=")]


def test_an_api_behind_a_path_is_asked_there() -> None:
    with Server(GOOD) as server:
        wechat(server.url + "/wechat").fetch(account())
    assert server.requests[0].target == "/wechat/cgi-bin/stable_token"


# Tickets, and what WeCom hands out

CORP = Account("ww0123456789abcdef/1000002", Secret(SECRET), type="wecom")
INPUTS = {"access_token": Secret(TOKEN)}


def ask(reply: Reply, name: str, of: Account) -> tuple[Issued, str]:
    """Fetch what an account keeps under a name, and return it with what was asked for."""
    kept = target(replace(of, keep=(name,)), name)
    with Server(reply) as server:
        source = wechat(server.url).source
        issued = source.fetch(kept.kind, kept.account, {need: INPUTS[need] for need in kept.kind.needs})
    (request,) = server.requests
    assert request.body == b""
    return issued, f"{request.method} {request.target}"


@pytest.mark.parametrize(
    ("of", "name", "call"),
    [
        (account(), "jsapi_ticket", f"/cgi-bin/ticket/getticket?access_token={TOKEN}&type=jsapi"),
        (account(), "wx_card_ticket", f"/cgi-bin/ticket/getticket?access_token={TOKEN}&type=wx_card"),
        (CORP, "access_token", f"/cgi-bin/gettoken?corpid=ww0123456789abcdef&corpsecret={SECRET}"),
        (CORP, "jsapi_ticket", f"/cgi-bin/get_jsapi_ticket?access_token={TOKEN}"),
        (CORP, "agent_ticket", f"/cgi-bin/ticket/get?access_token={TOKEN}&type=agent_config"),
    ],
)
def test_each_kind_is_asked_for_in_its_own_way(of: Account, name: str, call: str) -> None:
    field = "access_token" if name == "access_token" else "ticket"
    answer = {"errcode": 0, "errmsg": "ok", field: "sM4AOV-x", "expires_in": 7200}

    assert ask(json_answer(answer), name, of) == (Issued("sM4AOV-x", 7200.0), f"GET {call}")


@pytest.mark.parametrize("answer", [{"access_token": TOKEN, "expires_in": 7200}, {"ticket": 5, "expires_in": 7200}])
def test_an_answer_without_the_ticket_is_none_of_wechats(answer: dict[str, object]) -> None:
    with pytest.raises(MalformedAnswer, match="a ticket that is "):
        ask(json_answer(answer), "jsapi_ticket", account())


@pytest.mark.parametrize(
    ("of", "name", "errcode", "kind", "hint"),
    [
        (account(), "jsapi_ticket", 48001, OperatorError, "have no tickets: take it out of `keep`"),
        (account(), "jsapi_ticket", 45009, DayLimit, ""),
        (account(), "jsapi_ticket", -1, TransientError, ""),
        (CORP, "access_token", 40001, OperatorError, "check the Secret of this application in WeCom's console"),
        (CORP, "access_token", 40013, OperatorError, "check the corpid"),
        (CORP, "access_token", 40056, OperatorError, "check the agent"),
        (CORP, "access_token", 6000, TransientError, ""),
        (CORP, "access_token", 45033, MinuteLimit, ""),
        (CORP, "jsapi_ticket", 45009, DayLimit, "find out what calls it so often"),
        (CORP, "agent_ticket", 48002, OperatorError, "lacks the permission"),
        (CORP, "agent_ticket", 301002, OperatorError, "belongs to another application"),
        (CORP, "access_token", 99999, OperatorError, "look the code up"),
    ],
)
def test_an_errcode_means_what_its_platform_and_its_kind_say(
    of: Account, name: str, errcode: int, kind: type[FetchError], hint: str
) -> None:
    with pytest.raises(FetchError) as caught:
        ask(refusal(errcode, "as seen"), name, of)
    assert type(caught.value) is kind
    assert caught.value.errcode == errcode
    assert hint in caught.value.hint


def test_the_ip_that_wecom_trusts_not_is_read_from_its_errmsg() -> None:
    with pytest.raises(OperatorError) as caught:
        ask(
            refusal(60020, "not allow to access from your ip, hint: [1], from ip: 47.106.8.9, more"),
            "jsapi_ticket",
            CORP,
        )
    assert caught.value.hint == "add 47.106.8.9 to the trusted IPs of this application in WeCom's console"


@pytest.mark.parametrize("name", ["jsapi_ticket", "wx_card_ticket"])
def test_nothing_tells_whether_a_ticket_works(name: str) -> None:
    kind = target(replace(account(), keep=(name,)), name).kind
    with Server(IP_LIST) as server, pytest.raises(ValueError, match=name):
        wechat(server.url).source.is_alive(kind, Secret("x"))
    assert server.requests == []


def test_each_platform_has_hosts_of_its_own() -> None:
    _transports.append(Transport())
    with Server(GOOD) as wechats, Server(GOOD) as wecoms:
        source = WeChat(_transports[-1], {"wechat": (wechats.url,), "wecom": (wecoms.url,)}, AMPLE)
        source.fetch(kind_of(CORP), CORP, {})
        source.fetch(kind_of(account()), account(), {})
    assert [request.path for request in wechats.requests] == ["/cgi-bin/stable_token"]
    assert [request.path for request in wecoms.requests] == ["/cgi-bin/gettoken"]


# Tokens


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_token_comes_with_its_life(endpoint: Endpoint) -> None:
    assert fetch(GOOD, endpoint) == Issued(TOKEN, 7200.0)


@pytest.mark.parametrize(
    ("document", "expires_in"),
    [
        ({"access_token": TOKEN, "expires_in": 345}, 345),
        ({"access_token": TOKEN, "expires_in": 1}, 1),
        ({"access_token": TOKEN, "expires_in": 0.5}, 0.5),
        ({"access_token": TOKEN, "expires_in": 7200.0}, 7200),
        ({"access_token": TOKEN, "expires_in": MAX_EXPIRES_IN}, MAX_EXPIRES_IN),
        ({"access_token": TOKEN, "expires_in": 7200, "errcode": 0, "errmsg": "ok"}, 7200),
        ({"access_token": TOKEN, "expires_in": 7200, "new_field": [1, {}]}, 7200),
    ],
)
def test_the_life_is_what_wechat_says(document: object, expires_in: float) -> None:
    assert fetch(json_answer(document)) == Issued(TOKEN, expires_in)


@pytest.mark.parametrize("token", ["x", "a" * 512, "a" * LONGEST, "".join(map(chr, range(33, 127)))])
def test_a_token_is_opaque(token: str) -> None:
    assert fetch(json_answer({"access_token": token, "expires_in": 7200})).value == token


@pytest.mark.parametrize("content_type", ["application/json; encoding=utf-8", "text/plain", "text/html; charset=gbk"])
def test_the_content_type_means_nothing(content_type: str) -> None:
    assert fetch(http_answer(SUCCESS, Content_Type=content_type)).value == TOKEN


# Errcodes, with the texts that WeChat was seen to send or that stand in its documentation

NEW = "rid: 6aac005a-01bfdbee-79769285"
BY_STABLE = "could get access_token by getStableAccessToken"
MORE = "more details at https://mmbizurl.cn/s/JtxxFh33r"
CHECK_SECRET = "check the AppSecret"
WHITELIST = "add 47.106.8.9 to the IP whitelist"


@pytest.mark.parametrize(
    ("errcode", "errmsg", "kind", "hint"),
    [
        (-1, f"system error {NEW}", TransientError, ""),
        (-1, "system error", TransientError, ""),
        (-1000, "system error", TransientError, ""),
        (40001, "invalid credential  access_token isinvalid or not latest", OperatorError, CHECK_SECRET),
        (
            40001,
            f"invalid credential, access_token is invalid or not latest, {BY_STABLE}, {MORE} {NEW}",
            OperatorError,
            CHECK_SECRET,
        ),
        (40002, f"invalid grant_type {NEW}", OperatorError, "does a proxy"),
        (40013, f"invalid appid {NEW}", OperatorError, "check the appid"),
        (40014, "invalid access_token", OperatorError, "look the code up"),
        (40125, f"invalid appsecret {NEW}", OperatorError, CHECK_SECRET),
        (
            40125,
            "invalid appsecret, view more at http://t.cn/RAEkdVq hint: [KjmSya0537sha7]",
            OperatorError,
            CHECK_SECRET,
        ),
        (40164, f"invalid ip 47.106.8.9 ipv6 ::ffff:47.106.8.9, not in whitelist {NEW}", OperatorError, WHITELIST),
        (40164, "invalid ip 47.106.8.9, not in whitelist hint: [i50PvA0089sha6]", OperatorError, WHITELIST),
        (40243, "AppSecret已被冻结 请解冻后再次调用", OperatorError, "unfreeze"),
        (41001, f"access_token missing {NEW}", OperatorError, "look the code up"),
        (41002, f"appid missing {NEW}", OperatorError, "does a proxy"),
        (41004, f"appsecret missing {NEW}", OperatorError, "does a proxy"),
        (43002, "require POST method", OperatorError, "does a proxy"),
        (43003, "require https", OperatorError, "look the code up"),
        (44002, "empty post data", OperatorError, "does a proxy"),
        (
            45009,
            f"reach max api daily quota limit, {BY_STABLE}, {MORE} {NEW}",
            DayLimit,
            "stable_token",
        ),
        (45011, "api minute-quota reach limit  mustslower  retry next minute", MinuteLimit, ""),
        (45035, "access clientip is not registered, not in ip-white-list", OperatorError, "this server's public IP"),
        (45102, "this api have been blocked temporarily.", OperatorError, "look the code up"),
        (
            45501,
            "part or whole of the requests from the very app is temporary blocked by supervisor",
            OperatorError,
            "look the code up",
        ),
        (47001, "data format error", OperatorError, "does a proxy"),
        (48001, f"api unauthorized {NEW}", OperatorError, "permission"),
        (48004, f"api forbidden for irregularities, view detail on mp.weixin.qq.com {NEW}", OperatorError, "notice"),
        (50002, f"user limited {NEW}", OperatorError, "restricted"),
        (50004, f"user not allow to use accesstoken, maybe for punishment {NEW}", OperatorError, "notice"),
        (50007, "", OperatorError, "frozen"),
        (61004, f"access clientip is not registered requestIP: 47.106.8.9 {NEW}", OperatorError, WHITELIST),
        (
            61004,
            "access clientip is not registered hint: [OOcsrA0577oxy3] requestIP: 47.106.8.9",
            OperatorError,
            WHITELIST,
        ),
        (61024, "must use api(api_component_token) to get token for component acct", OperatorError, "third-party"),
        (86000, "should be called only from third party", OperatorError, "look the code up"),
        (89501, "", OperatorError, "admin to confirm"),
        (89503, "", OperatorError, "admin to confirm"),
        (89506, "", OperatorError, "24 hours"),
        (89507, "", OperatorError, "an hour"),
        (99999, "something new", OperatorError, "look the code up"),
        (-2, "something new", OperatorError, "look the code up"),
    ],
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_errcode_has_its_class_its_facts_and_what_to_do(
    endpoint: Endpoint, errcode: int, errmsg: str, kind: type[FetchError], hint: str
) -> None:
    error = fetch_error(refusal(errcode, errmsg), endpoint)
    assert type(error) is kind
    assert (error.errcode, error.errmsg) == (errcode, " ".join(errmsg.split()))
    assert error.rid == (NEW.removeprefix("rid: ") if NEW in errmsg else "")
    assert hint in error.hint
    assert bool(error.hint) == bool(hint)
    assert not error.ambiguous
    assert str(error).startswith(f"WeChat answered {errcode}")


def test_an_errcode_counts_even_with_a_token_beside_it() -> None:
    error = fetch_error(json_answer({"errcode": 40125, "access_token": TOKEN, "expires_in": 7200}))
    assert error.errcode == 40125


@pytest.mark.parametrize(
    ("errmsg", "ip"),
    [
        ("invalid ip 120.208.99.249 ipv6 ::ffff:120.208.99.249, not in whitelist rid: 6aa2f516-0-0", "120.208.99.249"),
        ("invalid ip 113.70.100.150, not in whitelist hint: [i50PvA0089sha6]", "113.70.100.150"),
        ("invalid ip 2001:db8::1, not in whitelist", "2001:db8::1"),
        ("access clientip is not registered requestIP: 47.106.8.9 rid: 660ba237-0-0", "47.106.8.9"),
        ("access clientip is not registered requestIP 47.106.8.9.", "47.106.8.9"),
        ("access clientip is not registered requestIP: 47.106.x.x rid: 660ba237-0-0", "this server's public IP"),
        ("invalid ip  not in whitelist", "this server's public IP"),
        ("invalid ip address", "this server's public IP"),
        ("invalid ip 999.1.1.1, not in whitelist", "this server's public IP"),
    ],
)
def test_the_ip_to_whitelist_is_read_from_the_errmsg(errmsg: str, ip: str) -> None:
    hint = fetch_error(refusal(40164, errmsg)).hint
    assert hint == f"add {ip} to the IP whitelist of this account in WeChat's console"


@pytest.mark.parametrize(
    ("errmsg", "rid"),
    [
        ("invalid appid rid: 6aac005a-01bfdbee-79769285", "6aac005a-01bfdbee-79769285"),
        ("invalid code, rid: 6aac005a-01bfdbee-79769285", "6aac005a-01bfdbee-79769285"),
        ("invalid appsecret hint: [KjmSya0537sha7]", ""),
        ("invalid appsecret, hints: [ req_id: _Gl1nA0807ns85 ]", ""),
        ("", ""),
    ],
)
def test_the_rid_is_read_from_the_errmsg(errmsg: str, rid: str) -> None:
    assert fetch_error(refusal(40013, errmsg)).rid == rid


@pytest.mark.parametrize("errmsg", [None, 5, ["x"], {"a": 1}])
def test_an_errcode_needs_no_errmsg(errmsg: object) -> None:
    error = fetch_error(refusal(40013, errmsg))
    assert (error.errcode, error.errmsg) == (40013, "")


def test_an_errmsg_is_short_and_fit_for_a_terminal() -> None:
    errmsg = r'"a\u001b[31m\r\n\tb\u202e\ud800' + "c " * 9999 + '"'
    error = fetch_error(http_answer(b'{"errcode":40013,"errmsg":' + errmsg.encode() + b"}"))
    assert error.errmsg == "a[31m b" + "c " * 146 + "c"


@pytest.mark.parametrize("secret", [SECRET, ODD_SECRET])
@pytest.mark.parametrize("spell", [str, quote_plus, lambda secret: quote(secret, safe=""), "\u200b".join])
def test_an_errmsg_that_echoes_the_secret_loses_it(secret: str, spell: Callable[[str], str]) -> None:
    echo = refusal(40125, f"invalid appsecret {spell(secret)}!")
    with Server(echo) as server, pytest.raises(OperatorError) as caught:
        wechat(server.url).fetch(account(secret=secret))
    assert caught.value.errmsg == "invalid appsecret ***!"


# What is no answer of WeChat's


def life(number: bytes) -> bytes:
    return http_answer(b'{"access_token":"97_x","expires_in":' + number + b"}")


NO_OBJECTS: list[Any] = [[], [{}], "x", 7200, True, None]
NO_TOKENS: list[Any] = [
    *(
        None,
        "",
        5,
        1.5,
        True,
        ["x"],
        {},
        " ",
        "a b",
        "a\n",
        "\na",
        "a\0",
        "a\x7f",
        "é",
        "a" * (LONGEST + 1),
        "{x}",
        "[x]",
        '"x"',
    ),
]
NO_LIVES: list[Any] = [
    *(None, "7200", "", True, False, [7200], {}, 0, -1, -0.0, MAX_EXPIRES_IN + 1, 10**400, -(10**400)),
]
NO_ERRCODES: list[Any] = ["40013", "", None, 40013.5, True, False, [], {}, [40013]]
STATUSES = (201, 204, 301, 302, 307, 308, 400, 401, 403, 404, 413, 418, 429, 500, 502, 503, 504)

MALFORMED = [
    pytest.param(http_answer(b""), "an empty body", id="empty"),
    pytest.param(http_answer(b"", Content_Type="text/html; charset=gbk"), "an empty body", id="empty, as seen in 2017"),
    pytest.param(http_answer(b"<html>502</html>"), "no JSON object", id="HTML"),
    pytest.param(http_answer(b'{"access_token":"97_x","expir'), "no JSON object", id="half"),
    pytest.param(http_answer(b"[" * 60_000), "no JSON object", id="deep"),
    pytest.param(http_answer(b'{"access_token":"\xff"}'), "no JSON object", id="no UTF-8"),
    pytest.param(http_answer(b"\xef\xbb\xbf{}"), "no JSON object", id="byte order mark"),
    pytest.param(http_answer(gzip.compress(SUCCESS), Content_Encoding="gzip"), "no JSON object", id="gzip"),
    pytest.param(life(b"NaN"), "no JSON object", id="life NaN"),
    pytest.param(life(b"-Infinity"), "no JSON object", id="life -Infinity"),
    pytest.param(life(b"9" * 5000), "no JSON object", id="life 9999…"),
    pytest.param(life(b"1e999"), "expires_in that is not above 0", id="life 1e999"),
    pytest.param(json_answer({}), "access_token that is missing", id="no field"),
    pytest.param(json_answer({"access_token": TOKEN}), "expires_in that is missing", id="no life"),
    *(pytest.param(json_answer(value), "no JSON object", id=repr(value)) for value in NO_OBJECTS),
    *(pytest.param(http_answer(SUCCESS, status), f"HTTP status {status}", id=str(status)) for status in STATUSES),
    *(
        pytest.param(json_answer({"access_token": token, "expires_in": 7200}), "access_token", id=f"token {token!r:.9}")
        for token in NO_TOKENS
    ),
    *(
        pytest.param(json_answer({"access_token": TOKEN, "expires_in": life}), "expires_in", id=f"life {life!r:.9}")
        for life in NO_LIVES
    ),
    *(
        pytest.param(json_answer(json.loads(SUCCESS) | {"errcode": errcode}), "errcode", id=f"errcode {errcode!r}")
        for errcode in NO_ERRCODES
    ),
]


@pytest.mark.parametrize(("reply", "what"), MALFORMED)
def test_what_is_no_answer_of_wechats_is_refused(reply: bytes, what: str) -> None:
    error = fetch_error(reply)
    assert type(error) is MalformedAnswer
    assert what in error.reason
    assert error.hint == "is a proxy or a captive portal in between?"
    assert error.errcode is None
    assert error.ambiguous


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "access_token": st.just(TOKEN) | JSON,
        "expires_in": st.integers(1, 7200) | JSON,
        "errcode": st.just(0) | st.sampled_from([40001, 42001, -1, 40164]) | JSON,
        "errmsg": JSON,
        "ip_list": JSON,
    },
)
BODIES = st.binary() | (FIELDS | JSON).map(lambda document: json.dumps(document).encode())


def feed(use: Callable[[Tokens], None], examples: int) -> None:
    """Use a keeper again and again, each time with another answer of WeChat's."""
    answer = [b""]
    with Server(lambda exchange: exchange.send(http_answer(answer[0]))) as server:
        keeper = wechat(server.url)

        @settings(max_examples=examples, deadline=None)
        @given(body=BODIES)
        def run(body: bytes) -> None:
            answer[0] = body
            use(keeper)

        run()


def test_any_answer_gives_a_token_or_a_fetch_error() -> None:
    def use(keeper: Tokens) -> None:
        try:
            fetched = keeper.fetch(account())
        except FetchError as error:
            text = str(error)
            assert text.isprintable()
            assert len(text) < 500
        else:
            assert fetched.value.isascii()
            assert fetched.value.isprintable()
            assert 0 < fetched.expires_in <= MAX_EXPIRES_IN

    feed(use, 100)


def test_any_answer_to_the_test_of_a_token_is_yes_or_no_or_a_fetch_error() -> None:
    def use(keeper: Tokens) -> None:
        with suppress(FetchError):
            assert keeper.is_alive(Secret(TOKEN)) in (True, False)

    feed(use, 50)


# Whether a token lives


@pytest.mark.parametrize(
    ("reply", "alive"),
    [
        (IP_LIST, True),
        (json_answer({"ip_list": [], "errcode": 0, "errmsg": "ok"}), True),
        (refusal(40001, f"invalid credential, access_token is invalid or not latest {NEW}"), False),
        (refusal(40014, "invalid access_token"), False),
        (refusal(42001, f"access_token expired {NEW}"), False),
        # The account's or the server's fault, not the token's.
        (refusal(40164, "invalid ip 1.2.3.4, not in whitelist"), True),
        (refusal(45009, "reach max api daily quota limit"), True),
        (refusal(48001, "api unauthorized"), True),
        (refusal(61004, "access clientip is not registered"), True),
    ],
)
def test_a_token_is_dead_when_wechat_says_so(reply: bytes, alive: bool) -> None:
    with Server(reply) as server:
        assert wechat(server.url).is_alive(Secret(TOKEN)) is alive


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(refusal(-1, "system error"), TransientError, id="busy"),
        pytest.param(refusal(-1000, "system error"), TransientError, id="busy in 2017"),
        pytest.param(json_answer({}), MalformedAnswer, id="neither yes nor no"),
        pytest.param(refusal("40001"), MalformedAnswer, id="text"),
        pytest.param(http_answer(b"<html>"), MalformedAnswer, id="HTML"),
        pytest.param(http_answer(b"", 502), MalformedAnswer, id="502"),
        pytest.param(hang_up, NetworkError, id="no answer"),
    ],
)
def test_what_says_nothing_about_a_token_is_an_error(reply: Reply, kind: type[FetchError]) -> None:
    with Server(reply) as server, pytest.raises(FetchError) as caught:
        wechat(server.url).is_alive(Secret(TOKEN))
    assert type(caught.value) is kind


# The network


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(hang, id="silence"),
        pytest.param(hang_up, id="closed"),
        pytest.param(reset, id="reset"),
        pytest.param(then_hang_up(GOOD[:-1]), id="cut off"),
        pytest.param(then_hang_up(chunked(GOOD, end=b"")), id="cut off between chunks"),
        pytest.param(http_answer(b" " * 70_000), id="huge"),
    ],
)
def test_a_request_without_an_answer_is_ambiguous(endpoint: Endpoint, reply: Reply) -> None:
    started = time.monotonic()
    error = fetch_error(reply, endpoint, DEADLINE)
    assert time.monotonic() - started < DEADLINE + 0.5
    assert type(error) is NetworkError
    assert error.ambiguous


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    ("url", "reason"),
    [(refusing_url(), "Connection refused"), (f"http://{NOWHERE}", "the host's name can't be resolved")],
    ids=["refused", "no such host"],
)
def test_a_request_that_can_not_leave_is_not_ambiguous(endpoint: Endpoint, url: str, reason: str) -> None:
    with pytest.raises(NetworkError) as caught:
        wechat(url).fetch(account(endpoint))
    assert str(caught.value) == f"{url}: {reason}"
    assert not caught.value.ambiguous


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("url", [refusing_url(), f"http://{NOWHERE}"], ids=["refused", "no such host"])
def test_the_next_host_is_asked_when_the_first_can_not_be_reached(endpoint: Endpoint, url: str) -> None:
    with Server(GOOD) as second:
        assert wechat(url, second.url).fetch(account(endpoint)).value == TOKEN
    assert len(second.requests) == 1


AMBIGUOUS = [pytest.param(hang, id="silence"), pytest.param(hang_up, id="closed"), pytest.param(reset, id="reset")]


@pytest.mark.parametrize("reply", AMBIGUOUS)
def test_the_next_host_is_asked_for_a_stable_token_even_after_an_ambiguous_failure(reply: Reply) -> None:
    with Server(reply) as first, Server(GOOD) as second:
        started = time.monotonic()
        assert wechat(first.url, second.url, timeout=3 * DEADLINE).fetch(account()).value == TOKEN
    assert time.monotonic() - started < 3 * DEADLINE + 0.5
    assert (len(first.requests), len(second.requests)) == (1, 1)


@pytest.mark.parametrize("reply", AMBIGUOUS)
@pytest.mark.parametrize(("endpoint", "force"), [("token", False), ("stable_token", True)])
def test_no_other_host_is_asked_when_the_first_may_have_issued_a_token(
    reply: Reply, endpoint: Endpoint, force: bool
) -> None:
    with Server(reply) as first, Server(GOOD) as second, pytest.raises(NetworkError) as caught:
        wechat(first.url, second.url, timeout=DEADLINE).fetch(account(endpoint), force=force)
    assert caught.value.ambiguous
    assert (len(first.requests), second.connections) == (1, 0)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(refusal(-1, "system error"), id="busy"),
        pytest.param(refusal(40125, "invalid appsecret"), id="wrong secret"),
        pytest.param(refusal(45011, "minute"), id="minute limit"),
        pytest.param(http_answer(b"", 502), id="502"),
        pytest.param(http_answer(b"<html>"), id="HTML"),
    ],
)
def test_no_other_host_is_asked_once_one_has_answered(endpoint: Endpoint, reply: bytes) -> None:
    with Server(reply) as first, Server(GOOD) as second, pytest.raises(FetchError):
        wechat(first.url, second.url).fetch(account(endpoint))
    assert (len(first.requests), second.connections) == (1, 0)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_host_that_takes_no_connection_leaves_time_for_the_next(endpoint: Endpoint, black_hole_url: str) -> None:
    with Server(GOOD) as second:
        assert wechat(black_hole_url, second.url, timeout=3 * DEADLINE).fetch(account(endpoint)).value == TOKEN


@pytest.fixture
def black_hole_url() -> Iterator[str]:
    with black_hole() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_all_hosts_together_meet_the_deadline(endpoint: Endpoint, black_hole_url: str) -> None:
    started = time.monotonic()
    with Server(hang) as last, pytest.raises(NetworkError) as caught:
        wechat(black_hole_url, black_hole_url, last.url, timeout=2 * DEADLINE).fetch(account(endpoint))
    assert time.monotonic() - started < 2 * DEADLINE + 0.5
    assert caught.value.ambiguous
    assert len(last.requests) == 1


def test_a_failure_of_the_first_host_stays_ambiguous_when_the_second_refuses() -> None:
    down = refusing_url()
    with Server(hang_up) as first, pytest.raises(NetworkError) as caught:
        wechat(first.url, down).fetch(account())
    assert caught.value.ambiguous
    closed = "Remote end closed connection without response"
    assert caught.value.reason == f"{first.url}: {closed}; {down}: Connection refused"


def test_a_host_that_failed_comes_last_for_a_minute() -> None:
    now = [1000.0]
    with Server(hang_up, GOOD) as first, Server(GOOD) as second:
        keeper = wechat(first.url, second.url, clock=lambda: now[0])
        asked = []
        for later in (0, 0, 59, 1, 0):
            now[0] += later
            keeper.fetch(account())
            asked.append((len(first.requests), len(second.requests)))
    assert asked == [(1, 1), (1, 2), (1, 3), (2, 3), (3, 3)]


def test_a_classic_fetch_that_failed_begins_with_the_other_host_next_time() -> None:
    with Server(hang_up, GOOD) as first, Server(GOOD) as second:
        keeper = wechat(first.url, second.url)
        with pytest.raises(NetworkError):
            keeper.fetch(account("token"))
        keeper.fetch(account("token"))
    assert (len(first.requests), len(second.requests)) == (1, 1)


def test_the_order_goes_round_when_host_after_host_fails() -> None:
    with Server(hang_up, GOOD) as first, Server(hang_up, GOOD) as second, Server(GOOD) as third:
        keeper = wechat(first.url, second.url, third.url)
        keeper.fetch(account())
        keeper.fetch(account())
        assert [len(server.requests) for server in (first, second, third)] == [1, 1, 2]
    urls = (*keeper.hosts._urls[:2], refusing_url())
    keeper.hosts._urls = urls
    with pytest.raises(NetworkError) as caught:
        keeper.fetch(account())
    assert [part.partition(": ")[0] for part in caught.value.reason.split("; ")] == [
        urls[2],
        urls[0],
        urls[1],
    ]


# WeChat's look-alike


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_token_of_the_look_alike_works_until_it_is_revoked(sandbox: Sandbox, endpoint: Endpoint) -> None:
    keeper = wechat(sandbox.url)
    demo = Account(DEMO_APPID, Secret(DEMO_SECRET), endpoint=endpoint)
    fetched = keeper.fetch(demo)
    assert 0 < fetched.expires_in <= 20
    assert keeper.is_alive(Secret(fetched.value))
    sandbox.revoke()
    assert not keeper.is_alive(Secret(fetched.value))
    assert keeper.fetch(demo).value != fetched.value


def test_a_forced_token_of_the_look_alike_is_a_new_one(sandbox: Sandbox) -> None:
    keeper = wechat(sandbox.url)
    demo = Account(DEMO_APPID, Secret(DEMO_SECRET))
    first = keeper.fetch(demo)
    assert keeper.fetch(demo).value == first.value
    assert keeper.fetch(demo, force=True).value != first.value


# Secrets


def spellings(secret: str) -> set[str]:
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    return forms | {base64.b64encode(secret.encode()).decode().rstrip("=")}


def said(error: BaseException) -> Iterator[str]:
    """Yield what a log or a result may show of an error, and of all those that hang on it."""
    yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
    for other in (error.__cause__, error.__context__, *error.args, *vars(error).values()):
        if isinstance(other, BaseException):
            yield from said(other)


def held(error: BaseException) -> Iterator[str]:
    """Yield the local variables that an error tracker shows besides."""
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code.co_filename != __file__:
            yield from map(repr, frame.f_locals.values())


UNREACHABLE = {"refused": refusing_url(), "no such host": f"http://{NOWHERE}"}
ANSWERED: dict[str, Reply] = {
    "token": GOOD,
    "wrong secret": refusal(40125, "invalid appsecret"),
    "busy": refusal(-1, "system error"),
    "empty": http_answer(b""),
    "HTML": http_answer(b"<html>"),
    "502": http_answer(b"", 502),
    "redirect": http_answer(b"", 302, Location="http://127.0.0.1:1/"),
    "silence": hang,
    "closed": hang_up,
    "reset": reset,
    "no HTTP": then_hang_up(b"SSH-2.0\r\n"),
    "broken header": then_hang_up(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n{}"),
    "cut off": then_hang_up(GOOD[:-3]),
    "huge": http_answer(b" " * 70_000),
    "two lengths": http_answer(Content_Length="3, 4"),
    "length and chunks": chunked(b"{}").replace(b"OK\r\n", b"OK\r\nContent-Length: 3\r\n"),
}


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that anybody logs, and http.client as talkative as it can be."""
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("fault", [*ANSWERED, *UNREACHABLE])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("secret", [SECRET, ODD_SECRET])
def test_nobody_is_shown_a_secret_or_a_token(
    fault: str, endpoint: Endpoint, secret: str, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    texts: list[str] = []
    local: list[str] = []
    with Server(ANSWERED.get(fault, GOOD)) as server:
        keeper = wechat(UNREACHABLE.get(fault, server.url), timeout=0.1 if fault == "silence" else AMPLE)
        for call in (lambda: keeper.fetch(account(endpoint, secret)), lambda: keeper.is_alive(Secret(TOKEN))):
            try:
                texts.append(repr(call()))
            except FetchError as error:
                texts.extend(said(error))
                local.extend(held(error))
    text = "\n".join([*texts, log.getvalue(), *capfd.readouterr()])
    assert "Starting new HTTP connection" in text
    assert TOKEN not in text
    for spelling in spellings(secret):
        assert spelling not in text
        assert spelling not in "\n".join(local)


@pytest.mark.parametrize("name", ["jsapi_ticket", "access_token"])
@pytest.mark.parametrize("fault", ["HTML", "502", "wrong secret", "closed", "no HTTP"])
def test_nobody_is_shown_what_a_fetch_is_made_from(
    name: str, fault: str, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FetchError) as caught:
        ask(ANSWERED[fault], name, CORP)
    text = "\n".join([*said(caught.value), *held(caught.value), log.getvalue(), *capfd.readouterr()])
    assert TOKEN not in text
    assert SECRET not in text
