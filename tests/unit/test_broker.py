"""Celery's own variables: we use the broker that a worker uses, and say when that is a surprise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tokenworker.errors import ConfigError
from tokenworker.settings.config import Config, broker_notes

CANARY = "c0ffee11c0ffee22c0ffee33c0ffee44"
OURS = f"redis://:{CANARY}@ours/0"
OTHER = f"redis://:{CANARY}@other/3"
SHELL = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("environ", "broker", "backend"),
    [
        ({"BROKER_URL": OTHER}, OTHER, OURS),
        ({"RESULT_BACKEND": OTHER}, OURS, OTHER),
        ({"BROKER_URL": OTHER, "CELERY_BROKER_URL": OTHER}, OTHER, OURS),
        ({"BROKER_URL": "  ", "CELERY_BROKER_URL": OTHER}, OTHER, OURS),
        ({"BROKER_URL": "amqp://rabbit//", "RESULT_BACKEND": "rpc://"}, "amqp://rabbit//", "rpc://"),
    ],
)
def test_the_variables_of_celerys_command_line_win(environ: dict[str, str], broker: str, backend: str) -> None:
    config = Config.from_env({"REDIS_URL": OURS, **environ})

    assert (config.broker_url, config.result_backend.removesuffix("?protocol=2")) == (broker, backend)
    assert config.redis_url == OURS


@pytest.mark.parametrize(
    "environ",
    [
        {"BROKER_URL": "redis://b/1"},
        {"CELERY_BROKER_URL": "redis://b/1"},
        {"BROKER_URL": "redis://b/1", "CELERY_BROKER_URL": "redis://c/2"},
        {"RESULT_BACKEND": "redis://r/1"},
        {"CELERY_RESULT_BACKEND": "redis://r/1", "BROKER_URL": "redis://b/1"},
        {},
    ],
)
def test_we_see_what_celerys_command_line_sees(environ: dict[str, str]) -> None:
    code = (
        "import sys\n"
        "import celery.bin.celery as cli\n"
        "from tokenworker.settings.config import Config\n"
        "@cli.celery.command('show')\n"
        "@cli.click.pass_context\n"
        "def show(context):\n"
        "    conf, config = context.obj.app.conf, Config.from_env()\n"
        "    print(conf.broker_url == config.broker_url, conf.result_backend == config.result_backend)\n"
        "sys.argv[1:] = ['--app=tokenworker', 'show']\n"
        "cli.main()\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=SHELL | environ)

    assert (run.stdout, run.stderr) == ("True True\n", "")


@pytest.mark.parametrize("names", [("BROKER_URL", "CELERY_BROKER_URL"), ("RESULT_BACKEND", "CELERY_RESULT_BACKEND")])
def test_two_variables_that_disagree_are_refused_without_showing_a_url(names: tuple[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_env({names[0]: OURS, names[1]: OTHER})

    (fault,) = caught.value.faults
    assert fault.startswith(f"{names[0]} and {names[1]} lead to different places")
    assert CANARY not in fault


@pytest.mark.parametrize(
    ("environ", "beginnings"),
    [
        ({}, []),
        ({"CELERY_BROKER_URL": OTHER, "CELERY_RESULT_BACKEND": OTHER}, []),
        ({"BROKER_URL": OURS, "RESULT_BACKEND": OURS}, []),
        ({"BROKER_URL": OTHER, "CELERY_BROKER_URL": OTHER}, []),
        ({"BROKER_URL": OTHER}, ["BROKER_URL is set, and Celery prefers it: it leads elsewhere than REDIS_URL"]),
        ({"RESULT_BACKEND": OTHER}, ["RESULT_BACKEND is set"]),
        ({"BROKER_URL": OTHER, "RESULT_BACKEND": OTHER}, ["BROKER_URL", "RESULT_BACKEND"]),
        ({"CELERY_BROKER_READ_URL": OTHER}, ["CELERY_BROKER_READ_URL is set"]),
        ({"CELERY_BROKER_WRITE_URL": OTHER}, ["CELERY_BROKER_WRITE_URL is set"]),
        (
            {"CELERY_BROKER_WRITE_URL": OURS, "CELERY_BROKER_URL": OTHER},
            ["CELERY_BROKER_WRITE_URL is set, and Celery prefers it: it leads elsewhere than CELERY_BROKER_URL"],
        ),
    ],
)
def test_a_variable_that_leads_celery_elsewhere_is_worth_a_note(environ: dict[str, str], beginnings: list[str]) -> None:
    notes = broker_notes({"REDIS_URL": OURS, **environ})

    assert len(notes) == len(beginnings)
    for note, beginning in zip(notes, beginnings, strict=True):
        assert note.startswith(beginning)
        assert CANARY not in note
