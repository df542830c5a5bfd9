"""Names of settings that are nearly right, and other programs' names that look like them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenworker.settings.config import broker_notes, startup_faults
from tokenworker.settings.variables import SETTINGS, misspelt

SECRET = "c0ffee11c0ffee22c0ffee33c0ffee44"
SINGLE = {"WECHAT_APPID": "wx1", "WECHAT_SECRET": SECRET}


def faults(environ: dict[str, str]) -> list[str]:
    return [fault for fault in startup_faults(environ) if "there is no such setting" in fault]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TOKENWORKER_ACCOUNT", "TOKENWORKER_ACCOUNTS"),
        ("TOKENWORKER_ACOUNTS", "TOKENWORKER_ACCOUNTS"),
        ("TOKENWORKER_ACCOUNTS_FILE", "TOKENWORKER_ACCOUNTS"),
        ("TOKENWORKER_ACCUONTS", "TOKENWORKER_ACCOUNTS"),
        ("TOKEN_WORKER_ACCOUNTS", "TOKENWORKER_ACCOUNTS"),
        ("TOKENWORKR_ACCOUNTS", "TOKENWORKER_ACCOUNTS"),
        ("tokenworker_accounts", "TOKENWORKER_ACCOUNTS"),
        ("TokenWorker_Accounts", "TOKENWORKER_ACCOUNTS"),
        ("TOKENWORKER_LEEWAYS", "TOKENWORKER_LEEWAY"),
        ("TOKENWORKER_TICKS", "TOKENWORKER_TICK"),
        ("TOKENWORKER_TIMESCALE", "TOKENWORKER_TIME_SCALE"),
        ("WECHAT_APP_ID", "WECHAT_APPID"),
        ("WECHAT_APPSECRET", "WECHAT_SECRET"),
        ("WECHAT_APP_SECRET", "WECHAT_SECRET"),
        ("WECHAT_SECERT", "WECHAT_SECRET"),
        ("WECHAT_SECRETS", "WECHAT_SECRET"),
        ("WECHAT_SECRETFILE", "WECHAT_SECRET_FILE"),
        ("WECHAT_APPSECRET_FILE", "WECHAT_SECRET_FILE"),
        ("WECHAT_ENDPONT", "WECHAT_ENDPOINT"),
        ("WECHAT_API_URLS", "WECHAT_API_URL"),
        ("WECHAT_PROXI", "WECHAT_PROXY"),
        ("wechat_appid", "WECHAT_APPID"),
        ("WeChat_AppId", "WECHAT_APPID"),
        ("WECHT_APPID", "WECHAT_APPID"),
    ],
)
def test_a_name_that_is_nearly_right_is_refused_with_the_right_one(name: str, meant: str) -> None:
    assert faults({name: "x"}) == [f"{name} is set, but there is no such setting: write {meant}"]


@pytest.mark.parametrize("name", ["TOKENWORKER_DEBUG", "TOKENWORKER_X", "tokenworker_colour", "TOKENWORKER_"])
def test_an_unknown_name_that_begins_like_ours_is_refused(name: str) -> None:
    assert faults(SINGLE | {name: "x"}) == [
        f"{name} is set, but there is no such setting: take it out, or look for the right name in the README"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "WECHAT_PAY_KEY",
        "WECHAT_MCH_ID",
        "WECHAT_TOKEN",
        "WECHAT_AES_KEY",
        "WECHAT_CORPID",
        "WECHAT_CORP_ID",
        "WECHAT_CORP_SECRET",
        "WECHAT_MP_APPID",
        "WECHAT_MP_SECRET",
        "WECHAT_PAY_APPID",
        "WECHAT_OPENID",
        "WECHAT_API_KEY",
        "WECHAT_PROXY_HOST",
        "WECHATY_TOKEN",
        "WECHAT_SECRET_SHOP",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_URI",
        "REDIS_URLS",
        "CELERY_BROKER",
        "CELERY_BROKER_URLS",
        "TOKEN",
        "",
    ],
)
def test_names_of_other_programs_are_no_faults(name: str) -> None:
    assert startup_faults(SINGLE | {name: "x"}) == []
    assert faults({name: "x"}) == []


@pytest.mark.parametrize("name", ["WECHAT_APP_ID", "WECHAT_APPSECRET", "wechat_appid", "WECHAT_SECRETS"])
def test_another_programs_account_may_stand_beside_ours(name: str, tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(f'[[account]]\nappid = "a"\nsecret = "{SECRET}"\n')

    assert startup_faults(SINGLE | {name: "x"}) == []
    assert startup_faults({"TOKENWORKER_ACCOUNTS": str(file), name: "x"}) == []


def test_another_programs_secret_may_stand_beside_our_secret_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    ours = {"WECHAT_APPID": "wx1", "WECHAT_SECRET_FILE": str(tmp_path / "secret")}

    assert startup_faults(ours | {"WECHAT_APP_SECRET": "x"}) == []


@pytest.mark.parametrize("name", ["TOKENWORKER_SHOP", "TOKENWORKER_ACCOUNT", "WECHAT_SECRET_1", "WECHAT_SECRETS"])
def test_a_variable_that_the_accounts_name_for_a_secret_may_have_any_name(name: str, tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(f'[[account]]\nappid = "a"\nsecret_env = "{name}"\n')

    assert startup_faults({"TOKENWORKER_ACCOUNTS": str(file), name: SECRET}) == []


def test_while_the_accounts_can_not_be_read_only_what_is_nearly_right_is_refused(tmp_path: Path) -> None:
    environ = {"TOKENWORKER_ACCOUNTS": str(tmp_path / "none"), "TOKENWORKER_SHOP": SECRET, "TOKENWORKER_TICKS": "1"}

    assert [fault.split()[0] for fault in faults(environ)] == ["TOKENWORKER_TICKS"]


@pytest.mark.parametrize("value", ["", "  ", "\r"])
def test_a_name_without_a_value_is_as_good_as_unset(value: str) -> None:
    assert startup_faults(SINGLE | {"TOKENWORKER_ACCOUNT": value, "TOKENWORKER_X": value}) == []


def kubernetes(service: str) -> dict[str, str]:
    """Return what Kubernetes sets in every container for a service."""
    name = service.upper().replace("-", "_")
    address = f"{name}_PORT_6379_TCP"
    return {
        f"{name}_SERVICE_HOST": "10.0.0.1",
        f"{name}_SERVICE_PORT": "6379",
        f"{name}_SERVICE_PORT_REDIS": "6379",
        f"{name}_PORT": "tcp://10.0.0.1:6379",
        address: "tcp://10.0.0.1:6379",
        f"{address}_PROTO": "tcp",
        f"{address}_PORT": "6379",
        f"{address}_ADDR": "10.0.0.1",
    }


@pytest.mark.parametrize(
    "service", ["tokenworker", "tokenworker-redis", "tokenworker-account", "wechat", "wechat-proxy", "redis", "flower"]
)
def test_services_of_kubernetes_stop_no_start(service: str) -> None:
    assert startup_faults(SINGLE | kubernetes(service)) == []
    assert broker_notes(SINGLE | kubernetes(service)) == []


def test_a_port_that_no_service_explains_is_refused() -> None:
    assert len(faults(SINGLE | {"TOKENWORKER_PORT": "80"})) == 1


def test_no_setting_looks_like_another() -> None:
    for setting in SETTINGS:
        assert misspelt({setting: "x"}, ()) == []
        assert len(faults({f"{setting}S": "x"})) == (0 if setting.startswith(("REDIS", "CELERY")) else 1)


def test_a_long_or_odd_name_makes_a_short_message() -> None:
    (fault,) = faults(SINGLE | {"TOKENWORKER_" + "X" * 10_000: "x"})

    assert len(fault) < 200


def test_a_misspelt_setting_never_shows_its_value() -> None:
    assert SECRET not in str(startup_faults({"WECHAT_APPSECRET": SECRET, "TOKENWORKER_SECRET": SECRET}))


# What is worth a look.


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("REDIS_URI", "REDIS_URL"),
        ("redis_url", "REDIS_URL"),
        ("REDIS_HOST", "REDIS_URL"),
        ("CELERY_BROKER", "CELERY_BROKER_URL"),
        ("CELERY_BROKERURL", "CELERY_BROKER_URL"),
    ],
)
def test_a_name_that_may_be_meant_for_us_is_worth_a_note(name: str, setting: str) -> None:
    assert broker_notes({name: "redis://h"}) == [f"{name} is set, but tokenworker reads {setting}, which is not"]
    assert broker_notes({name: "redis://h", setting: "redis://127.0.0.1:6379/0"}) == []
