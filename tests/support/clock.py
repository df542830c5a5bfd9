"""Wall clocks that tests move, or stop: a library loaded before libc does that, all else is as it is."""

from __future__ import annotations

import mmap
import struct
import subprocess
import time
from pathlib import Path

from support.processes import RedisServer

_LAYOUT = struct.Struct("<qq")


class WallClock:
    """The clock of each process that has `environ`; it runs as the machine's does, until it is told otherwise."""

    def __init__(self, folder: Path) -> None:
        path, library = folder / "clock", folder / "clock.so"
        path.write_bytes(_LAYOUT.pack(1, 0))
        with path.open("r+b") as file:
            self._numbers = mmap.mmap(file.fileno(), _LAYOUT.size)
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)  # noqa: S607
        self.environ = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(path)}

    def go_ahead(self, seconds: float) -> None:
        """Have the clock run so far ahead of the machine's."""
        self._set(1, seconds)

    def stand_at(self, moment: float) -> None:
        """Stop the clock at a moment, in epoch seconds."""
        self._set(0, moment)

    def _set(self, runs: int, seconds: float) -> None:
        self._numbers[:] = _LAYOUT.pack(runs, round(seconds * 1e6))
        # Between commands of the same millisecond Redis does not look at the clock.
        time.sleep(0.002)


class ClockedServer(RedisServer):
    """A Redis server with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock = WallClock(folder)
        super().__init__(folder, None, **self.clock.environ)
