"""The options that Flower takes from variables of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenworker.worker.flower.options import faults, forgo_state, set_options


def test_what_a_user_set_stays_and_what_kubernetes_set_goes() -> None:
    environ = {"FLOWER_PORT": "tcp://10.0.0.1:5555", "FLOWER_NATURAL_TIME": "False", "FLOWER_ADDRESS": "0.0.0.0"}  # noqa: S104
    set_options(environ)

    assert environ["FLOWER_NATURAL_TIME"] == "False"
    assert environ["FLOWER_ADDRESS"] == "0.0.0.0"  # noqa: S104
    assert environ["FLOWER_TASKS_COLUMNS"].startswith("state,result")
    assert "FLOWER_PORT" not in environ


def test_what_is_blank_is_not_set_for_to_flower_that_is_a_login_that_nobody_has() -> None:
    environ = {"FLOWER_BASIC_AUTH": " ", "FLOWER_DB": "", "FLOWER_ADDRESS": ""}
    set_options(environ)

    assert not {"FLOWER_BASIC_AUTH", "FLOWER_DB", "FLOWER_PERSISTENT"} & environ.keys()
    assert environ["FLOWER_ADDRESS"] == "127.0.0.1"


def test_who_names_a_file_wants_it_written_unless_he_says_otherwise() -> None:
    named, refused = {"FLOWER_DB": "tasks"}, {"FLOWER_DB": "tasks", "FLOWER_PERSISTENT": "false"}
    set_options(named)
    set_options(refused)

    assert (named["FLOWER_PERSISTENT"], refused["FLOWER_PERSISTENT"]) == ("True", "false")


@pytest.mark.parametrize("login", ["ops:secret", "ops:a:b", "ops:p@ss,dev:pass-2", "ops@example.com:$%^&*"])
def test_a_login_is_a_user_and_a_password(login: str) -> None:
    assert faults({"FLOWER_BASIC_AUTH": login}) == []


@pytest.mark.parametrize(
    "login", ["secret", "ops:", ":secret", "ops:secret,", "ops:秘密", "ops: secret", "'ops:secret'"]
)
def test_a_login_that_nobody_could_use_is_a_fault_that_does_not_show_it(login: str) -> None:
    [fault] = faults({"FLOWER_BASIC_AUTH": login})

    assert "FLOWER_BASIC_AUTH" in fault
    assert "user:password" in fault
    assert login not in fault


@pytest.mark.parametrize("name", ["FLOWER_BASICAUTH", "FLOWER_BASIC_AUTHS", "FLOWER_BASIC_AUT", "FLOWERS_BASIC_AUTH"])
def test_a_login_that_flower_would_not_see_is_a_fault(name: str) -> None:
    [fault] = faults({name: "ops:secret", "FLOWER_AUTH": ".*@example.com", "FLOWER_AUTH_PROVIDER": "x"})

    assert fault.startswith(f"{name} is no variable of Flower's")
    assert "secret" not in fault


def test_what_is_neither_yes_nor_no_is_a_fault() -> None:
    assert faults({"FLOWER_PERSISTENT": "maybe"}) == ["FLOWER_PERSISTENT is neither yes nor no: write True or False"]


def test_a_place_that_takes_no_file_costs_what_flower_remembers_and_not_flower(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    environ = {"FLOWER_PERSISTENT": "True", "FLOWER_DB": str(tmp_path / "file" / "tasks")}
    said = forgo_state(environ)

    assert environ["FLOWER_PERSISTENT"] == "False"
    assert said
    assert f"{tmp_path}/file can't be written" in said


def test_a_folder_is_made_for_the_file(tmp_path: Path) -> None:
    environ = {"FLOWER_PERSISTENT": "1", "FLOWER_DB": str(tmp_path / "new" / "tasks")}

    assert forgo_state(environ) is None
    assert environ["FLOWER_PERSISTENT"] == "1"
    assert (tmp_path / "new").is_dir()


def test_who_keeps_nothing_has_no_file_made() -> None:
    assert forgo_state({}) is None
