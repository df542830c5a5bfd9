"""`tokenworker check` on the web process, its clients and Flower, who is let in there, and on metrics."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from support.doctor import about, examined
from support.processes import RedisServer, Stack, free_port, wait_for

from tokenworker.accounts.account import Account
from tokenworker.cli.doctor import flower, metrics, web
from tokenworker.cli.doctor.finding import Finding
from tokenworker.cli.exposing import write
from tokenworker.sandbox import DEMO_APPID
from tokenworker.secret import Secret
from tokenworker.settings.config import Config
from tokenworker.settings.web import WebSettings

ACCOUNTS = {DEMO_APPID: Account(DEMO_APPID, Secret("made-up"), name="shop")}
CLIENT = f'[[client]]\nname = "php"\nkey_sha256 = "{sha256(b"key").hexdigest()}"\n'


def look(**settings: object) -> list[Finding]:
    config = replace(Config(), web=replace(WebSettings(), **{"port": free_port(), **settings}))  # type: ignore[arg-type]
    return list(web.examine(config, ACCOUNTS))


def said(found: Sequence[Finding], level: str) -> str:
    return "\n".join(finding.sentence for finding in found if finding.level == level)


def test_a_web_process_that_answers_is_well(stack: Stack) -> None:
    port = free_port()
    (stack.folder / "clients.toml").write_text(CLIENT)
    stack.environ |= {"TOKENWORKER_WEB_CLIENTS": "clients.toml", "TOKENWORKER_WEB_PORT": str(port)}
    stack.environ["TOKENWORKER_WEB_ADDRESS"] = "0.0.0.0"  # noqa: S104
    stack.run("tokenworker.cli", "web")
    wait_for(lambda: "listens at" in stack.logs(), timeout=20)
    found = about(examined(stack.folder, stack.environ), "web", "Flower")

    assert [(finding["level"], finding["sentence"]) for finding in found] == [
        ("ok", "clients.toml: 1 client"),
        ("ok", f"http://127.0.0.1:{port} answers"),
    ]


def test_where_nobody_wants_a_web_process_there_is_nothing_to_say() -> None:
    found = list(web.examine(Config(web=WebSettings()), ACCOUNTS))

    assert [finding for finding in found if finding.level != "ok"] == []


def test_one_that_is_wanted_and_not_there_is_noted() -> None:
    assert "start `tokenworker web`, unless it runs on another machine" in said(look(), "note")
    assert "nothing answers at http://[::1]:" in said(look(address="::1"), "note")


def test_another_program_at_its_port_is_a_fault(server: RedisServer) -> None:
    found = look(port=server.port)

    assert f"another program answers at http://127.0.0.1:{server.port}" in said(found, "fault")


def test_the_clients_file_is_read_and_held_against_the_accounts(tmp_path: Path) -> None:
    file = tmp_path / "clients.toml"
    assert "can't be read" in said(look(clients=file), "fault")

    file.write_text(CLIENT + 'scope = "read"\n')
    assert "client 1 (php): 'scope' is unknown here" in said(look(clients=file), "fault")

    file.write_text(CLIENT + 'accounts = ["wx9*", "sh?p"]\n')
    assert "accounts" not in said(look(clients=file), "note")

    file.write_text(CLIENT + 'accounts = ["wx9*"]\n')
    assert "php may have none of the accounts that are here" in said(look(clients=file), "note")


def test_an_address_that_others_reach_without_keys_is_a_fault() -> None:
    assert "set TOKENWORKER_WEB_CLIENTS" in said(look(address="0.0.0.0"), "fault")  # noqa: S104


@pytest.mark.parametrize(("password", "weak"), [("hunter2", True), ("a-longer-one", False)])
def test_a_password_that_can_be_guessed_is_noted_and_not_shown(password: str, weak: bool) -> None:
    for found in (look(password=Secret(password)), list(flower.examine({"FLOWER_BASIC_AUTH": f"me:{password}"}))):
        assert ("can be guessed" in said(found, "note")) is weak
        assert password not in str(found)


def test_a_flower_that_others_reach_without_a_password_is_noted() -> None:
    def noted(**environ: str) -> bool:
        return "asks nobody for a password" in said(list(flower.examine(environ)), "note")

    assert noted(FLOWER_ADDRESS="0.0.0.0")  # noqa: S104
    assert not noted()
    assert not noted(FLOWER_ADDRESS="", FLOWER_BASIC_AUTH="")
    assert not noted(FLOWER_ADDRESS="127.0.0.1")
    assert not noted(FLOWER_ADDRESS="10.0.0.1", FLOWER_BASIC_AUTH="me:0123456789abcdef")
    assert not noted(FLOWER_ADDRESS="10.0.0.1", FLOWER_AUTH=".*@example.com")


def test_a_login_that_flower_would_not_start_with_is_a_fault() -> None:
    [found] = flower.examine({"FLOWER_BASIC_AUTH": "a-password-without-a-name"})

    assert list(flower.examine({"FLOWER_BASIC_AUTH": " "})) == []
    assert found.level == "fault"
    assert "write user:password" in found.sentence
    assert "without-a-name" not in found.sentence


# Metrics


@pytest.fixture
def config(server: RedisServer) -> Config:
    return replace(Config(), redis_url=server.url)


def test_it_says_how_long_a_scrape_takes(config: Config) -> None:
    [found] = metrics.examine(config)

    assert found.level == "ok"
    assert "series are measured in 0." in found.sentence


def test_without_redis_nobody_speaks_of_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(metrics.examine(replace(Config(), redis_url="redis://127.0.0.1:1/0"))) == []
    assert capsys.readouterr().err == ""


def test_a_file_of_metrics_that_nobody_keeps_up_to_date_is_a_fault(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "tokenworker.prom"
    assert "can't be looked at (No such file or directory): run `tokenworker metrics" in faulty(config, file)

    write(file, b"tokenworker_up 1\n")
    assert faulty(config, file) == ""

    os.utime(file, (0, time.time() - 600))
    assert "was written 600 s ago: run `tokenworker metrics --write" in faulty(config, file)


def faulty(config: Config, file: Path) -> str:
    return said(list(metrics.examine(config, file)), "fault")


def test_a_file_that_node_exporter_does_not_read_is_noted(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "metrics.txt"
    write(file, b"")
    file.chmod(0o600)
    noted = said(list(metrics.examine(config, file)), "note")

    assert "call metrics.txt metrics.prom" in noted
    assert "only some may read" in noted
