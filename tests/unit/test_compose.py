"""The compose file and the Dockerfile, as far as can be told without an engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tokenworker.settings.variables import SETTINGS
from tokenworker.web.clients.registry import Clients

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name in SERVICES if name != "redis"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_one_service_builds_the_image_and_nobody_pulls_it() -> None:
    assert [name for name, service in SERVICES.items() if "build" in service] == ["worker"]
    assert {SERVICES[name]["image"] for name in OURS} == {"tokenworker"}
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"build", "never"}


def test_the_sandbox_is_there_by_its_profile_alone() -> None:
    assert SERVICES["sandbox"]["profiles"] == ["sandbox"]
    assert SERVICES["worker"]["environment"]["TOKENWORKER_SANDBOX"] == "${COMPOSE_PROFILES:+http://sandbox:8788}"
    assert not [name for name in OURS if "TOKENWORKER_SANDBOX" in SERVICES[name]["environment"] and name != "worker"]


def test_every_setting_reaches_the_worker_or_the_web_face() -> None:
    worker, web = (set(SERVICES[name]["environment"]) for name in ("worker", "web"))

    assert worker | web == set(SETTINGS)
    assert {name for name in SETTINGS if name.startswith("TOKENWORKER_WEB_")} <= web - worker


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_is_open_to_this_machine_alone(name: str) -> None:
    assert [port for port in SERVICES[name].get("ports", ()) if not port.startswith("127.0.0.1:${")] == []


def test_the_web_face_starts_without_anything_set_and_lets_nobody_in() -> None:
    source, target = (SERVICES["web"]["volumes"][1][end] for end in ("source", "target"))
    default = re.fullmatch(r"\$\{TOKENWORKER_WEB_CLIENTS:-(.*)\}", source)

    assert target == SERVICES["web"]["environment"]["TOKENWORKER_WEB_CLIENTS"]
    assert default
    clients = Clients(ROOT / default[1])
    assert clients.need_keys
    assert not len(clients)


@pytest.mark.parametrize("name", [name for name in OURS if name != "worker"])
def test_no_secret_goes_to_a_service_that_needs_none(name: str) -> None:
    assert not [variable for variable in SERVICES[name]["environment"] if variable.startswith("WECHAT_")]
    assert "secrets" not in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_cheaply_and_its_log_turns_over(name: str) -> None:
    service = SERVICES[name]
    test = " ".join(service["healthcheck"]["test"])

    assert "celery" not in test
    assert "python" not in test
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", OURS)
def test_every_service_of_ours_may_do_little(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "hostname" not in service


def test_workers_have_names_of_their_own() -> None:
    assert "--hostname=tokenworker@%h" in SERVICES["worker"]["command"]


@pytest.mark.parametrize("variable", ["WECHAT_SECRET_FILE", "TOKENWORKER_ACCOUNTS"])
def test_a_file_that_is_not_named_is_no_file_and_one_that_is_has_a_fixed_place(variable: str) -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")

    assert f"${{{variable}:-/dev/null}}" in text
    assert re.fullmatch(rf"\$\{{{variable}:\+/[\w/.]+\}}", SERVICES["worker"]["environment"][variable])


def kept(name: str) -> str:
    """Return the file that outlives a service."""
    if name == "flower":
        return str(SERVICES[name]["environment"]["FLOWER_DB"])
    words: list[str] = SERVICES[name]["command"]
    return next(word.removeprefix("--state=") for word in words if word.startswith("--state="))


@pytest.mark.parametrize("name", ["flower", "sandbox"])
def test_what_outlives_a_service_is_on_a_volume_that_is_its_own(name: str) -> None:
    folder, _, _ = kept(name).rpartition("/")
    made = re.search(r"install --directory --owner=10001 --group=10001 (.*)\n", DOCKERFILE)

    assert f"{name}:{folder}" in SERVICES[name]["volumes"]
    assert name in COMPOSE["volumes"]
    assert made
    assert folder in made[1].split()


def test_the_image_runs_as_a_number_and_its_dependencies_come_before_the_code() -> None:
    assert "USER 10001:10001" in DOCKERFILE
    assert DOCKERFILE.index("--requirement requirements.txt") < DOCKERFILE.index("COPY tokenworker")
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:3.12-slim", "dependencies"}
