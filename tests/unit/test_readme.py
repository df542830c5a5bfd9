"""The README and the pages are true: what they name exists, and what exists is named, in both languages."""

from __future__ import annotations

import re

import pytest
from support.pages import ALL, ELSEWHERE, PAGES, PAIRS, ROOT, RUNNABLE, anchors, blocks, headings, links, prose, text

from tokenworker import errors
from tokenworker.cli.commands import main
from tokenworker.credential import CredentialId
from tokenworker.settings.variables import SETTINGS
from tokenworker.store.keys import Keys
from tokenworker.worker import tasks

CODE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tokenworker").rglob("*.py"))
ENGLISH = "\n".join(text(english) for english, _ in PAIRS)

#: Of these the most is in docs/: a README is read in one go.
MOST_LINES = 170

VARIABLE = re.compile(r"\b(?:WECHAT|WECOM|TOKENWORKER|CELERY|REDIS)_[A-Z_]+\b")
#: A setting of the compose file alone.
COMPOSE = {"REDIS_PORT"}


# Both languages


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_every_page_is_there_in_both_languages(pair: tuple[str, str]) -> None:
    assert all((ROOT / page).exists() for page in pair)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_both_languages_have_the_same_headings(pair: tuple[str, str]) -> None:
    english, chinese = ([level for level, _ in headings(page)] for page in pair)

    assert english == chinese


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_both_languages_have_the_same_blocks(pair: tuple[str, str]) -> None:
    english, chinese = ([(block.language, block.bare) for block in blocks(page)] for page in pair)

    assert english == chinese


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_both_languages_have_the_same_rows(pair: tuple[str, str]) -> None:
    english, chinese = ([line.count("|") for line in prose(page).splitlines() if line[:1] == "|"] for page in pair)

    assert english == chinese


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_both_languages_name_the_same(pair: tuple[str, str]) -> None:
    english, chinese = (set(re.findall(r"`[^`\n]+`", prose(page))) for page in pair)

    assert english == chinese


@pytest.mark.parametrize("page", PAIRS[0])
def test_a_readme_is_read_in_one_go(page: str) -> None:
    assert len(text(page).splitlines()) <= MOST_LINES


# Blocks


def test_every_block_says_what_it_is_written_in() -> None:
    assert [block for block in ALL if not block.language] == []


def test_every_block_runs_or_says_why_not() -> None:
    assert {block.language for block in RUNNABLE} == {"python", "toml", "console"}
    assert {block.language for block in ALL if block.is_example} == {"js", "php", "java", "go"}
    for words in ELSEWHERE:
        assert any(block.first.startswith(words) for block in ALL), words


def test_the_example_schedules_work() -> None:
    [code] = [block.code for block in blocks("docs/celery.md") if "import cron" in block.code]
    names: dict[str, dict[str, object]] = {}
    exec(code, names)  # noqa: S102  our own page

    assert len(names["beat_schedule"]) == 2


# Links


@pytest.mark.parametrize(("page", "link"), [(page, link) for page in PAGES for link in links(page)])
def test_links_lead_somewhere(page: str, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page

    assert target.resolve().is_relative_to(ROOT.resolve())
    assert target.exists()
    if anchor:
        assert anchor in anchors(str(target.resolve().relative_to(ROOT.resolve())))


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_pages_link_to_their_own_language(pair: tuple[str, str]) -> None:
    english, chinese = ([link.partition("#")[0] for link in links(page)] for page in pair)

    assert sum("zh-CN" in link for link in english) == 1
    assert len(english) == len(chinese)


@pytest.mark.parametrize("page", PAGES)
def test_an_anchor_is_one_place(page: str) -> None:
    assert len(set(anchors(page))) == len(anchors(page))


@pytest.mark.parametrize("readme", PAIRS[0])
def test_every_page_can_be_reached_from_the_readme(readme: str) -> None:
    language = PAIRS[0].index(readme)
    reached = {link.partition("#")[0] for link in links(readme)}

    assert {pair[language] for pair in PAIRS[1:]} <= reached


# Names


@pytest.mark.parametrize("page", ["docs/settings.md", "docs/zh-CN/settings.md"])
def test_every_setting_in_the_code_is_in_the_table_and_the_other_way_round(page: str) -> None:
    read = set(VARIABLE.findall((ROOT / "tokenworker" / "settings" / "config.py").read_text(encoding="utf-8")))
    rows = "\n".join(line.split(" | ")[0] for line in text(page).splitlines() if line.startswith("| `"))

    assert read <= set(SETTINGS)
    assert set(VARIABLE.findall(rows)) == set(SETTINGS)


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_on_a_page_exists(page: str) -> None:
    assert set(VARIABLE.findall(text(page))) - COMPOSE <= set(SETTINGS)


def test_every_setting_in_the_compose_file_exists() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")

    assert set(VARIABLE.findall(compose)) - COMPOSE <= set(SETTINGS)


def test_every_task_is_on_a_page_and_the_other_way_round() -> None:
    named = set(re.findall(r"\btokenworker\.((?:get|refresh|sign)_\w+|status)\b", ENGLISH))

    assert {f"tokenworker.{name}" for name in named} == {
        task.name for task in vars(tasks).values() if isinstance(task, tasks.TokenTask)
    }


def test_every_command_is_in_the_readme_and_the_other_way_round() -> None:
    named = set(re.findall(r"^\| `tokenworker ([a-z]+)` \| ", text("README.md"), re.MULTILINE))

    assert named >= set(main.commands)
    assert set(re.findall(r"`tokenworker ([a-z]+)[^`]*`", ENGLISH)) == set(main.commands)


def test_the_keys_are_spelt_as_in_the_code() -> None:
    keys, token = Keys(), CredentialId("APPID")

    assert f"`{keys.value(token)}`" in text("README.md")
    shared = (keys.due, keys.names, keys.workers)
    for name in (*keys.of(token)[1:], *shared):
        assert f"| `{name}` |" in text("docs/how-it-works.md")
    wecom = CredentialId("ww0123456789abcdef/1000002")
    assert f"`{keys.value(wecom)}`" in text("docs/reading.md")


def test_the_fields_of_the_state_exist() -> None:
    rows = text("docs/how-it-works.md").partition("| fields of the state |")[2].partition("\n\n")[0]
    fields = re.findall(r"`(\w+)`", "\n".join(row.split(" | ")[0] for row in rows.splitlines()[2:]))

    assert len(fields) > 20
    assert [field for field in fields if not re.search(rf"^    {field}: ", CODE, re.MULTILINE)] == []


def test_every_error_is_on_the_page_of_failures() -> None:
    page = text("docs/failures.md")
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]

    assert [kind.__name__ for kind in kinds if f"`{kind.__name__}`" not in page] == []


def test_every_errcode_on_the_page_of_failures_is_known() -> None:
    known = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tokenworker" / "wechat").rglob("*.py"))
    rows = text("docs/failures.md").partition("| errcode |")[2].partition("\n\n")[0]
    codes = [code for row in rows.splitlines() for code in re.findall(r"-?\b\d+\b", row.split(" | ")[0])]

    assert len(codes) > 25
    assert [code for code in codes if not re.search(rf"(?<!\d){code}\b", known)] == []


def test_nothing_in_the_repository_names_a_registry_or_this_machine() -> None:
    paths = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in {".txt", ".toml", ".yml", ".md", ""}]
    paths += (ROOT / "docs").rglob("*.md")
    content = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in paths)

    assert "pypi." not in content
    assert "/home/" not in content
    assert "/root" not in content
