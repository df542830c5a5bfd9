"""The README is true: what it names exists, and what exists is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tokenworker.cli.commands import main
from tokenworker.settings.variables import SETTINGS
from tokenworker.worker import tasks

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
CODE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tokenworker").rglob("*.py"))

VARIABLE = re.compile(r"\b(?:WECHAT|TOKENWORKER|CELERY|REDIS)_[A-Z_]+\b")


def test_every_setting_in_the_code_is_in_the_readme_and_the_other_way_round() -> None:
    read = set(VARIABLE.findall((ROOT / "tokenworker" / "config.py").read_text(encoding="utf-8")))

    assert read <= set(SETTINGS)
    assert set(SETTINGS) == set(VARIABLE.findall(README)) - {"REDIS_PORT"}


@pytest.mark.parametrize(
    "what", [VARIABLE.pattern, r"`tokenworker [a-z]+", r"`tokenworker\.\w+", r"^#+ ", r"`[^`\n]*/[^`\n]*`"]
)
def test_the_chinese_page_names_the_same(what: str) -> None:
    english, chinese = (sorted(re.findall(what, text, re.MULTILINE)) for text in (README, CHINESE))

    assert set(english) == set(chinese)


def test_every_setting_in_the_compose_file_exists() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")

    assert set(VARIABLE.findall(compose)) - {"REDIS_PORT"} <= set(VARIABLE.findall(README))


def test_every_task_is_in_the_readme_and_the_other_way_round() -> None:
    named = set(re.findall(r"\btokenworker\.(get_token|refresh_\w+|status)\b", README))

    assert {f"tokenworker.{name}" for name in named} == {
        task.name for task in vars(tasks).values() if isinstance(task, tasks.TokenTask)
    }


def test_every_command_is_in_the_readme_and_the_other_way_round() -> None:
    named = set(re.findall(r"`tokenworker ([a-z]+)[^`]*`", README))

    assert named == set(main.commands)


@pytest.mark.parametrize("key", ["access_token"])
def test_the_keys_are_spelt_as_in_the_code(key: str) -> None:
    assert f"tokenworker:{{APPID}}:{key}" in README
    assert f"}}}}}}:{key}" in CODE


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_the_example_schedules_work() -> None:
    [code] = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "import cron" in block]
    names: dict[str, dict[str, object]] = {}
    exec(code, names)  # noqa: S102  our own README

    assert len(names["beat_schedule"]) == 2


def test_nothing_in_the_repository_names_a_registry_or_this_machine() -> None:
    paths = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in {".txt", ".toml", ".yml", ".md", ""}]
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in paths)

    assert "pypi." not in text
    assert "/home/" not in text
    assert "/root" not in text
