"""`tokenworker metrics`: the metrics where nobody can scrape a web process."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from support.credentials import put
from support.processes import RedisServer
from support.scraped import parsed

from tokenworker.cli.commands import main
from tokenworker.store.store import Store


@pytest.fixture
def cli(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner(env={"REDIS_URL": server.url, "WECHAT_APPID": None, "WECHAT_SECRET": None})


def test_it_prints_what_a_web_process_would_say(cli: CliRunner, store: Store) -> None:
    put(store, "a-token")
    done = cli.invoke(main, ["metrics"])

    assert done.exit_code == 0
    assert parsed(done.stdout)["tokenworker_up"][()] == 1
    assert "a-token" not in done.output


def test_a_file_is_whole_at_every_moment_and_others_may_read_it(cli: CliRunner, tmp_path: Path) -> None:
    file = tmp_path / "tokenworker.prom"
    file.write_text("old")
    with file.open() as before:
        done = cli.invoke(main, ["metrics", "--write", str(file)])
        assert before.read() == "old"

    assert (done.exit_code, done.output) == (0, "")
    assert parsed(file.read_text())["tokenworker_up"][()] == 1
    assert file.stat().st_mode & 0o044
    assert list(tmp_path.iterdir()) == [file]


def test_without_redis_it_says_so_in_a_metric_and_by_its_exit_code(cli: CliRunner, tmp_path: Path) -> None:
    for options in ([], ["--write", "x.prom"]):
        done = cli.invoke(main, ["metrics", *options], env={"REDIS_URL": "redis://127.0.0.1:1/0"})
        text = done.stdout or (tmp_path / "x.prom").read_text()

        assert done.exit_code == 1
        assert parsed(text) == {"tokenworker_up": {(): 0}}


def test_a_folder_that_can_not_be_written_is_one_sentence(cli: CliRunner) -> None:
    done = cli.invoke(main, ["metrics", "--write", "/nowhere/x.prom"])

    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert done.stderr == "/nowhere/x.prom can't be written: No such file or directory\n"
