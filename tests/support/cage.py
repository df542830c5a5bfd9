"""Runs a command under what a unit of systemd forbids it to ask of the kernel: cage.py FILE COMMAND…

Without systemd: its filter of system calls, its ban of memory that is written to and executed, and that of new rights.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Where Linux's headers number the system calls of this machine.
HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _SET_MDWE = 38, 22, 65
_FILTER, _REFUSE_EXEC_GAIN = 2, 1
_X86_64 = 0xC000003E
#: Of classic BPF: load a word, jump if equal, return; and what a filter can return.
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_KILL, _ALLOW, _EPERM = 0x80000000, 0x7FFF0000, 0x00050001
_NUMBER, _ARCHITECTURE = 0, 4


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def allowed(unit: str) -> set[str]:
    """Return the system calls that a unit's text allows."""
    calls: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        named = {call for group in line.removeprefix("~").split() for call in _members(group)}
        calls = calls - named if line.startswith("~") else calls | named
    # Without these nothing would run: systemd lets them in whatever stands there.
    return calls | set(_members("@default"))


def _members(group: str) -> Iterator[str]:
    if not group.startswith("@"):
        yield group
        return
    command = ["systemd-analyze", "--no-pager", "syscall-filter", group]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in re.findall(r"^    ([@\w:-]+)$", listed, re.MULTILINE):
        yield from _members(name)


def _numbers(calls: Iterable[str]) -> list[int]:
    known = dict(re.findall(r"#define __NR_(\w+) (\d+)", HEADER.read_text(encoding="utf-8")))
    return sorted(int(known[call]) for call in calls if call in known)


def _filter(numbers: Iterable[int]) -> bytes:
    program = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, _X86_64), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    for number in numbers:
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *step) for step in (*program, (_RETURN, 0, 0, _EPERM)))


def confine(unit: str) -> None:
    """Have this process, and all that come of it, do only what a unit's text allows."""
    steps = _filter(_numbers(allowed(unit)))
    buffer = ctypes.create_string_buffer(steps, len(steps))
    program = _Program(len(steps) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for words in (
        (_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_SET_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0),
        (_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*words):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def missing() -> str | None:
    """Return what this machine lacks for it, if anything."""
    if platform.machine() != "x86_64" or not HEADER.exists():
        return "needs Linux's headers on x86_64"
    try:
        done = subprocess.run(
            [sys.executable, __file__, os.devnull, "true"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        return str(error)
    return done.stderr.strip().rpartition("\n")[2] or None


if __name__ == "__main__":
    confine(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  that is what this is for
