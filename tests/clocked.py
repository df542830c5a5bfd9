"""A Redis server whose clock tests move, or hold: a library loaded before libc does that, all else is as it is."""

from __future__ import annotations

import mmap
import struct
import subprocess
import time
from pathlib import Path

from conftest import RedisServer

_LAYOUT = struct.Struct("<qq")


class ClockedServer(RedisServer):
    """Its clock runs as the machine's does, until it is told otherwise."""

    def __init__(self, folder: Path) -> None:
        path, library = folder / "clock", folder / "clock.so"
        path.write_bytes(_LAYOUT.pack(1, 0))
        with path.open("r+b") as file:
            self._clock = mmap.mmap(file.fileno(), _LAYOUT.size)
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)  # noqa: S607
        super().__init__(folder, LD_PRELOAD=str(library), CLOCK_FILE=str(path))

    def go_ahead(self, seconds: float) -> None:
        """Have the clock run so far ahead of the machine's."""
        self._set(1, seconds)

    def stand_at(self, moment: float) -> None:
        """Stop the clock at a moment, in epoch seconds."""
        self._set(0, moment)

    def _set(self, runs: int, seconds: float) -> None:
        self._clock[:] = _LAYOUT.pack(runs, round(seconds * 1e6))
        # Between commands of the same millisecond the server does not look at the clock.
        time.sleep(0.002)
