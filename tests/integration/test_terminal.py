"""What a person sees of the accounts: whole at any width, in any locale, and a line an account in a pipe."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from rich.cells import cell_len
from rich.console import Console
from support.processes import RedisServer
from support.targets import lease_of

from tokenworker.cli.table import duration, frame
from tokenworker.cli.terminal import Terminal, shown
from tokenworker.credential import Credential
from tokenworker.errors import StoreUnavailable
from tokenworker.store.store import Store
from tokenworker.worker.status import Status

#: As long as WeChat's longest, with nothing in it at which one could break a line but the words.
LONG = " ".join(["WeChat refused (40164): the IP 203.0.113.9 is not on the whitelist of this account."] * 4)
CHINESE = "调用接口的IP地址不在白名单中。请在接口IP白名单中进行设置。" * 12
NAMES = ["", "shop", "官方旗舰店小程序"]
#: A terminal's own commands: colours, and moving about.
COMMANDS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def row(number: int = 0, **facts: Any) -> Status:
    known = {
        "account": f"wx{number:016x}",
        "credential": "access_token",
        "name": NAMES[number % 3],
        "state": "live",
        "expires_in": 7100.0,
        "refresh_at": 6800.0,
        "retry_at": 0.0,
        "now": 0.0,
        "fetches_today": 12,
        "fingerprint": f"{number:016x}",
        "error": "",
        "hint": "",
        "publish_error": "",
        "in_doubt_since": 0.0,
        "probe_error": "",
        "sandbox": False,
    }
    return cast("Status", known | facts)


def bad(number: int = 0, error: str = LONG, **facts: Any) -> Status:
    return row(number, **{"state": "missing", "expires_in": None, "fingerprint": "", "error": error, **facts})


def some(count: int) -> list[Status]:
    """Every fifth account is in trouble, in English or Chinese."""
    return [row(n) if n % 5 else bad(n, CHINESE if n % 2 else LONG) for n in range(count)]


def written(rows: Sequence[Status], width: int | None, error: str | None = None) -> str:
    """What a terminal of that width shows, or a pipe."""
    paper = io.StringIO()
    Terminal(Console(file=paper, width=width, force_terminal=width is not None, color_system=None)).table(rows, error)
    return paper.getvalue()


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


WIDTHS = pytest.mark.parametrize("width", [40, 60, 80, 100, 140])


@WIDTHS
@pytest.mark.parametrize("count", [1, 20, 1000])
def test_every_account_is_whole_and_no_line_is_too_long(width: int, count: int) -> None:
    rows = some(count)
    lines = written(rows, width).splitlines()

    assert max(map(cell_len, lines)) <= width
    for account in rows:
        (at,) = [number for number, line in enumerate(lines) if line.startswith(account["account"])]
        assert account["state"] in " ".join(lines[at : at + 3])
        assert account["name"] in " ".join(lines[at : at + 3])


@WIDTHS
def test_an_error_stands_below_its_account_with_no_letter_lost(width: int) -> None:
    for error in (LONG, CHINESE):
        lines = written([row(1), bad(2, error, hint="add it", publish_error="KEY: no"), row(3)], width).splitlines()
        (first,) = [number for number, line in enumerate(lines) if line.startswith(row(2)["account"])]
        (after,) = [number for number, line in enumerate(lines) if line.startswith(row(3)["account"])]

        assert "40164" not in lines[first]
        assert squeezed(f"{error}: add it") in squeezed("".join(lines[first + 1 : after]))
        assert squeezed("can't publish KEY: no") in squeezed("".join(lines[first + 1 : after]))
        assert all(line.startswith("  ") for line in lines[first + 1 : after])


@pytest.mark.parametrize(("width", "columns"), [(60, 4), (80, 5), (140, 7)])
def test_the_wider_the_terminal_the_more_columns(width: int, columns: int) -> None:
    heading = written([row(1)], width).splitlines()[0]

    assert len(re.split(" {2,}", heading.strip())) == columns
    assert "next refresh" in heading


@pytest.mark.parametrize("appid", ["x" * 30, "x" * 64])
@WIDTHS
def test_the_longest_appid_is_not_cut_either(appid: str, width: int) -> None:
    text = written([row(1), row(2, account=appid)], width)

    assert appid in squeezed(text)
    assert max(map(cell_len, text.splitlines())) <= width
    assert text.count("live") == 2


@pytest.mark.parametrize("count", [1, 20, 1000])
def test_a_pipe_gets_one_whole_line_an_account(count: int) -> None:
    rows = some(count)
    heading, *lines = written(rows, None).splitlines()

    assert len(lines) == count
    for account, line in zip(rows, lines, strict=True):
        assert re.split(" {2,}", line)[0] == account["account"]
        # Each letter as wide as it is shown.
        cells = "".join(letter.ljust(cell_len(letter), "\0") for letter in line)
        assert cells[heading.index("state") :].startswith(f"{account['state']}  ")
        assert cells[heading.index("next refresh") :].startswith("in 1 h 53 min  ")
        assert cells[heading.index("token") :].startswith(account["fingerprint"] or "-  ")
        assert cells[heading.index("remarks") :].replace("\0", "") == (account["error"] or "-")


def test_a_line_has_no_ruled_boxes_and_no_colours_in_a_pipe() -> None:
    text = written(some(20), None, "the accounts file has faults")

    assert not COMMANDS.search(text)
    assert not re.search("[─-╿]", text)
    assert text.endswith("\nthe accounts file has faults\n")


@pytest.mark.parametrize("error", ["two\nlines", "\x1b[2Jgone", "bell\x07", "\u202etfel", "a\r\tb"])
def test_no_error_commands_the_terminal_or_breaks_a_line(error: str) -> None:
    for width in (None, 80):
        text = written([bad(1, error)], width)
        assert len(text.splitlines()) == (2 if width is None else 3)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", text)


def test_made_up_tokens_are_called_so() -> None:
    for width in (None, 60, 140):
        assert "SANDBOX: made-up tokens" in written([row(1), row(2, sandbox=True)], width)
        assert "SANDBOX" not in written([row(1), row(2)], width)


def test_a_doubt_is_said_as_long_as_it_lasts() -> None:
    for width in (None, 60, 140):
        assert squeezed("WeChat may have replaced it") in squeezed(written([row(1, in_doubt_since=5.0)], width))
        assert squeezed("may have replaced") not in squeezed(written([row(1)], width))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.9, "0 s"), (59.9, "59 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"), (7199, "1 h 59 min")]
)
def test_a_time_is_written_as_one_reads_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# Accounts that keep more than one credential.


def several(count: int) -> list[Status]:
    """Each account keeps a token and a ticket, and every fifth ticket is in trouble."""
    tickets = [(row if n % 5 else bad)(n, credential="jsapi_ticket") for n in range(count)]
    return [it for n, ticket in enumerate(tickets) for it in (row(n), ticket)]


def test_which_credential_it_is_is_said_only_where_there_are_several() -> None:
    for width in (None, 60, 80, 140):
        assert not re.search("credential|access_token", written([row(1), row(2)], width))
    for width in (None, 80, 140):
        assert written(several(1), width).startswith(f"{'account':18}  credential    ")
    assert "  access_token: live, 1 h 58 min left" in written(several(1), 60)


@WIDTHS
@pytest.mark.parametrize("count", [1, 20, 1000])
def test_every_credential_is_whole_too(width: int, count: int) -> None:
    rows = several(count)
    lines = written(rows, width).splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("wx")]

    assert max(map(cell_len, lines)) <= width
    assert len(starts) == len(rows)
    for it, at in zip(rows, starts, strict=True):
        said = " ".join(lines[at : at + 3])
        assert all(text in said for text in (it["account"], it["credential"], it["state"], it["name"]))


def test_a_pipe_gets_one_whole_line_a_credential() -> None:
    rows = several(20)
    _, *lines = written(rows, None).splitlines()

    assert [re.split(" {2,}", line)[:2] for line in lines] == [[it["account"], it["credential"]] for it in rows]


def test_a_change_of_one_credential_is_a_line_of_its_own() -> None:
    token, ticket = several(1)
    paper = io.StringIO()
    with Terminal(Console(file=paper, width=200, force_terminal=False)).live() as show:
        for rows in ([token, row(0, credential="jsapi_ticket")], [token, ticket], [token, ticket]):
            show(rows, None)

    lines = paper.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["access_token", "jsapi_ticket", "jsapi_ticket"]
    assert lines[-1].endswith(LONG)


# The living table.


@pytest.mark.parametrize(("width", "height"), [(60, 10), (80, 24), (140, 50)])
@pytest.mark.parametrize("count", [1, 20, 1000])
def test_a_living_table_fits_the_screen_and_counts_the_rest(width: int, height: int, count: int) -> None:
    lines = [str(line) for line in frame([row(n) for n in range(count)], "the file has faults", width, height)]

    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width
    assert lines[-1] == "the file has faults"
    shown_ = sum(line.startswith("wx") for line in lines)
    assert shown_ == count or lines[-2] == f"and {count - shown_} more, all fine"


def test_a_living_table_shows_first_who_needs_help() -> None:
    lines = [
        str(line) for line in frame([row(n) for n in range(900)] + [bad(n) for n in range(900, 903)], None, 80, 24)
    ]

    appids = [line.split()[0] for line in lines if line.startswith("wx")]
    assert appids[:4] == [row(n)["account"] for n in (900, 901, 902, 0)]
    assert lines[-1].endswith("more, all fine")


def test_a_living_table_says_how_many_in_trouble_it_has_no_room_for() -> None:
    lines = [str(line) for line in frame([bad(n) for n in range(100)], None, 80, 24)]

    there = sum(line.startswith("wx") for line in lines)
    assert 0 < there < 100
    assert lines[-1] == f"and {100 - there} more, {100 - there} of them in trouble: see tokenworker status"


def test_a_terminal_that_can_do_nothing_gets_a_line_for_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    paper = io.StringIO()
    with Terminal(Console(file=paper, width=80, force_terminal=True)).live() as show:
        for rows in ([row(1), row(2)], [row(1), row(2)], [row(1), bad(2)]):
            show(rows, None)

    lines = paper.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == [row(n)["account"] for n in (1, 2, 2)]
    assert lines[-1].endswith(LONG)
    assert not COMMANDS.search(paper.getvalue())


# The commands themselves, in terminals and locales.


@pytest.fixture
def kept(store: Store) -> list[str]:
    """Two accounts, one with a token, and one with a long error in Chinese; both with names."""
    put(store, "wx1")
    lease = lease_of(store, "wx2")
    assert lease
    store.records.fail(lease, retry_at=lease.taken_at + 60, error=CHINESE, hint="请检查")
    store.notes.rename({"wx1": "官方旗舰店", "wx2": "服务号"})
    return ["wx1", "wx2"]


def put(store: Store, appid: str) -> None:
    lease = lease_of(store, appid)
    assert lease
    store.records.commit(lease, Credential(f"token-of-{appid}", lease.taken_at + 100), refresh_at=lease.taken_at + 50)


def environ(server: RedisServer, **variables: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"REDIS_URL": server.url, "LANG": "C.UTF-8", "TERM": "xterm-256color"} | variables


def in_terminal(command: Sequence[str], environ: dict[str, str], width: int, folder: Path) -> str:
    """Run a command as a terminal does, and return what it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=folder)
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65536):
            written += part
    except OSError:
        pass  # it has closed its end
    finally:
        os.close(ours)
        process.wait(10)
    return written.decode()


COMMAND = [sys.executable, "-m", "tokenworker.cli"]

LOCALES = [
    {"LANG": "C"},
    {"PYTHONIOENCODING": "gbk"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("locale", LOCALES, ids=repr)
@pytest.mark.parametrize("piped", [True, False])
def test_no_locale_ends_a_command(
    locale: dict[str, str], piped: bool, server: RedisServer, kept: list[str], tmp_path: Path
) -> None:
    env = environ(server, **locale)
    if piped:
        run = subprocess.run([*COMMAND, "status"], capture_output=True, env=env, cwd=tmp_path, check=False)
        text = (run.stdout + run.stderr).decode("gbk", "replace")
    else:
        text = in_terminal([*COMMAND, "status"], env | {"PYTHONIOENCODING": "ascii"}, 60, tmp_path)

    assert "Traceback" not in text
    assert all(appid in text for appid in kept)
    assert "missing" in text


def test_where_a_locale_has_no_letters_the_columns_stay_in_line(
    server: RedisServer, kept: list[str], tmp_path: Path
) -> None:
    env = environ(server, PYTHONIOENCODING="ascii")
    output = subprocess.run([*COMMAND, "status"], capture_output=True, env=env, cwd=tmp_path, check=False).stdout
    heading, *lines = output.decode("ascii").splitlines()

    assert len(lines) == len(kept)
    assert [line[heading.index("state") :].split("  ")[0] for line in lines] == ["live", "missing"]


def test_gbk_shows_what_it_has_letters_for(server: RedisServer, kept: list[str], tmp_path: Path) -> None:
    env = environ(server, PYTHONIOENCODING="gbk")
    output = subprocess.run([*COMMAND, "status"], capture_output=True, env=env, cwd=tmp_path, check=False).stdout

    assert "官方旗舰店" in output.decode("gbk")
    assert len(kept) + 1 == output.count(b"\n")


def test_a_name_is_understood_where_the_locale_has_no_letters_for_it(
    server: RedisServer, kept: list[str], tmp_path: Path
) -> None:
    for locale in LOCALES:
        command = [*COMMAND, "get", "官方旗舰店"]
        run = subprocess.run(command, capture_output=True, env=environ(server, **locale), cwd=tmp_path, check=False)
        assert run.stdout.decode() == f"token-of-{kept[0]}\n"


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_terminal_shows_whole_accounts_and_errors(
    width: int, server: RedisServer, kept: list[str], tmp_path: Path
) -> None:
    text = COMMANDS.sub("", in_terminal([*COMMAND, "status"], environ(server), width, tmp_path))
    lines = text.splitlines()

    assert all(any(line.startswith(appid) for line in lines) for appid in kept)
    assert max(map(cell_len, lines)) <= width
    assert CHINESE in squeezed(text)


@pytest.mark.parametrize(
    "size", [{"COLUMNS": "0"}, {"COLUMNS": "0", "LINES": "0"}, {"COLUMNS": "00"}, {"COLUMNS": "1"}]
)
def test_a_size_that_is_none_hides_nothing(
    size: dict[str, str], server: RedisServer, kept: list[str], tmp_path: Path
) -> None:
    env = environ(server, **size)
    piped = subprocess.run(
        [*COMMAND, "status"], capture_output=True, env=env, cwd=tmp_path, check=False
    ).stdout.decode()
    shown = COMMANDS.sub("", in_terminal([*COMMAND, "status"], env, 0, tmp_path))

    assert len(piped.splitlines()) == len(kept) + 1
    for text in (piped, shown):
        assert all(word in squeezed(text) for word in (*kept, squeezed(CHINESE)))


def test_without_colour_means_without_colour(server: RedisServer, kept: list[str], tmp_path: Path) -> None:
    colours = re.compile(r"\x1b\[[0-9;]*3[0-9]")
    assert colours.search(in_terminal([*COMMAND, "status"], environ(server), 80, tmp_path))
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        text = in_terminal([*COMMAND, "status"], environ(server, **variables), 80, tmp_path)
        assert not colours.search(text)
        assert all(appid in text for appid in kept)


def test_a_pipe_stays_one_whatever_is_forced(server: RedisServer, kept: list[str], tmp_path: Path) -> None:
    env = environ(server, FORCE_COLOR="1", COLUMNS="40")
    text = subprocess.run([*COMMAND, "status"], capture_output=True, env=env, cwd=tmp_path, check=False).stdout.decode()

    assert not COMMANDS.search(text)
    assert text.count("\n") == 1 + len(kept)


def test_whoever_reads_but_the_first_line_gets_no_traceback(server: RedisServer, store: Store) -> None:
    for number in range(300):
        put(store, f"wx{number}")
    for arguments in ("status", "status --json", "get wx1"):
        command = f"{sys.executable} -m tokenworker.cli {arguments} | head -n 1"
        run = subprocess.run(command, shell=True, capture_output=True, text=True, env=environ(server), check=True)  # noqa: S602
        assert run.stderr == ""
        assert run.stdout.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /dev/full")
@pytest.mark.parametrize("arguments", ["status", "status --json", "get wx1", "--help", "--version", "check --help"])
def test_where_the_output_cannot_go_is_one_sentence(
    server: RedisServer, kept: list[str], arguments: str, tmp_path: Path
) -> None:
    for where, sentences in (("> /dev/full", 1), (">&-", 0)):
        command = f"{sys.executable} -m tokenworker.cli {arguments} {where}"
        env = environ(server)
        run = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, env=env, check=False, cwd=tmp_path)  # noqa: S602
        assert run.stderr.count("\n") == sentences
        assert "Traceback" not in run.stderr
    assert kept


def test_a_thousand_accounts_are_shown_within_seconds(server: RedisServer, store: Store, tmp_path: Path) -> None:
    for number in range(1000):
        put(store, f"wx{number}")
    began = time.monotonic()
    text = in_terminal([*COMMAND, "status", "--all"], environ(server), 80, tmp_path)

    assert text.count("live") == 1000
    assert time.monotonic() - began < 15


def test_the_place_of_redis_is_shown_without_its_password() -> None:
    assert shown("redis://user:pa%2Fss@cache:6379/3") == "redis://cache:6379/3"
    assert shown("rediss://cache/0?password=canary&ssl_ca_certs=/ca.pem") == "rediss://cache/0"
    assert shown("unix://:canary@/run/redis.sock?db=2&password=canary") == "unix:///run/redis.sock?db=2"
    assert shown("sentinel://:canary@a:1,b:2/service?db=1") == "sentinel://a:1,b:2/service?db=1"


def test_what_the_store_says_is_shown_in_the_living_table() -> None:
    lines = frame([], str(StoreUnavailable("refused")), 80, 24)

    assert "refused" in str(lines[-1])
