"""The settings: what each may say, and that no fault in one shows a password or a secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from ssl import CERT_REQUIRED
from typing import Any

import pytest
import redis
from celery import Celery
from support.processes import wait_for

from tokenworker.accounts.account import Account
from tokenworker.cli.up.embedded import server_command
from tokenworker.demo import DEMO_APPID, DEMO_SECRET
from tokenworker.durations import Durations
from tokenworker.errors import ConfigError
from tokenworker.secret import Secret
from tokenworker.settings.config import RUN_FILE, Config, startup_faults

APPID = "wxfedcba9876543210"
#: Looks like an AppSecret; no message, repr or traceback may hold it, nor a part of it.
CANARY = "c0ffee11c0ffee22c0ffee33c0ffee44"
CANARY_PARTS = [CANARY[at : at + 8] for at in range(0, 32, 8)]
SINGLE = {"WECHAT_APPID": APPID, "WECHAT_SECRET": CANARY}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where no `tokenworker up` runs."""
    monkeypatch.chdir("/")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(call: Callable[[], object]) -> list[str]:
    """Return why a call is refused, after a look for the canary in everything that people may see of it."""
    with pytest.raises(ConfigError) as caught:
        call()
    error = caught.value
    shown = f"{error} {error!r} {error.args} {''.join(traceback.format_exception(error))}"
    assert not [part for part in CANARY_PARTS if part in shown]
    assert error.__cause__ is None
    assert error.__context__ is None
    return error.faults


def faults(**environ: str) -> list[str]:
    """Return what is wrong with the settings."""
    return refused(lambda: Config.from_env(environ))


def account_faults(**environ: str) -> list[str]:
    """Return what is wrong with the accounts of sound settings."""
    return refused(lambda: Config.from_env(environ).accounts(environ))


def accounts(**environ: str) -> Mapping[str, Account]:
    return Config.from_env(environ).accounts(environ)


def write_accounts(folder: Path, *appids: str, **more: str) -> str:
    """Write a file of accounts and return its path."""
    lines = [f"{name} = {value}\n" for name, value in more.items()]
    tables = [f'[[account]]\nappid = "{appid}"\nsecret = "{CANARY}"\n{"".join(lines)}' for appid in appids]
    (folder / "accounts.toml").write_text("".join(tables))
    return str(folder / "accounts.toml")


# Defaults and values.

VARIABLES = [
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "CELERY_RESULT_BACKEND",
    "WECHAT_API_URL",
    "WECHAT_PROXY",
    "TOKENWORKER_PREFIX",
    "TOKENWORKER_LEEWAY",
    "TOKENWORKER_TICK",
    "TOKENWORKER_FETCH_TIMEOUT",
    "TOKENWORKER_TIME_SCALE",
    "TOKENWORKER_FETCH_RATE",
    "TOKENWORKER_FETCH_CONCURRENCY",
    "TOKENWORKER_REPLICAS",
    "TOKENWORKER_ACCOUNTS",
    "TOKENWORKER_SANDBOX",
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("redis_url", "redis://127.0.0.1:6379/0"),
        ("broker_url", "redis://127.0.0.1:6379/0"),
        ("result_backend", "redis://127.0.0.1:6379/0?protocol=2"),
        ("api_urls", ("https://api.weixin.qq.com", "https://api2.weixin.qq.com")),
        ("proxy", None),
        ("prefix", "tokenworker"),
        ("leeway", None),
        ("durations", Durations(tick=5, fetch_timeout=8)),
        ("fetch_rate", None),
        ("fetch_concurrency", None),
        ("accounts_file", None),
        ("sandbox", None),
    ],
)
@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_setting_that_is_unset_or_blank_has_its_default(name: str, expected: object, blank: str | None) -> None:
    environ = {} if blank is None else dict.fromkeys(VARIABLES, blank)

    assert getattr(Config.from_env(environ), name) == expected
    assert getattr(Config(), name) == expected


@pytest.mark.parametrize(
    ("variable", "value", "name", "expected"),
    [
        ("CELERY_BROKER_URL", "amqp://guest@rabbit//", "broker_url", "amqp://guest@rabbit//"),
        ("CELERY_RESULT_BACKEND", "rpc://", "result_backend", "rpc://"),
        ("WECHAT_API_URL", "https://wx.example.com", "api_urls", ("https://wx.example.com",)),
        (
            "WECHAT_API_URL",
            "https://a.cn/, https://b.cn:8443/x/ ,",
            "api_urls",
            ("https://a.cn", "https://b.cn:8443/x"),
        ),
        ("WECHAT_API_URL", "HTTPS://A.cn", "api_urls", ("HTTPS://A.cn",)),
        ("WECHAT_API_URL", "https://[2001:db8::1]:8443", "api_urls", ("https://[2001:db8::1]:8443",)),
        *[
            ("WECHAT_API_URL", url, "api_urls", (url,))
            for url in [
                "http://127.0.0.1",
                "http://127.0.0.1:8788/x",
                "http://[::1]:8788",
                "http://localhost:8788",
                "http://sandbox",
                "http://wechat_sandbox-1:8788",
            ]
        ],
        ("WECHAT_PROXY", "http://proxy:3128", "proxy", "http://proxy:3128"),
        ("WECHAT_PROXY", "https://me:pw%40@proxy.example.com", "proxy", "https://me:pw%40@proxy.example.com"),
        ("TOKENWORKER_PREFIX", "shop:wx_1.a-b", "prefix", "shop:wx_1.a-b"),
        ("TOKENWORKER_PREFIX", " wx ", "prefix", "wx"),
        ("TOKENWORKER_LEEWAY", "120", "leeway", 120.0),
        ("TOKENWORKER_LEEWAY", "0.25", "leeway", 0.25),
        ("TOKENWORKER_TICK", "0.05", "durations", Durations(tick=0.05)),
        ("TOKENWORKER_TICK", "86400", "durations", Durations(tick=86400)),
        ("TOKENWORKER_FETCH_TIMEOUT", " 2.5 ", "durations", Durations(fetch_timeout=2.5)),
        ("TOKENWORKER_TIME_SCALE", "1", "durations", Durations()),
        ("TOKENWORKER_TIME_SCALE", "0.001", "durations", Durations().scaled(0.001)),
        ("TOKENWORKER_FETCH_TIMEOUT", "0.05", "durations", Durations(fetch_timeout=0.05)),
        ("TOKENWORKER_FETCH_RATE", "0.5", "fetch_rate", 0.5),
        ("TOKENWORKER_FETCH_CONCURRENCY", "1", "fetch_concurrency", 1),
        ("TOKENWORKER_REPLICAS", "2", "replicas", 2),
        ("TOKENWORKER_ACCOUNTS", "etc/accounts.toml", "accounts_file", Path("etc/accounts.toml")),
    ],
)
def test_a_setting_is_read_from_its_variable(variable: str, value: str, name: str, expected: object) -> None:
    assert getattr(Config.from_env({variable: value}), name) == expected


@pytest.mark.parametrize(
    ("url", "replicas"),
    [("redis://h/0", 0), ("rediss://h/0", 0), ("sentinel://s1,s2/shop", 1), ("clusters://n1", 1)],
)
def test_a_replica_must_know_of_a_fetch_where_there_must_be_some(url: str, replicas: int) -> None:
    queue = {"CELERY_BROKER_URL": "redis://q/0", "CELERY_RESULT_BACKEND": "redis://q/0"}

    assert Config.from_env({"REDIS_URL": url, **queue}).replicas == replicas
    assert Config.from_env({"REDIS_URL": url, "TOKENWORKER_REPLICAS": "0", **queue}).replicas == 0


def test_the_time_scale_multiplies_every_duration() -> None:
    durations = Config.from_env({"TOKENWORKER_TIME_SCALE": "0.01"}).durations

    for field in fields(Durations):
        assert getattr(durations, field.name) == getattr(Durations(), field.name) * 0.01


def test_the_time_scale_leaves_alone_what_is_set_by_itself() -> None:
    explicit = {"TOKENWORKER_TICK": "2", "TOKENWORKER_FETCH_TIMEOUT": "3", "TOKENWORKER_LEEWAY": "200"}
    config = Config.from_env({"TOKENWORKER_TIME_SCALE": "0.01", **explicit})

    assert (config.durations.tick, config.durations.fetch_timeout, config.leeway) == (2, 3, 200)
    assert config.durations.overlap == 3


def test_the_lease_is_longer_than_the_fetch() -> None:
    assert Config.from_env({"TOKENWORKER_FETCH_TIMEOUT": "20"}).durations.lease == 37.5


# Values that can't be used.

EXAMPLE = "redis://127.0.0.1:6379/0"
SCHEMES = "redis://, rediss://, unix://, sentinel://, sentinels://, cluster://, clusters://"


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        *[
            (
                "REDIS_URL",
                url,
                f"must begin with one of {SCHEMES}; for example {EXAMPLE}",
            )
            for url in [
                "localhost:6379",
                "127.0.0.1",
                "http://localhost",
                f"REDIS://:{CANARY}@localhost",
                f"redis:/:{CANARY}@localhost",
                f"unix:/run/{CANARY}",
                "redis+sentinel://localhost",
                f"{CANARY}://localhost",
                CANARY,
            ]
        ],
        *[
            ("REDIS_URL", url, f"write for example {EXAMPLE}; in a password, %-encode what is special")
            for url in [
                "redis://",
                "redis:///0",
                f"redis://:{CANARY}@",
                f"redis://:{CANARY}@/0",
                f"redis://:{CANARY[:9]}/{CANARY}@localhost",
                f"redis://:{CANARY[:9]}?{CANARY}@localhost",
                f"redis://:{CANARY[:9]}#{CANARY}@localhost",
                f"redis://:[{CANARY}@localhost",
                f"redis://:{CANARY}]@localhost",
                f"redis://:{CANARY}@[::1",
                f"redis://:{CANARY}@[1.2.3]",
                f"redis://:{CANARY}@[::::]",
                f"redis://:{CANARY} x@localhost",
                f"redis://:{CANARY}\u2100@localhost",
                f"redis://:{CANARY}密@localhost",
                f"redis://localhost:{CANARY}",
                "redis://localhost:0/0",
                "redis://localhost:65536/0",
                "redis://localhost:6379/db0",
                "redis://localhost:6379/-1",
                "redis://localhost:6379/0/",
                f"redis://localhost/0#{CANARY}",
                f"redis://localhost/0?password={CANARY} x",
            ]
        ],
        ("REDIS_URL", f"rediss://:{CANARY}@h:x", "write for example rediss://redis.example.com:6379/0"),
        *[
            ("REDIS_URL", url, "write for example unix:///run/redis.sock?db=0")
            for url in ["unix://", "unix:///", "unix://run/redis.sock", f"unix://:{CANARY}@", f"unix://:{CANARY}@run/x"]
        ],
        ("REDIS_URL", f"redis://:{CANARY}@localhost?db={CANARY}", "has a db that is no number: write for example db=0"),
        ("REDIS_URL", f"unix://:{CANARY}@/run/x?db=-1", "has a db that is no number"),
        *[
            ("REDIS_URL", f"rediss://:{CANARY}@h/0?{options}", "must leave ssl_cert_reqs out")
            for options in [
                "ssl_cert_reqs=none",
                "ssl_cert_reqs=CERT_NONE",
                "ssl_cert_reqs=optional",
                "ssl_cert_reqs=%6eone",
                f"ssl_ca_certs=/x.pem&ssl_cert_reqs={CANARY}",
            ]
        ],
        *[
            ("WECHAT_API_URL", url, "write https://host or https://host:port/path, several with commas")
            for url in [
                ",",
                "api.weixin.qq.com",
                "//api.weixin.qq.com",
                "https:api.weixin.qq.com",
                "https://",
                "https:///cgi-bin",
                "https：//api.weixin.qq.com",  # noqa: RUF001  as Chinese keyboards write it
                "https://api.weixin.qq.com，https://api2.weixin.qq.com",  # noqa: RUF001
                "https://api.weixin.qq.com https://api2.weixin.qq.com",
                "https://api.weixin.qq.com;https://api2.weixin.qq.com",
                "ftp://api.weixin.qq.com",
                f"{CANARY}:x@api.weixin.qq.com",
                f"https://user:{CANARY}@api.weixin.qq.com",
                f"https://:{CANARY}@api.weixin.qq.com",
                f"https://{CANARY}@api.weixin.qq.com",
                f"https://user:{CANARY}/@api.weixin.qq.com",
                f"https://user/{CANARY}@api.weixin.qq.com",
                f"https://user:{CANARY[:9]}#{CANARY}@api.weixin.qq.com",
                f"http://user:{CANARY}@localhost",
                f"https://api.weixin.qq.com?secret={CANARY}",
                f"https://api.weixin.qq.com/#{CANARY}",
                f"https://user:{CANARY}@[::1",
                f"https://api.weixin.qq.com,https://user:{CANARY}@api2.weixin.qq.com",
                "https://api.weixin.qq.com:0",
                "https://api.weixin.qq.com:65536",
                "https://api.weixin.qq.com:https",
                "https://api.weixin.qq.com:",
            ]
        ],
        *[
            ("WECHAT_API_URL", url, "in clear text: write https://")
            for url in [
                "http://api.weixin.qq.com",
                "HTTP://api.weixin.qq.com",
                "http://api.weixin.qq.com:80/x",
                "http://10.0.0.1",
                "http://127.0.0.1.example.com",
                "http://127.0.0.11",
                "http://localhost.example.com",
                "http://2130706433",
                "http://0x08080808",
                "http://[2001:db8::1]:8443",
                "http://[::11]",
                "https://api.weixin.qq.com,http://api2.weixin.qq.com",
            ]
        ],
        *[
            ("WECHAT_PROXY", url, "write for example http://proxy.example.com:3128")
            for url in [
                "proxy:3128",
                f"socks5://me:{CANARY}@proxy",
                f"http://me:{CANARY}@",
                f"http://me:{CANARY}@proxy:x",
                f"http://me:{CANARY[:9]}/{CANARY}@proxy",
                f"http://proxy/{CANARY}",
                f"http://me:{CANARY}@[::1",
            ]
        ],
        *[
            ("TOKENWORKER_PREFIX", prefix, "use letters, digits, '_', '.', ':' and '-'")
            for prefix in ["a b", "{a}", "a{b", "a*", "店", "a\nb", "a/b", "x" * 50 + "!"]
        ],
        *[
            (variable, value, f"write a number, {least} and at most 86400, such as 5 or 0.5")
            for variable, least in [
                ("TOKENWORKER_TICK", "at least 0.05"),
                ("TOKENWORKER_LEEWAY", "more than 0"),
                ("TOKENWORKER_FETCH_TIMEOUT", "at least 0.05"),
                ("TOKENWORKER_TIME_SCALE", "at least 0.001"),
                ("TOKENWORKER_FETCH_RATE", "more than 0"),
            ]
            for value in ["0", "-1", "nan", "inf", "-inf", "5s", "5,5", "True", "1e400", "86400.1", "0x10", "½"]
        ],
        ("TOKENWORKER_TICK", "0.0499", "at least 0.05"),
        ("TOKENWORKER_FETCH_TIMEOUT", "1e-300", "at least 0.05"),
        ("TOKENWORKER_TIME_SCALE", "0.0009", "at least 0.001"),
        *[
            ("TOKENWORKER_FETCH_CONCURRENCY", value, "write a whole number, 1 or more")
            for value in ["0", "-1", "1.5", "nan", "x", "٣", "1_0", "9" * 5000]
        ],
        *[
            ("TOKENWORKER_REPLICAS", value, "write a whole number from 0 to 9")
            for value in ["-1", "1.5", "x", "٣", "10"]
        ],
    ],
)
def test_a_value_that_can_not_be_used_is_refused_by_name_and_with_what_to_write(
    variable: str, value: str, advice: str
) -> None:
    (fault,) = faults(**(SINGLE | {variable: value}))

    assert fault.startswith(variable)
    assert advice in fault


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REDIS_URL", f"'redis://:{CANARY}@h/0'"),
        ("REDIS_URL", f'"redis://:{CANARY}@h/0"'),
        ("CELERY_BROKER_URL", f"'amqp://me:{CANARY}@h//'"),
        ("WECHAT_APPID", f"'{APPID}'"),
        ("WECHAT_SECRET", f'"{CANARY}"'),
        ("TOKENWORKER_TICK", '"5"'),
        ("TOKENWORKER_PREFIX", " 'shop'\r"),
        ("TOKENWORKER_LEEWAY", "''"),
    ],
)
def test_quotes_that_docker_hands_on_are_the_only_fault(variable: str, value: str) -> None:
    assert startup_faults(SINGLE | {variable: value})[0] == (
        f"{variable} is in quotes, which are part of it here: write it without them"
    )
    assert len(startup_faults(SINGLE | {variable: value})) == 1


@pytest.mark.parametrize("end", ["\r", "\r\n", " ", "\t", "\u00a0"])
def test_what_windows_leaves_at_the_end_of_a_value_does_not_belong_to_it(end: str) -> None:
    given = SINGLE | {"REDIS_URL": "redis://h/1", "TOKENWORKER_TICK": "2", "TOKENWORKER_PREFIX": "x"}
    plain = Config.from_env(given)

    environ = {name: value + end for name, value in given.items()}
    assert Config.from_env(environ) == plain
    assert plain.accounts(environ) == plain.accounts(given)


def test_a_value_of_any_length_makes_a_short_message() -> None:
    found = faults(TOKENWORKER_TICK="9" * 10_000, TOKENWORKER_PREFIX="!" * 10_000, REDIS_URL="x" * 10_000)

    assert len(found) == 3
    assert max(len(fault) for fault in found) < 200


def test_all_faults_of_the_settings_are_listed_at_once() -> None:
    bad = {
        "REDIS_URL": f"redis://:{CANARY}@h:x",
        "WECHAT_API_URL": f"http://a.cn,https://u:{CANARY}@b.cn",
        "WECHAT_PROXY": CANARY,
        "TOKENWORKER_PREFIX": "a b",
        "TOKENWORKER_LEEWAY": "soon",
        "TOKENWORKER_TIME_SCALE": "0",
        "TOKENWORKER_TICK": "0",
        "TOKENWORKER_FETCH_TIMEOUT": "0",
    }
    found = faults(**bad)

    assert [fault.split()[0] for fault in found] == [
        "REDIS_URL",
        "WECHAT_API_URL",
        "WECHAT_API_URL",
        *[variable for variable in bad if variable not in ("REDIS_URL", "WECHAT_API_URL")],
    ]


def test_the_faults_at_a_start_are_those_of_the_settings_and_the_accounts(folder: Path) -> None:
    file = write_accounts(folder, "a", leeway="0")
    found = startup_faults(
        {"REDIS_URL": "x", "TOKENWORKER_TICK": "0", "WECHAT_APPID": APPID, "TOKENWORKER_ACCOUNTS": file}
    )

    assert len(found) == 4
    for fault, word in zip(found, ["REDIS_URL", "TOKENWORKER_TICK", "WECHAT_SECRET", "leeway"], strict=True):
        assert word in fault


def test_that_there_is_no_account_is_listed_beside_other_faults() -> None:
    found = startup_faults({"TOKENWORKER_TICK": "0"})

    assert [fault.split()[0] for fault in found] == ["TOKENWORKER_TICK", "no"]


def test_sound_settings_have_no_faults_at_a_start() -> None:
    assert startup_faults(SINGLE) == []


# Redis, for us and for Celery.


@pytest.mark.parametrize(
    ("url", "for_celery"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://redis", "redis://redis/0"),
        ("redis://redis/", "redis://redis/0"),
        ("redis://redis:6380/3", "redis://redis:6380/3"),
        ("redis://redis?db=4", "redis://redis/4"),
        ("redis://redis/3?db=4", "redis://redis/4"),
        ("redis://redis_1.example.com/1", "redis://redis_1.example.com/1"),
        ("redis://[::1]:6379/1", "redis://[::1]:6379/1"),
        ("redis://:p%40%2F@h/1", "redis://:p%40%2F@h/1"),
        ("redis://me:pw@h/1", "redis://me:pw@h/1"),
        ("redis://me:p@w@h/1", "redis://me:p@w@h/1"),
        ("redis://h/1?password=p%40", "redis://:p%40@h/1"),
        ("redis://h/1?username=me&password=pw", "redis://me:pw@h/1"),
        ("redis://h/1?protocol=3&health_check_interval=5", "redis://h/1"),
        ("rediss://h/1", "rediss://h/1?ssl_cert_reqs=required"),
        ("rediss://h/1?ssl_cert_reqs=required", "rediss://h/1?ssl_cert_reqs=required"),
        (
            "rediss://:pw@h:6380/1?ssl_ca_certs=/etc/ca.pem&protocol=3",
            "rediss://:pw@h:6380/1?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=required",
        ),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
        ("unix://:p%40@/run/redis.sock?db=3", "redis+socket://:p%40@/run/redis.sock?virtual_host=3"),
        ("unix://me:pw@/run/redis.sock", "redis+socket://me:pw@/run/redis.sock?virtual_host=0"),
        ("unix:///run/redis.sock?db=3&password=p%40", "redis+socket://:p%40@/run/redis.sock?virtual_host=3"),
    ],
)
def test_celery_gets_the_url_of_redis_in_its_own_words(url: str, for_celery: str) -> None:
    config = Config.from_env({"REDIS_URL": url})

    protocol = "3" if "protocol=3" in url else "2"
    assert config.redis_url == url.replace("&health_check_interval=5", "")
    assert config.broker_url == for_celery
    assert config.result_backend == f"{for_celery}{'&' if '?' in for_celery else '?'}protocol={protocol}"


@pytest.mark.parametrize("url", ["rediss://h:6379/0", "rediss://h:6379/0?ssl_ca_certs=/etc/ca.pem"])
def test_celery_checks_certificates_like_redis_py(url: str) -> None:
    config = Config.from_env({"REDIS_URL": url})
    app = Celery(broker=config.broker_url, backend=config.result_backend)
    backend: Any = app.backend
    broker: Any = app.connection_for_write()

    assert backend.connparams["ssl_cert_reqs"] == CERT_REQUIRED
    assert broker.ssl["ssl_cert_reqs"] == CERT_REQUIRED


@pytest.fixture
def socket_with_password(folder: Path) -> Iterator[Path]:
    """A server on a Unix socket that wants the canary."""
    path = folder / "redis.sock"
    options = ["--unixsocket", str(path), "--requirepass", CANARY]
    with subprocess.Popen([*server_command(0, folder), *options], stdout=subprocess.DEVNULL) as server:
        wait_for(path.exists)
        yield path
        server.kill()


@pytest.mark.parametrize("form", ["unix://:{}@{}?db=3", "unix://{1}?db=3&password={0}"])
def test_we_and_celery_reach_the_same_database_of_a_unix_socket(form: str, socket_with_password: Path) -> None:
    config = Config.from_env({"REDIS_URL": form.format(CANARY, socket_with_password)})
    app = Celery(broker=config.broker_url, backend=config.result_backend)
    backend: Any = app.backend
    with app:
        app.send_task("anything", queue="tokenworker")
        backend.set("result", b"kept")
    with redis.Redis.from_url(config.redis_url) as client:
        assert client.llen("tokenworker") == 1
        assert client.get("result") == b"kept"


@pytest.mark.parametrize("variable", ["CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"])
def test_celerys_own_url_wins_for_what_it_names_alone(variable: str) -> None:
    config = Config.from_env({"REDIS_URL": "redis://tokens/1", variable: "redis://queue/2"})

    urls = {"CELERY_BROKER_URL": config.broker_url, "CELERY_RESULT_BACKEND": config.result_backend}
    assert urls.pop(variable) == "redis://queue/2"
    assert [url.removesuffix("?protocol=2") for url in urls.values()] == ["redis://tokens/1"]
    assert config.redis_url == "redis://tokens/1"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REDIS_URL", f"redis://:{CANARY}@h/1"),
        ("REDIS_URL", f"rediss://me:{CANARY}@h/1"),
        ("REDIS_URL", f"unix://:{CANARY}@/run/x"),
        ("REDIS_URL", f"unix:///run/x?password={CANARY}"),
        ("CELERY_BROKER_URL", f"amqp://me:{CANARY}@rabbit//"),
        ("CELERY_RESULT_BACKEND", f"db+postgresql://me:{CANARY}@h/x"),
        ("WECHAT_PROXY", f"http://me:{CANARY}@proxy"),
    ],
)
def test_a_password_is_not_shown_with_the_settings(variable: str, value: str) -> None:
    config = Config.from_env({variable: value})

    assert CANARY not in f"{config} {config!r}"
    assert not [fault for fault in startup_faults({variable: value}) if CANARY in fault]


# Where `tokenworker up` runs.


def write_run_file(pid: object) -> None:
    RUN_FILE.parent.mkdir()
    RUN_FILE.write_text(json.dumps({"pid": pid, "redis_url": "redis://127.0.0.1:6389/0", "prefix": "up"}))


@pytest.mark.usefixtures("folder")
def test_in_the_folder_of_a_running_up_its_redis_and_prefix_are_the_defaults() -> None:
    write_run_file(os.getpid())
    config = Config.from_env({})

    assert (config.redis_url, config.broker_url) == ("redis://127.0.0.1:6389/0", "redis://127.0.0.1:6389/0")
    assert config.prefix == "up"


@pytest.mark.usefixtures("folder")
def test_the_environment_wins_over_a_running_up() -> None:
    write_run_file(os.getpid())

    assert Config.from_env({"TOKENWORKER_PREFIX": "mine"}).prefix == "mine"
    config = Config.from_env({"REDIS_URL": "redis://mine/0"})
    assert (config.redis_url, config.prefix) == ("redis://mine/0", "tokenworker")


@pytest.mark.usefixtures("folder")
def test_an_up_that_was_killed_counts_no_more() -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    write_run_file(dead.pid)

    assert Config.from_env({}) == Config()


@pytest.mark.parametrize("pid", [None, "1", [], 1.5, 10**30])
@pytest.mark.usefixtures("folder")
def test_a_run_file_without_a_process_counts_for_nothing(pid: object) -> None:
    write_run_file(pid)

    assert Config.from_env({}) == Config()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"1", b"null", b"\xff", b'{"pid": 1}', b'"pid"'])
@pytest.mark.usefixtures("folder")
def test_a_broken_run_file_counts_for_nothing(content: bytes) -> None:
    RUN_FILE.parent.mkdir()
    RUN_FILE.write_bytes(content)

    assert Config.from_env({}) == Config()


# The sandbox.

SANDBOX = {"TOKENWORKER_SANDBOX": "http://127.0.0.1:8788"}


def test_a_sandbox_stands_in_for_wechat_while_there_is_no_account() -> None:
    config = Config.from_env({**SANDBOX, "WECHAT_API_URL": "https://wx.example.com"})

    assert config.api_urls == ("http://127.0.0.1:8788",)
    assert config.accounts({}) == {DEMO_APPID: Account(DEMO_APPID, Secret(DEMO_SECRET), name="sandbox")}


@pytest.mark.parametrize("account", [SINGLE, {"WECHAT_SECRET": CANARY}, {"TOKENWORKER_ACCOUNTS": "/x"}])
def test_a_sandbox_never_hears_of_an_account(account: dict[str, str]) -> None:
    config = Config.from_env({**SANDBOX, **account})

    assert config.sandbox is None
    assert config.api_urls == Config().api_urls


@pytest.mark.parametrize("url", ["127.0.0.1:8788", f"http://u:{CANARY}@127.0.0.1", "http://sandbox.example.com"])
def test_a_url_of_a_sandbox_that_can_not_be_used_is_refused_by_name(url: str) -> None:
    (fault,) = faults(TOKENWORKER_SANDBOX=url)

    assert fault.startswith("TOKENWORKER_SANDBOX")


# The account of the environment.


def test_an_appid_and_a_secret_make_an_account() -> None:
    assert accounts(**SINGLE) == {APPID: Account(APPID, Secret(CANARY))}


def test_all_variables_of_the_account_are_read(folder: Path) -> None:
    (folder / "secret").write_text(f"{CANARY}\n")
    environ = {
        "WECHAT_APPID": f" {APPID} ",
        "WECHAT_SECRET_FILE": str(folder / "secret"),
        "WECHAT_ENDPOINT": "token",
        "WECHAT_TOKEN_KEY": "YG-WECHAT-TOKEN",
    }

    expected = Account(APPID, Secret(CANARY), "", "token", None, ("YG-WECHAT-TOKEN",), str(folder / "secret"))
    assert accounts(**environ) == {APPID: expected}


def test_blank_variables_are_as_good_as_unset() -> None:
    blank = {"WECHAT_SECRET_FILE": " ", "WECHAT_ENDPOINT": "", "WECHAT_TOKEN_KEY": "", "TOKENWORKER_ACCOUNTS": " "}

    assert accounts(**SINGLE, **blank) == {APPID: Account(APPID, Secret(CANARY))}


def test_without_any_account_one_hears_how_to_name_one() -> None:
    (fault,) = account_faults()

    for way in ("WECHAT_APPID and WECHAT_SECRET", ".env", "TOKENWORKER_ACCOUNTS", "`tokenworker up`"):
        assert way in fault


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {"WECHAT_SECRET": CANARY},
            ["WECHAT_APPID is missing, but WECHAT_SECRET is set: set WECHAT_APPID too, or none of them"],
        ),
        (
            {"WECHAT_ENDPOINT": "token", "WECHAT_SECRET": CANARY},
            ["WECHAT_APPID is missing, but WECHAT_SECRET, WECHAT_ENDPOINT is set"],
        ),
        ({"WECHAT_TOKEN_KEY": "K"}, ["WECHAT_APPID is missing, but WECHAT_TOKEN_KEY is", "WECHAT_SECRET or"]),
        ({"WECHAT_APPID": APPID}, ["set either WECHAT_SECRET or WECHAT_SECRET_FILE for WECHAT_APPID: neither is set"]),
        (
            {**SINGLE, "WECHAT_SECRET_FILE": "/x"},
            ["WECHAT_SECRET or WECHAT_SECRET_FILE for WECHAT_APPID: both are set"],
        ),
        ({"WECHAT_APPID": CANARY, "WECHAT_SECRET": APPID}, ["WECHAT_APPID must be an appid as WeChat shows it"]),
        ({**SINGLE, "WECHAT_APPID": "wx 1"}, ["WECHAT_APPID must be an appid as WeChat shows it"]),
        ({**SINGLE, "WECHAT_APPID": "{wx}"}, ["WECHAT_APPID must be an appid as WeChat shows it"]),
        ({**SINGLE, "WECHAT_APPID": f'"{APPID}"'}, ["WECHAT_APPID is in quotes, which are part of it here"]),
        ({**SINGLE, "WECHAT_SECRET": f'"{CANARY}"'}, ["WECHAT_SECRET is in quotes, which are part of it here"]),
        ({**SINGLE, "WECHAT_SECRET": f'"{CANARY}'}, ["WECHAT_SECRET holds no AppSecret"]),
        ({**SINGLE, "WECHAT_SECRET": f"{CANARY} {CANARY}"}, ["WECHAT_SECRET holds no AppSecret"]),
        ({**SINGLE, "WECHAT_ENDPOINT": "tokn"}, ["WECHAT_ENDPOINT must be stable_token or token"]),
        ({**SINGLE, "WECHAT_TOKEN_KEY": "wechatpy"}, ["WECHAT_TOKEN_KEY names 'wechatpy', an SDK's format"]),
        ({**SINGLE, "WECHAT_KEEP": "jsapi"}, ["WECHAT_APPID: keep names what it can't"]),
        (
            {**SINGLE, "WECHAT_KEEP": ","},
            ["WECHAT_KEEP must list credentials, at least one, for example access_token,j"],
        ),
        ({**SINGLE, "WECHAT_TOKEN_KEY": "a\nb"}, ["WECHAT_TOKEN_KEY must be"]),
        ({**SINGLE, "WECHAT_TOKEN_KEY": "tokenworker"}, ["WECHAT_TOKEN_KEY is one of tokenworker's own"]),
        ({**SINGLE, "WECHAT_TOKEN_KEY": "tokenworker:due"}, ["WECHAT_TOKEN_KEY is one of tokenworker's own"]),
        (
            {**SINGLE, "WECHAT_TOKEN_KEY": "wx:due", "TOKENWORKER_PREFIX": "wx"},
            ["WECHAT_TOKEN_KEY is one of tokenworker's own"],
        ),
        ({"WECHAT_APPID": APPID, "WECHAT_SECRET_FILE": CANARY}, ["WECHAT_SECRET_FILE can't be read: No such file"]),
        (
            {"WECHAT_APPID": APPID, "WECHAT_SECRET_FILE": "/no/secret/appid"},
            ["WECHAT_SECRET_FILE /no/secret/appid can't be read: No such file"],
        ),
        (
            {"WECHAT_APPID": "a b", "WECHAT_SECRET": "a b", "WECHAT_ENDPOINT": "x", "WECHAT_TOKEN_KEY": "wxjava"},
            ["WECHAT_APPID must", "WECHAT_SECRET holds", "WECHAT_ENDPOINT must", "WECHAT_TOKEN_KEY names"],
        ),
    ],
)
def test_an_account_that_can_not_be_used_is_refused_by_its_variables(
    environ: dict[str, str], expected: list[str]
) -> None:
    found = account_faults(**environ)

    assert len(found) == len(expected)
    for fault, words in zip(found, expected, strict=True):
        assert words in fault


@pytest.mark.parametrize(
    "text", ["jsapi_ticket", "access_token,jsapi_ticket", " jsapi_ticket , access_token", ",jsapi_ticket, ,"]
)
def test_the_one_account_keeps_what_its_variable_lists(text: str) -> None:
    (account,) = accounts(**SINGLE, WECHAT_KEEP=text).values()

    assert sorted(account.keep) == ["access_token", "jsapi_ticket"]


@pytest.mark.parametrize("key", ["YG-WECHAT-TOKEN", "tokenworkers", "token:worker", "tokenworker-copy", "shop:token"])
def test_a_published_key_may_be_any_that_is_not_our_own(key: str) -> None:
    (account,) = accounts(**SINGLE, WECHAT_TOKEN_KEY=key).values()

    assert account.publish == (key,)


# The account of the environment and the file of accounts together.


def test_the_account_of_the_environment_and_those_of_the_file_are_all_kept(folder: Path) -> None:
    assert list(accounts(**SINGLE, TOKENWORKER_ACCOUNTS=write_accounts(folder, "b", "a"))) == [APPID, "b", "a"]


def test_an_empty_file_is_no_fault_beside_the_account_of_the_environment(folder: Path) -> None:
    assert list(accounts(**SINGLE, TOKENWORKER_ACCOUNTS=write_accounts(folder))) == [APPID]


def test_one_appid_in_the_environment_and_in_the_file_is_refused_naming_both_places(folder: Path) -> None:
    file = write_accounts(folder, "a", APPID)

    assert account_faults(**SINGLE, TOKENWORKER_ACCOUNTS=file) == [
        f"account {APPID} stands twice: WECHAT_APPID, and {file}: account 2 ({APPID})"
    ]


def test_one_key_in_the_environment_and_in_the_file_is_refused_naming_both_places(folder: Path) -> None:
    file = write_accounts(folder, "a", publish='["K"]')

    (fault,) = account_faults(**SINGLE, WECHAT_TOKEN_KEY="K", TOKENWORKER_ACCOUNTS=file)
    assert fault == f"the key of publish or WECHAT_TOKEN_KEY, K stands twice: WECHAT_APPID, and {file}: account 1 (a)"


def test_the_faults_of_both_are_listed_at_once(folder: Path) -> None:
    file = write_accounts(folder, "a b", "c", leeway="0")
    found = account_faults(WECHAT_APPID=APPID, WECHAT_ENDPOINT="x", TOKENWORKER_ACCOUNTS=file)

    for fault, word in zip(found, ["WECHAT_SECRET", "WECHAT_ENDPOINT", "appid", "leeway", "leeway"], strict=True):
        assert word in fault


def test_a_file_that_is_missing_is_named_also_beside_a_sound_account(folder: Path) -> None:
    (fault,) = account_faults(**SINGLE, TOKENWORKER_ACCOUNTS=f"{folder}/none.toml")

    assert fault == f"{folder}/none.toml: can't be read: No such file or directory"


# The leeway for all, and the endpoint of each.


@pytest.mark.parametrize(
    ("leeway", "more"),
    [
        ("300", {}),
        ("299.9", {}),
        ("301", {"WECHAT_ENDPOINT": "token"}),
        ("7000", {"WECHAT_ENDPOINT": "token"}),
    ],
)
def test_a_leeway_for_all_that_suits_the_endpoint_is_taken(leeway: str, more: dict[str, str]) -> None:
    assert list(accounts(**SINGLE, TOKENWORKER_LEEWAY=leeway, **more)) == [APPID]


@pytest.mark.parametrize("leeway", ["300.1", "301", "3600"])
def test_a_leeway_for_all_beyond_the_window_of_stable_token_is_refused(leeway: str) -> None:
    (fault,) = account_faults(**SINGLE, TOKENWORKER_LEEWAY=leeway)

    assert fault.startswith(f"TOKENWORKER_LEEWAY is {leeway}, but WECHAT_APPID has the endpoint stable_token")
    assert "write 295" in fault


def test_a_leeway_for_all_does_not_concern_accounts_with_their_own(folder: Path) -> None:
    file = write_accounts(folder, "a", "b", leeway="200")

    assert list(accounts(TOKENWORKER_LEEWAY="3600", TOKENWORKER_ACCOUNTS=file)) == ["a", "b"]


def test_a_leeway_for_all_that_suits_many_accounts_ill_is_one_fault(folder: Path) -> None:
    file = write_accounts(folder, *"abcdef")

    (fault,) = account_faults(TOKENWORKER_LEEWAY="3600", TOKENWORKER_ACCOUNTS=file)
    assert f"{file}: account 1 (a) and 5 more" in fault


def test_an_endpoint_that_is_wrong_does_not_make_the_leeway_wrong_too() -> None:
    (fault,) = account_faults(**SINGLE, WECHAT_ENDPOINT="tokn", TOKENWORKER_LEEWAY="3600")

    assert "WECHAT_ENDPOINT" in fault


def test_settings_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        Config().prefix = "other"  # type: ignore[misc]


@pytest.mark.parametrize(("credentials", "rate", "concurrency"), [(1, 20, 8), (18_000, 20, 8), (100_000, 111.1, 45)])
def test_the_limits_fit_the_number_of_credentials(credentials: int, rate: float, concurrency: int) -> None:
    config = Config.from_env({})

    assert config.rate_for(credentials) == pytest.approx(rate, abs=0.1)
    assert config.concurrency_for(credentials) == concurrency


def test_a_limit_that_is_set_holds_whatever_is_kept() -> None:
    config = Config.from_env({"TOKENWORKER_FETCH_RATE": "50"})
    assert (config.rate_for(100_000), config.concurrency_for(100_000)) == (50, 20)

    config = Config.from_env({"TOKENWORKER_FETCH_CONCURRENCY": "3"})
    assert config.concurrency_for(100_000) == 3
