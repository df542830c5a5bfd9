"""The units of systemd: as systemd reads them, and as compose starts the same."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.prometheus import DEPLOY, ROOT

from tokenworker.settings.variables import SETTINGS

HERE = DEPLOY / "systemd"
UNITS = sorted(HERE.glob("*.service"))
ENVIRONMENTS = sorted(HERE.glob("*.env"))
COMMON = (HERE / "tokenworker-.service.d" / "10-common.conf").read_text(encoding="utf-8")
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]

#: Tenths, as systemd counts: 0 is nothing, 100 is everything.
MOST_EXPOSED = 15

ANALYZE = shutil.which("systemd-analyze") or "/usr/bin/systemd-analyze"


def role(unit: Path) -> str:
    return unit.stem.removeprefix("tokenworker-")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Install the units under a root of their own, with the programs of this environment; skips without systemd."""
    if not Path(ANALYZE).exists():
        pytest.skip("needs systemd-analyze")
    folder = tmp_path / "etc" / "systemd" / "system"
    shutil.copytree(HERE, folder)
    for unit in folder.glob("*.service"):
        text = unit.read_text(encoding="utf-8")
        unit.write_text(text.replace("/opt/tokenworker/bin", str(Path(sys.executable).parent)), encoding="utf-8")
    return folder


def test_there_is_a_unit_for_each_part_that_compose_starts() -> None:
    assert {role(unit) for unit in UNITS} == set(SERVICES) - {"redis", "sandbox"}


@pytest.mark.parametrize("unit", UNITS, ids=role)
def test_each_is_started_as_compose_does(unit: Path) -> None:
    [command] = re.findall(r"^ExecStart=/opt/tokenworker/bin/(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
    wanted = SERVICES[role(unit)]["command"]

    # There is no network of containers here: Flower is for this machine alone.
    assert command.replace("%%", "%").split() == [word.replace("0.0.0.0", "127.0.0.1") for word in wanted]  # noqa: S104


@pytest.mark.parametrize("unit", UNITS, ids=role)
def test_each_belongs_to_the_target_and_the_worker_alone_gets_secrets_and_reaches_the_world(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")

    assert "PartOf=tokenworker.target" in text
    assert "WantedBy=tokenworker.target" in text
    assert ("LoadCredential=" in text) is (role(unit) == "worker")
    assert ("IPAddressDeny=any" in text) is (role(unit) != "worker")


def test_the_settings_of_one_part_win_over_those_of_all() -> None:
    assert re.findall(r"^EnvironmentFile=(.*)$", COMMON, re.MULTILINE) == [
        "/etc/tokenworker/tokenworker.env",
        "-/etc/tokenworker/%N.env",
    ]
    assert {file.stem for file in ENVIRONMENTS} <= {"tokenworker", *(unit.stem for unit in UNITS)}


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: str(file.stem))
def test_the_settings_exist_and_no_secret_is_real(file: Path) -> None:
    lines = re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)

    assert lines
    for name, value in lines:
        assert name in SETTINGS or name.startswith("FLOWER_")
        assert "change-me" in value or not re.search("PASSWORD|AUTH|REDIS_URL", name)


def test_systemd_understands_all_of_it(installed: Path) -> None:
    done = subprocess.run(
        [ANALYZE, "verify", "--man=no", *map(str, [*installed.glob("*.service"), *installed.glob("*.target")])],
        env={"SYSTEMD_UNIT_PATH": f"{installed}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=role)
def test_each_may_do_little(unit: Path, installed: Path) -> None:
    root = installed.parent.parent.parent
    done = subprocess.run(
        [
            *(ANALYZE, "security", "--no-pager", "--offline=true"),
            *(f"--root={root}", f"--threshold={MOST_EXPOSED}", unit.name),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
