"""The app's settings: our defaults, the environment, the user's celeryconfig.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tokenworker import celeryconfig
from tokenworker.errors import ConfigError
from tokenworker.messages import REFRESH_DUE_TOKENS as TICK
from tokenworker.settings.config import Config
from tokenworker.worker.app.settings import MARK, note, settings

CONFIG = Config.from_env({"REDIS_URL": "redis://127.0.0.1:1/0", "TOKENWORKER_TICK": "0.5"})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_the_defaults_hold() -> None:
    conf = settings(CONFIG)

    assert conf["task_default_queue"] == "tokenworker"
    assert conf["accept_content"] == ["json"]
    assert conf["broker_url"] == "redis://127.0.0.1:1/0"
    assert conf["result_backend"] == "redis://127.0.0.1:1/0?protocol=2"
    assert conf["beat_schedule"][TICK]["schedule"] == 0.5


def ours(*lines: str) -> None:
    """Write a celeryconfig.py that is tokenworker's."""
    Path("celeryconfig.py").write_text("\n".join(("import os", MARK, *lines, "")), encoding="utf-8")


def faults(*lines: str) -> list[str]:
    ours(*lines)
    with pytest.raises(ConfigError) as caught:
        settings(CONFIG)
    return caught.value.faults


def test_a_file_of_ours_in_the_working_directory_wins() -> None:
    ours("worker_concurrency = 3", "broker_url = 'memory://'", "RETRIES = 3", "my_own = 4")
    conf = settings(CONFIG)

    assert conf["worker_concurrency"] == 3
    assert conf["broker_url"] == "memory://"
    assert conf["worker_prefetch_multiplier"] == celeryconfig.worker_prefetch_multiplier
    assert "os" not in conf


@pytest.mark.parametrize(
    "lines",
    [
        "task_default_queue = 'default'",
        "from kombu import Queue\ntask_queues = [Queue('default')]",
        "include = ['billing.tasks']\nimports = ('billing.tasks',)",
        "task_serializer = result_serializer = 'pickle'\naccept_content = ['pickle']",
        "beat_schedule = {'bills': {'task': 'billing.send', 'schedule': 1.0}}",
        "CELERY_DEFAULT_QUEUE = 'default'\nCELERYD_CONCURRENCY = 3",
        "raise SystemExit('the start of another app')",
        "# from tokenworker.celeryconfig import *",
        "def broken(:",
    ],
)
def test_another_apps_file_changes_nothing_and_is_not_run(folder: Path, lines: str) -> None:
    plain = settings(CONFIG)
    (folder / "celeryconfig.py").write_text(lines)

    assert settings(CONFIG) == plain
    assert MARK in str(note())


def test_a_file_of_ours_is_nothing_to_tell_of() -> None:
    assert note() is None
    ours("worker_concurrency = 3")
    assert note() is None


@pytest.mark.parametrize(
    "line",
    [
        "task_default_queue = 'default'",
        "task_queues = {'default': {}}",
        "task_routes = {'*': 'default'}",
        "task_create_missing_queues = False",
        "task_serializer = 'yaml'",
        "result_serializer = 'msgpack'",
        "accept_content = ['json', 'pickle']",
        "result_accept_content = ['pickle']",
        "task_always_eager = True",
        "task_ignore_result = True",
    ],
)
def test_what_makes_tokenworker_itself_is_not_for_any_file_to_change(line: str) -> None:
    name = line.split(maxsplit=1)[0]

    assert faults(line) == [
        f"celeryconfig.py: {name} can't be changed, for it makes tokenworker what it is: take it out"
    ]


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("CELERYD_CONCURRENCY = 3", "worker_concurrency"),
        ("CELERY_TASK_SERIALIZER = 'json'", "task_serializer"),
        ("BROKER_URL = 'amqp://'", "broker_url"),
        ("CELERY_WORKER_CONCURRENCY = 3", "worker_concurrency"),
        ("WORKER_CONCURRENCY = 3", "worker_concurrency"),
        ("worker_concurency = 3", "worker_concurrency"),
        ("task_time_limits = 3", "task_time_limit"),
    ],
)
def test_a_setting_that_celery_would_not_see_is_named_with_the_right_name(line: str, right: str) -> None:
    [fault] = faults(line)

    assert line.split(maxsplit=1)[0] in fault
    assert fault.endswith(f"write {right}")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["import nothing_of_that_name"], "line 3: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        (["", "worker_concurrency = 1 / 0"], "line 4: ZeroDivisionError: division by zero"),
        (["def broken(:"], "line 3: SyntaxError"),
        (["raise SystemExit"], "line 3: SystemExit"),
        (["os.environ['NOT_THERE']"], "line 3: KeyError: 'NOT_THERE'"),
    ],
)
def test_a_file_of_ours_that_breaks_is_named_with_line_and_error(lines: list[str], sentence: str) -> None:
    [fault] = faults(*lines)

    assert fault.startswith(f"celeryconfig.py, {sentence}")


def test_more_modules_are_loaded_besides_ours() -> None:
    ours("include = ['mine.tasks']")
    assert settings(CONFIG)["include"][-2:] == ["tokenworker.worker.app.heartbeat", "mine.tasks"]

    ours("include = 'mine.tasks'")
    assert settings(CONFIG)["include"][-1] == "mine.tasks"


def test_the_tick_can_not_be_replaced() -> None:
    ours(f"beat_schedule = {{{TICK!r}: {{'task': 'other', 'schedule': 99}}}}")
    assert settings(CONFIG)["beat_schedule"][TICK]["schedule"] == 0.5

    assert faults("beat_schedule = []") == ["celeryconfig.py: beat_schedule must be a dict of entries"]


def test_entries_for_beat_are_added_to_the_tick() -> None:
    ours(
        "from tokenworker.schedules import cron",
        "beat_schedule = {'hourly': {'task': 'tokenworker.refresh_token', 'schedule': cron('0 0 * * * *'),"
        " 'kwargs': {'early': True}}}",
    )
    conf = settings(CONFIG)

    assert set(conf["beat_schedule"]) == {TICK, "hourly"}


def test_the_file_of_the_checkout_has_the_defaults_of_the_package(folder: Path) -> None:
    checkout = Path(__file__).parent.parent.parent / "celeryconfig.py"
    plain = settings(CONFIG)
    (folder / "celeryconfig.py").write_text(checkout.read_text())

    assert settings(CONFIG) == plain


def test_the_example_in_the_file_of_the_checkout_works_when_uncommented() -> None:
    lines = (Path(__file__).parent.parent.parent / "celeryconfig.py").read_text().splitlines()
    code = [line.removeprefix("# ") for line in lines]
    start = next(number for number, line in enumerate(code) if line.startswith("from tokenworker.schedules"))
    ours("\n".join(code[start:]).replace("\n#\n", "\n\n"))

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


@pytest.mark.parametrize("command", ["worker", "beat", "flower"])
def test_a_broken_file_of_ours_ends_every_start_with_one_message(command: str) -> None:
    ours("import nothing_of_that_name")
    run = subprocess.run(
        [sys.executable, "-m", "celery", "--app=tokenworker", command], capture_output=True, text=True, check=False
    )

    assert run.returncode != 0
    assert "celeryconfig.py, line 3: ModuleNotFoundError" in run.stderr
    assert "Traceback" not in run.stderr
