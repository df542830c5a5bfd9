"""Programs that answer each line with a line, on SDKs that `install` puts under .venv/conformance."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Self

from support.processes import ROOT

HERE = Path(__file__).parent
SDKS = ROOT / ".venv" / "conformance"

#: Programs on silenceper/wechat.
SILENCEPER = SDKS / "silenceper" / "silenceper"


class Conversation:
    """A program that answers each line with a line."""

    def __init__(self, *command: str) -> None:
        environ = os.environ | {"NODE_PATH": str(SDKS / "node" / "node_modules")}
        self._process = subprocess.Popen(
            command, cwd=HERE, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, line: str = "") -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n")
        return self._process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)


def wxjava(part: str, program: str, *first: str) -> tuple[str, ...]:
    """Return the command that runs a program on WxJava; `part` is what it is compiled with, wechat or wecom."""
    folder = SDKS / "wxjava" / part
    # Its start is most of what it does.
    quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
    return ("java", *quick, "-cp", f"{folder / 'classes'}:{folder / 'lib'}/*", program, *first)


def wxjava_class(part: str, program: str) -> Path:
    """Return the file that is there when a program on WxJava is."""
    return SDKS / "wxjava" / part / "classes" / f"{program}.class"
