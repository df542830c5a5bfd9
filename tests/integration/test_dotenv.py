"""The file `.env`: what is taken from it, and that whatever stands in it, no secret is shown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.processes import Stack, wait_for

from tokenworker.cli.commands import main
from tokenworker.errors import ConfigError
from tokenworker.settings import config
from tokenworker.settings.config import read_dotenv
from tokenworker.settings.envfile import load

#: Looks like an AppSecret; no message may hold it, nor a part of it.
CANARY = "c0ffee11c0ffee22c0ffee33c0ffee44"
CANARY_PARTS = [CANARY[at : at + 8] for at in range(0, 32, 8)]
SHELL = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own, whose .env counts, and an environment to spoil."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "ENV_FILE", Path(".env"))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return tmp_path


def write(content: str | bytes) -> None:
    Path(".env").write_bytes(content if isinstance(content, bytes) else content.encode())


def read(content: str | bytes, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what is taken from a file without faults."""
    write(content)
    faults: list[str] = []
    found = load(Path(".env"), environ or {}, faults)
    assert faults == []
    return found


def faults(content: str | bytes) -> list[str]:
    """Return what is wrong with a file, after a look for the canary."""
    write(content)
    with pytest.raises(ConfigError) as caught:
        read_dotenv()
    assert not [part for part in CANARY_PARTS if part in f"{caught.value} {caught.value!r}"]
    assert caught.value.__context__ is None
    return caught.value.faults


# What stands in it, and how.


@pytest.mark.parametrize(
    "line",
    [
        "WECHAT_SECRET=" + CANARY,
        f'WECHAT_SECRET="{CANARY}"',
        f"WECHAT_SECRET='{CANARY}'",
        f"export WECHAT_SECRET={CANARY}",
        f"export\tWECHAT_SECRET='{CANARY}'",
        f"  WECHAT_SECRET = {CANARY}  ",
        f"WECHAT_SECRET={CANARY} # the shop's",
        f'WECHAT_SECRET="{CANARY}" # the shop\'s',
        f"WECHAT_SECRET={CANARY}\r\n",
        f"WECHAT_SECRET={CANARY}\r",
        f"\ufeffWECHAT_SECRET={CANARY}",
        f"# the shop's\n\n   \nWECHAT_SECRET={CANARY}\n#",
        f"WECHAT_SECRET=old\nWECHAT_SECRET={CANARY}",
    ],
)
def test_a_value_is_read_however_it_is_written(line: str) -> None:
    assert read(line) == {"WECHAT_SECRET": CANARY}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("REDIS_URL=redis://:p#w@h/0", "redis://:p#w@h/0"),
        ("REDIS_URL=redis://h/0?a=b=c", "redis://h/0?a=b=c"),
        ("REDIS_URL='redis://:p$w@h/0'", "redis://:p$w@h/0"),
        ("REDIS_URL='redis://:${PASSWORD}@h/0'", "redis://:${PASSWORD}@h/0"),
        ("REDIS_URL=redis://:${PASSWORD}@h/0", "redis://:there@h/0"),
        ('REDIS_URL="redis://:${PASSWORD}@h/0"', "redis://:there@h/0"),
        ("PASSWORD=here\nREDIS_URL=redis://:${PASSWORD}@h/0", "redis://:there@h/0"),
        ("OWN=here\nREDIS_URL=redis://:${OWN}@h/0", "redis://:here@h/0"),
        ("REDIS_URL=redis://:${OTHER:-default}@h/0", "redis://:default@h/0"),
        ("REDIS_URL=redis://${OTHER}h/0", "redis://h/0"),
        ("REDIS_URL=", ""),
        ("REDIS_URL= # none", ""),
    ],
)
def test_values_follow_the_rules_of_docker_compose(line: str, value: str) -> None:
    assert read(line, {"PASSWORD": "there"})["REDIS_URL"] == value


def test_only_what_is_tokenworkers_is_taken() -> None:
    ours = {
        "WECHAT_APPID": "wx1",
        "TOKENWORKER_TICK": "1",
        "REDIS_URL": "redis://h/0",
        "CELERY_BROKER_URL": "redis://h/1",
        "CELERY_RESULT_BACKEND": "redis://h/2",
    }
    theirs = {"PATH": "/x", "DEBUG": "1", "DATABASE_URL": "x", "BROKER_URL": "x", "MY_REDIS_URL": "x", "WECHAT": "x"}
    content = "".join(f"{name}={value}\n" for name, value in (theirs | ours).items())

    assert read(content) == ours


@pytest.mark.parametrize(
    "theirs",
    [
        "this is no assignment",
        'PROMPT="an open quote',
        "source ./more.env",
        "if [ -f x ]; then",
        "GREETING=\xc4\xe3".encode("latin-1"),
        "# \u5e97".encode("gb18030"),
        "COST=$5 and $(more)",
    ],
)
def test_lines_of_another_program_are_not_judged(theirs: str | bytes) -> None:
    line = theirs if isinstance(theirs, bytes) else theirs.encode()

    assert read(b"WECHAT_APPID=wx1\n" + line + b"\nTOKENWORKER_TICK=1\n") == {
        "WECHAT_APPID": "wx1",
        "TOKENWORKER_TICK": "1",
    }


def make_environment(path: Path) -> None:
    path.mkdir()
    (path / "pyvenv.cfg").touch()


@pytest.mark.parametrize(
    "make", [lambda _: None, make_environment, Path.touch, lambda path: path.symlink_to(os.devnull)]
)
def test_without_such_a_file_nothing_changes(make: Callable[[Path], None], folder: Path) -> None:
    make(folder / ".env")
    before = dict(os.environ)
    read_dotenv()

    assert before == os.environ


def test_the_environment_wins_also_where_it_is_blank() -> None:
    os.environ |= {"WECHAT_APPID": "mine", "WECHAT_SECRET": ""}
    write("WECHAT_APPID=file\nWECHAT_SECRET=file\nWECHAT_ENDPOINT=token\n")
    read_dotenv()

    assert [os.environ[name] for name in ("WECHAT_APPID", "WECHAT_SECRET", "WECHAT_ENDPOINT")] == ["mine", "", "token"]


# What can't be used.


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f'WECHAT_SECRET="{CANARY}', 1),
        (f"WECHAT_SECRET='{CANARY}", 1),
        (f'WECHAT_SECRET="{CANARY}" "{CANARY}"', 1),
        (f'WECHAT_APPID=wx1\n\n\n# ours\nWECHAT_SECRET="{CANARY}\n', 5),
        (f'WECHAT_APPID=wx1\r\n\r\nWECHAT_SECRET="{CANARY}\r\n', 3),
        (f'OTHER="an open quote\nWECHAT_SECRET={CANARY}\nMORE="x"', 1),
        (f"WECHAT_SECRET: {CANARY}", 1),
        (f"WECHAT_SECRET {CANARY}", 1),
        (f"set WECHAT_SECRET={CANARY}", 1),
        (f'$env:WECHAT_SECRET="{CANARY}"x', 1),
        (f"wechat_secret: {CANARY}", 1),
        (f"=WECHAT_SECRET={CANARY}", 1),
    ],
)
def test_a_line_of_ours_that_can_not_be_understood_is_named_by_its_number(content: str, line: int) -> None:
    (fault,) = faults(content)

    assert f"line {line} can't be understood: write NAME=value" in fault


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"REDIS_URL=redis://:{CANARY}$x@h/0".encode(), "gives REDIS_URL a $"),
        (f'REDIS_URL="redis://:${{P-{CANARY}}}@h/0"'.encode(), "gives REDIS_URL a $"),
        (f"REDIS_URL=redis://:$(echo {CANARY})@h/0".encode(), "gives REDIS_URL a $"),
        (f'WECHAT_SECRET="{CANARY}\nWECHAT_APPID=wx1\n"'.encode(), "gives WECHAT_SECRET what is not plain text"),
        (f"WECHAT_SECRET={CANARY}\x07".encode(), "gives WECHAT_SECRET what is not plain text"),
        (f"WECHAT_SECRET={CANARY}\u5e97".encode("gb18030"), "gives WECHAT_SECRET what is not plain text"),
    ],
)
def test_a_value_that_means_something_else_elsewhere_is_refused(line: bytes, words: str) -> None:
    (fault,) = faults(b"\n" + line)

    assert "line 2 " in fault
    assert words in fault


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Path.mkdir, "it is a directory: there should be a file"),
        (lambda path: path.symlink_to("/none"), "it is a link to what is not there"),
        (lambda path: path.symlink_to(".env"), "Too many levels of symbolic links"),
        (os.mkfifo, "it is not a regular file"),
    ],
)
def test_what_stands_in_the_place_of_a_file_is_refused(make: Callable[[Path], None], words: str, folder: Path) -> None:
    make(folder / ".env")
    with pytest.raises(ConfigError) as caught:
        read_dotenv()

    assert caught.value.faults == [f".env (in {folder}): can't be read: {words}"]


@pytest.mark.parametrize("line", ["REDIS_URL", "export REDIS_URL", "  REDIS_URL  # none"])
def test_a_name_without_a_value_is_the_shells_or_refused(line: str) -> None:
    (fault,) = faults(f"\n{line}\nOTHER\n")
    assert "line 2 names REDIS_URL and gives it nothing: write NAME=value" in fault

    assert read(line, {"REDIS_URL": "redis://h/0"}) == {}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_as_powershell_writes_it_is_refused_and_not_skipped(encoding: str) -> None:
    (fault,) = faults(f"WECHAT_SECRET={CANARY}\r\n".encode(encoding))

    assert "is not UTF-8 text: save it as UTF-8" in fault


def test_a_file_that_is_far_too_large_is_refused() -> None:
    (fault,) = faults(b"#" * (1024 * 1024 + 1))

    assert "can't be read: it has more than" in fault


def test_of_a_broken_file_nothing_is_taken() -> None:
    faults(f'WECHAT_APPID=wx1\nWECHAT_SECRET="{CANARY}')

    assert "WECHAT_APPID" not in os.environ


def test_all_broken_lines_are_listed_at_once() -> None:
    assert len(faults("WECHAT_APPID: x\nREDIS_URL=$x\nWECHAT_SECRET 'x")) == 3


@pytest.mark.parametrize("length", [10_000, 1_000_000])
def test_a_line_of_any_length_makes_a_short_message(length: int) -> None:
    for content in ("WECHAT_SECRET=" + "x" * length + '\x07"', f"WECHAT_SECRET='{'x' * length}"):
        assert len(faults(content)[0]) < 300


# Who reads it.


def test_the_commands_read_it() -> None:
    write("WECHAT_APPID=wx1\nTOKENWORKER_TICK=soon\n")
    result = CliRunner().invoke(main, ["check"])

    assert result.exit_code == 1
    assert "WECHAT_APPID" in result.stdout
    assert "TOKENWORKER_TICK" in result.stdout


@pytest.mark.parametrize("command", ["check", "status", "get", "refresh"])
def test_a_broken_file_ends_every_command_with_one_sentence(command: str) -> None:
    write(f"WECHAT_SECRET='{CANARY}")
    result = CliRunner().invoke(main, [command])

    assert result.exit_code == 1
    assert "line 1 can't be understood" in result.stderr
    assert "Traceback" not in result.output
    assert CANARY not in result.output


@pytest.mark.parametrize("command", ["worker", "beat", "flower"])
def test_a_broken_file_ends_our_celery_app_with_all_faults_at_once(command: str) -> None:
    write(f"WECHAT_SECRET='{CANARY}")
    celery = [sys.executable, "-m", "celery", "--app=tokenworker", command]
    run = subprocess.run(celery, capture_output=True, text=True, check=False, env=SHELL | {"TOKENWORKER_TICK": "x"})

    assert run.returncode != 0
    assert "line 1 can't be understood" in run.stderr
    assert "TOKENWORKER_TICK is 'x'" in run.stderr
    assert "Traceback" not in run.stderr
    assert CANARY not in run.stdout + run.stderr


def test_a_worker_takes_everything_from_it(stack: Stack) -> None:
    settings = {name: stack.environ.pop(name) for name in [*stack.environ] if name not in SHELL}
    (stack.folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))
    stack.worker()

    wait_for(lambda: "refreshed" in stack.log(0))


HOST_APP = """\
import os
from celery import Celery
app = Celery("shop", broker="memory://", include=["tokenworker.worker.tasks"])
app.loader.import_default_modules()
assert "tokenworker.get_token" in app.tasks
print(sorted(name for name in os.environ if name.startswith(("WECHAT_", "TOKENWORKER_"))))
"""


def test_an_app_that_only_loads_the_tasks_keeps_its_environment() -> None:
    write("WECHAT_APPID=wx1\nTOKENWORKER_TICK=1\n")
    run = subprocess.run([sys.executable, "-c", HOST_APP], capture_output=True, text=True, check=True, env=SHELL)

    assert run.stdout == "[]\n"
