"""The app's settings: our defaults, the environment, the user's celeryconfig.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tokenworker import celeryconfig
from tokenworker.celery import TICK, settings
from tokenworker.config import Config

CONFIG = Config.from_env({"REDIS_URL": "redis://127.0.0.1:1/0", "TOKENWORKER_TICK": "0.5"})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_the_defaults_hold() -> None:
    conf = settings(CONFIG)

    assert conf["task_default_queue"] == "tokenworker"
    assert conf["accept_content"] == ["json"]
    assert conf["broker_url"] == conf["result_backend"] == "redis://127.0.0.1:1/0"
    assert conf["beat_schedule"][TICK]["schedule"] == 0.5


def test_a_file_in_the_working_directory_wins(folder: Path) -> None:
    (folder / "celeryconfig.py").write_text("import os\nworker_concurrency = 3\nbroker_url = 'memory://'\n")
    conf = settings(CONFIG)

    assert conf["worker_concurrency"] == 3
    assert conf["broker_url"] == "memory://"
    assert conf["worker_prefetch_multiplier"] == celeryconfig.worker_prefetch_multiplier
    assert "os" not in conf


def test_entries_for_beat_are_added_to_the_tick(folder: Path) -> None:
    (folder / "celeryconfig.py").write_text(
        "from tokenworker.schedules import cron\n"
        "beat_schedule = {'hourly': {'task': 'tokenworker.refresh_token', 'schedule': cron('0 0 * * * *'),"
        " 'kwargs': {'early': True}}}\n"
    )
    conf = settings(CONFIG)

    assert set(conf["beat_schedule"]) == {TICK, "hourly"}


def test_the_file_of_the_checkout_has_the_defaults_of_the_package(folder: Path) -> None:
    checkout = Path(__file__).parent.parent / "celeryconfig.py"
    plain = settings(CONFIG)
    (folder / "celeryconfig.py").write_text(checkout.read_text())

    assert settings(CONFIG) == plain


def test_the_example_in_the_file_of_the_checkout_works_when_uncommented(folder: Path) -> None:
    lines = (Path(__file__).parent.parent / "celeryconfig.py").read_text().splitlines()
    code = [line.removeprefix("# ") for line in lines]
    start = next(number for number, line in enumerate(code) if line.startswith("from tokenworker.schedules"))
    (folder / "celeryconfig.py").write_text("\n".join(code[start:]).replace("\n#\n", "\n\n"))

    assert "every-hour" in settings(CONFIG)["beat_schedule"]


def test_celery_itself_finds_the_app_by_the_name_of_the_package() -> None:
    code = "from celery.app.utils import find_app; app = find_app('tokenworker'); print(app.main, app.conf.worker_pool)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert output == "tokenworker threads\n"


def test_beat_starts_without_any_account() -> None:
    code = "from tokenworker.celery import app; print(app.conf.beat_schedule)"

    assert TICK in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_settings_that_cannot_be_used_end_the_start_with_one_message() -> None:
    environ = {"REDIS_URL": "nonsense", "TOKENWORKER_TICK": "-1", "WECHAT_SECRET": "canary"}
    command = [sys.executable, "-m", "celery", "--app=tokenworker", "worker"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)

    assert run.returncode != 0
    for word in ("REDIS_URL", "TOKENWORKER_TICK", "WECHAT_APPID"):
        assert word in run.stderr
    assert "canary" not in run.stderr
    assert "Traceback" not in run.stderr
