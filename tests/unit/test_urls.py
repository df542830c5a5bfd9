"""REDIS_URL in the forms that people write it in."""

from __future__ import annotations

from pathlib import Path

import pytest
from kombu.utils.url import url_to_parts
from support.processes import RedisServer
from support.readers import put_named as put

from tokenworker import AsyncTokenReader, TokenReader
from tokenworker.errors import ConfigError
from tokenworker.settings.urls import backend_url, celery_url, check_celery, check_redis
from tokenworker.store.connect import options
from tokenworker.store.store import Store

CANARY = "canary"

SOUND = [
    "redis://127.0.0.1",
    "redis://127.0.0.1/",
    "redis://127.0.0.1:6379",
    "redis://[::1]:6379/0",
    "redis://redis/15",
    f"redis://:{CANARY}@h/1",
    f"redis://me:{CANARY}%40%2F%23@h/1",
    f"redis://h/1?password={CANARY}&username=me",
    "redis://h?db=3",
    "redis://h/0?protocol=3",
    "redis://h/0?client_name=shop",
    "rediss://h:6380/0",
    "rediss://h/0?ssl_ca_certs=/etc/ca.pem&ssl_certfile=/etc/c.pem&ssl_keyfile=/etc/k.pem",
    "sentinel://s1/mymaster",
    f"sentinel://:{CANARY}@s1:26379,s2,[::1]:26379/my-master/2?sentinel_password={CANARY}",
    "sentinels://s1,s2/mymaster?db=3&ssl_ca_certs=/etc/ca.pem",
    f"cluster://:{CANARY}@n1:7000,n2:7001",
    "clusters://n1/0?ssl_ca_certs=/etc/ca.pem",
    "unix:///run/redis.sock",
    "unix:///run/redis.sock?db=2",
]
FAULTY = [
    "",
    "127.0.0.1:6379",
    "http://127.0.0.1:6379",
    "redis://",
    f"redis://:{CANARY}#1@h/0",
    f"redis://:{CANARY} @h/0",
    "redis://h:port/0",
    "redis://a..b/0",
    f"redis://{'a' * 64}.example/0",
    "redis://h:99999/0",
    "redis://h/zero",
    f"redis://:{CANARY}@h/0?family=0",
    f"redis://:{CANARY}@h/0?lazyConnect=true",
    "redis://h/0?protocol=4",
    "redis://h/0?db=one",
    "redis://h/0?ssl_ca_certs=/etc/ca.pem",
    "sentinel://s1,s2",
    "sentinel://s1,,s2/mymaster",
    "sentinel://s1:99999/mymaster",
    f"redis://h/0?sentinel_password={CANARY}",
    "sentinel://s1/mymaster?ssl_ca_certs=/etc/ca.pem",
    "cluster://n1/3",
    "cluster://n1?db=3",
]


@pytest.mark.parametrize("url", SOUND)
def test_a_sound_url_is_taken_as_it_is(url: str) -> None:
    faults: list[str] = []

    assert check_redis(url, faults) == url
    assert faults == []
    assert options(url, timeout=1)["socket_timeout"] == 1


@pytest.mark.parametrize("url", FAULTY)
def test_a_faulty_url_is_one_sentence_that_shows_no_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TokenReader(url)
    [fault] = caught.value.faults

    assert fault.startswith("REDIS_URL ")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "option",
    [
        "decode_responses=True",
        "socket_timeout=600",
        "socket_connect_timeout=600",
        "health_check_interval=0",
        "encoding=gbk",
        "max_connections=1",
        "retry_on_timeout=True",
        "socket_keepalive=False",
        "timeout=0",
    ],
)
def test_options_for_other_programs_in_the_same_url_change_nothing(server: RedisServer, option: str) -> None:
    url = f"{server.url}?{option}"
    with server.client() as client, TokenReader(url) as reader:
        put(Store(client))

        assert reader.get_token("wx1").access_token == "token-of-wx1"
    assert options(url, timeout=1) == options(server.url, timeout=1)


def test_an_unknown_option_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match=r"has family, which is unknown here: use db, username, .*, or take it out"):
        AsyncTokenReader("redis://h/0?family=0")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (f"redis://:{CANARY}#1@h/0", "has a '#', behind which all is cut off"),
        (f"amqp://me:{CANARY}#@h//", "has a '#', behind which all is cut off"),
        (f"redis://:{CANARY} @h/0", "is malformed"),
        (f"rediss://:{CANARY}@h:port/0", "is malformed"),
    ],
)
def test_a_url_of_celerys_own_is_checked_too(url: str, sentence: str) -> None:
    faults: list[str] = []
    check_celery(url, "CELERY_BROKER_URL", faults)

    assert len(faults) == 1
    assert faults[0].startswith(f"CELERY_BROKER_URL {sentence}")
    assert CANARY not in faults[0]


def test_celery_gets_the_option_that_it_asks_for_with_rediss() -> None:
    assert check_celery("rediss://h/0", "CELERY_RESULT_BACKEND", []) == "rediss://h/0?ssl_cert_reqs=required"
    assert check_celery("db+sqlite:///x.db", "CELERY_RESULT_BACKEND", []) == "db+sqlite:///x.db"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("unix:///run/redis.sock", "begins with unix://: Celery writes redis+socket:///run/redis.sock"),
        ("redis://h/0?ssl_cert_reqs=required", "has options for TLS, which are for rediss://"),
        ("redis://a/0;redis://b/zero", "is malformed"),
        (f"amqp://a//;amqp://me:{CANARY}#@b//", "has a '#'"),
    ],
)
def test_what_celery_meets_with_a_traceback_is_a_sentence(url: str, sentence: str) -> None:
    faults: list[str] = []
    check_celery(url, "CELERY_RESULT_BACKEND", faults)

    assert [fault.startswith(f"CELERY_RESULT_BACKEND {sentence}") for fault in faults] == [True]


@pytest.mark.parametrize(
    "url",
    [
        "redis://a/0;redis://b/0",
        "amqp://me:pw@a//;amqp://me:pw@b//",
        "redis+socket:///run/redis.sock?virtual_host=1",
        "sentinel://a:26379;sentinel://b:26379",
        "db+mysql://h/db?ssl_ca=/etc/ca.pem",
        "rediss://h/0?ssl_cert_reqs=CERT_REQUIRED",
    ],
)
def test_what_celery_understands_is_left_as_it_is(url: str) -> None:
    faults: list[str] = []

    assert check_celery(url, "CELERY_BROKER_URL", faults) == url
    assert faults == []


def test_each_of_several_brokers_gets_the_option_that_celery_asks_for() -> None:
    assert check_celery("rediss://a/0;rediss://b/0?ssl_ca_certs=/ca.pem", "CELERY_BROKER_URL", []) == (
        "rediss://a/0?ssl_cert_reqs=required;rediss://b/0?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required"
    )


@pytest.mark.parametrize(
    "url",
    [
        "redis://me@h/0?password=p%40w",
        "redis://:p%40w@h/0?username=me",
        "redis://me:p%40w@h/0?username=you&password=other",
        "redis://h/0?username=me&password=p%40w",
        "redis://me@h?db=1&db=2",
        "redis://h/3?db=0",
        "redis://:@h/1",
        "unix://me@/run/redis.sock?password=p%40w&db=1&db=2",
    ],
)
def test_the_queue_is_at_the_same_place_as_the_tokens_and_asks_as_the_same_user(url: str) -> None:
    ours, celerys = options(url, timeout=1), url_to_parts(celery_url(url))
    db = celerys.query.get("virtual_host", celerys.path)

    assert (celerys.username, celerys.password) == (ours.get("username"), ours.get("password"))
    assert int(db) == ours.get("db", 0)


def test_resp2_is_spoken_unless_told_otherwise() -> None:
    assert options("redis://h", timeout=1)["protocol"] == 2
    assert options("redis://h?protocol=3", timeout=1)["protocol"] == 3
    assert backend_url("redis://h?protocol=3") == "redis://h/0?protocol=3"
    assert backend_url("rediss://h/2") == "rediss://h/2?ssl_cert_reqs=required&protocol=2"
    assert celery_url("redis://h?protocol=3") == "redis://h/0"


def test_a_socket_file_gets_no_keepalive(tmp_path: Path) -> None:
    assert "socket_keepalive" not in options(f"unix://{tmp_path}/redis.sock", timeout=1)
