"""The files that accounts are read from: which version of each was read, and whether there is another by now."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from tokenworker.textfile import content

#: Files that a look asks after, besides the one that is asked after each time: a few milliseconds' worth.
SLICE = 1_000

#: What stands for the versions of a file that is not there.
_MISSING = 0
#: Faults that lie in the file itself, so that it is another one when they are gone; others pass by themselves.
_LASTING = {errno.EACCES, errno.EPERM, errno.EISDIR, errno.EINVAL, errno.EFBIG, errno.ELOOP, errno.ENAMETOOLONG}


class Files:
    """Reads files, and knows which version of each it read."""

    def __init__(self) -> None:
        #: The version of each, by its path.
        self.versions: dict[str, int] = {}

    def read(self, path: str, limit: int) -> bytes:
        """Return what stands in a file, as `content` does, and raises what it raises."""
        # The version from before the reading, and the first of several, so that no change is missed.
        self.versions.setdefault(path, version(path))
        try:
            return content(path, limit)
        except OSError as error:
            if error.errno not in _LASTING:
                self.versions[path] = _MISSING
            raise


class Watch:
    """Notices that files are other versions than those that were read.

    `always` is looked at each time; of the others a slice, going round.
    """

    def __init__(self, versions: Mapping[str, int], always: Path | None) -> None:
        self._others = dict(versions)
        read = self._others.pop(str(always), None)
        self._always = [] if read is None else [(str(always), read)]
        self._round = self._go_round()

    def sees_change(self) -> bool:
        """Look at the next slice, and return whether a file changed."""
        some = islice(self._round, min(SLICE, len(self._others)))
        return any(version(path) != read for path, read in (*self._always, *some))

    def _go_round(self) -> Iterator[tuple[str, int]]:
        while True:
            yield from self._others.items()


def version(path: str) -> int:
    """Return a number that differs between versions of a file, also when a link or a rename put one in its place."""
    try:
        status = os.stat(path)  # noqa: PTH116  a Path costs more than the call
    except (OSError, ValueError):
        return _MISSING
    # The time of the change too: archives and copies may bring the same size and the same time of writing.
    return hash((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
