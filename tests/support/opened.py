"""Counts how often files are opened, in this process or in others that are started with `environ`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOOK = """
import os, sys
_log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _note(event, arguments):
    if event == "open" and str(arguments[0]).startswith({folder!r}):
        os.write(_log, f"{{os.getpid()}} {{arguments[0]}}\\n".encode())
sys.addaudithook(_note)
"""

#: A hook can't be taken out again: this one notes only while somebody listens.
_listening: list[list[str]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        for names in _listening:
            names.append(str(arguments[0]))


sys.addaudithook(_note)


@contextmanager
def opened_here(folder: Path) -> Iterator[list[str]]:
    """Collect the names of the files below a folder that are opened meanwhile; complete when it ends."""
    names: list[str] = []
    _listening.append(names)
    yield names
    _listening.remove(names)
    names[:] = [name for name in names if name.startswith(str(folder))]


class OpenedElsewhere:
    """Notes which files below a folder the processes open that are started with `environ`, and all their forks."""

    def __init__(self, folder: Path, notes: Path) -> None:
        notes.mkdir()
        self._log = notes / "opened.log"
        (notes / "sitecustomize.py").write_text(_HOOK.format(log=str(self._log), folder=str(folder)))
        self.environ = {"PYTHONPATH": str(notes)}

    def names(self) -> list[str]:
        """Return the names of the files, one for each time."""
        return [line.partition(" ")[2] for line in self._log.read_text().splitlines()]
