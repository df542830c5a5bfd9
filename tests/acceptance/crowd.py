"""Many processes to call at once; they are started once, since 200 of them take half a minute."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: From here the modules of the tests can be imported.
TESTS = Path(__file__).parent.parent


class Stuck(Exception):  # noqa: N818  it states a fact
    """A process gave no answer in time."""


class Caller:
    """One process: takes orders, gives an answer to each."""

    def __init__(self, log: Path) -> None:
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "acceptance.child"],
                cwd=TESTS,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=kept_environ(),
            )
        self.owes = 0

    def order(self, do: str, **details: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")
        self.process.stdin.flush()
        self.owes += 1

    def answer(self, timeout: float = 20.0) -> dict[str, Any]:
        """Return the answer to the last order; raises `Stuck`."""
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            raise Stuck(f"process {self.process.pid} did not answer within {timeout:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise Stuck(f"process {self.process.pid} ended without an answer")
        self.owes -= 1
        answer: dict[str, Any] = json.loads(line)
        return answer

    def strike(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def is_struck(self) -> bool:
        """Say whether the process stands still, or is dead."""
        try:
            state = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        return state in "TZ"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


class Crowd:
    """Lends processes out and takes them back; those that owe an answer, or died, are not lent again."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._idle: list[Caller] = []

    def lend(self, number: int, environ: Mapping[str, str]) -> list[Caller]:
        """Return so many processes, ready to work with these settings."""
        while len(self._idle) < number:
            self._idle.append(Caller(self._log))
        lent, self._idle = self._idle[:number], self._idle[number:]
        ask(lent, "prepare", environ=dict(environ), timeout=120)
        return lent

    def take_back(self, callers: Sequence[Caller]) -> None:
        for caller in callers:
            if caller.owes or caller.process.poll() is not None:
                caller.end()
            else:
                self._idle.append(caller)

    def end(self) -> None:
        for caller in self._idle:
            caller.end()


def kept_environ() -> dict[str, str]:
    """Say what processes inherit: none of the settings that happen to be set here."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def ask(callers: Sequence[Caller], do: str, timeout: float = 20.0, **details: Any) -> list[dict[str, Any]]:
    """Give all the same order and return their answers, all within `timeout`."""
    for caller in callers:
        caller.order(do, **details)
    end = time.monotonic() + timeout
    return [caller.answer(max(0.1, end - time.monotonic())) for caller in callers]
