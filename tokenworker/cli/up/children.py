"""Child processes that are started in order, watched, restarted, and gone when we are gone."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tokenworker.cli.up.folder import writing
from tokenworker.cli.up.pulse import Pulse, is_stopped

#: What ends us: Ctrl-C, a service manager, a terminal that closes.
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: A child that dies sooner after its start, in seconds, has not worked at all.
_SHORT_LIFE = 10.0
_MAX_SHORT_LIVES = 3
_RESTART_AFTER = 1.0
#: The longest log, in bytes; the one that was put aside may be as long.
_LONGEST_LOG = 10_000_000
#: A disk with fewer bytes than this is full.
_ROOM = 100_000
_STOP_TIMEOUT = 15.0
_PR_SET_PDEATHSIG = 1


class ChildFailed(Exception):  # noqa: N818  it states a fact
    """A child could not be started, or died again and again; `tail` is the end of its log."""

    def __init__(self, name: str, log: Path) -> None:
        super().__init__(name, log)
        self.name = name
        self.log = log

    def __str__(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        if not lines:
            full = shutil.disk_usage(self.log.parent).free < _ROOM
            return f"{self.name} does not run, and {self.log} is empty" + (": the disk is full" if full else "")
        return f"{self.name} does not run; the end of {self.log}:\n" + "\n".join(f"    {line}" for line in lines)


@dataclass
class Child:
    """One process; `ready` says whether it does its work yet."""

    name: str
    command: list[str]
    ready: Callable[[], bool]
    log: Path
    environ: Mapping[str, str] = field(repr=False)
    #: A file descriptor that the process keeps open as long as it lives.
    lock: int | None = None
    timeout: float = 30.0
    pulse: Pulse = field(default_factory=Pulse)
    #: What it gets when we are killed: Flower, told to stop without a broker, may never come to its end.
    orphan_signal: signal.Signals = signal.SIGKILL
    _process: subprocess.Popen[bytes] | None = None
    _started: float = 0.0
    _short_lives: int = 0

    def start(self) -> None:
        """Start the process, in a session of its own: Ctrl-C is for us, and we stop the children in order.

        Raises `FolderUnusable`.
        """
        with writing(self.log.parent):
            log = self.log.open("ab")
        with log, _uninterrupted():
            self._process = subprocess.Popen(  # noqa: S603  our own commands
                self.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=dict(self.environ),
                start_new_session=True,
                pass_fds=() if self.lock is None else (self.lock,),
                preexec_fn=self._prepare,  # noqa: PLW1509  two C calls
            )
        self._started = time.monotonic()
        self.pulse.begin()

    def wait_ready(self) -> None:
        """Wait until it does its work; raises `ChildFailed` when it dies or takes too long."""
        while not self.ready():
            if not self.alive or time.monotonic() - self._started > self.timeout:
                raise ChildFailed(self.name, self.log)
            time.sleep(0.05)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def still(self, may_wait: Callable[[], bool]) -> float | None:
        """Return the seconds that it has not moved if it never will; `may_wait` says whether it waits for another."""
        if self._process is None or not self.alive:
            return None
        still = self.pulse.look(self._process.pid)
        late = self.pulse.is_too_long(still)
        if (late or self.pulse.waits) and not is_stopped(self._process.pid):
            self.pulse.waits = may_wait()
        if self.pulse.waits:
            self.pulse.excuse()
            return None
        return still if late else None

    @property
    def moves(self) -> bool:
        """Whether it runs and has moved lately."""
        return self.alive and self.pulse.is_young

    def kill(self) -> None:
        """End the process, and what it started, as one must that does not move."""
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def revive(self) -> bool:
        """Start it again if it died, and return whether it had; raises `ChildFailed` when it keeps dying."""
        if self.alive:
            return False
        short = time.monotonic() - self._started < _SHORT_LIFE
        self._short_lives = self._short_lives + 1 if short else 0
        if self._short_lives >= _MAX_SHORT_LIVES:
            raise ChildFailed(self.name, self.log)
        time.sleep(_RESTART_AFTER)
        self.start()
        return True

    def stop(self) -> None:
        """End the process: ask, wait, then insist."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        self._process.send_signal(signal.SIGCONT)  # a stopped one heeds nothing else
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def keep_log(self) -> None:
        """Put the log of the run before aside, since it may tell of a crash; raises `FolderUnusable`."""
        with writing(self.log.parent):
            if self.log.exists() and self.log.stat().st_size:
                self.log.replace(self._old_log)

    def limit_log(self) -> None:
        """Put the log aside when it has grown too long; the process writes on at the new beginning of the file."""
        with suppress(OSError):  # somebody may have removed it
            if self.log.stat().st_size > _LONGEST_LOG:
                shutil.copyfile(self.log, self._old_log)
                os.truncate(self.log, 0)

    @property
    def _old_log(self) -> Path:
        return self.log.with_name(f"{self.log.name}.1")

    def _prepare(self) -> None:
        """Let signals through again, and have Linux end the child when we are killed: its port would stay taken."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, self.orphan_signal)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back what would end us: in the middle of a fork Python loses it, or the process that was made."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
