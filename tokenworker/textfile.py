"""Small files that people write: read whole, and only when they can be what they should be."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from tokenworker.redaction import discreet

#: Letters of a path that a sentence shows.
_LONGEST = 200


def content(path: str | Path, limit: int) -> bytes:
    """Return what stands in a file; raises `OSError` also for what is no file, or too large to be the right one."""
    status = os.stat(path)  # noqa: PTH116  a Path costs as much as the reading, where there are many files
    if stat.S_ISDIR(status.st_mode):
        # Docker makes one where the file to mount is missing.
        raise OSError(errno.EISDIR, "it is a directory: there should be a file")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    with open(path, "rb") as file:  # noqa: PTH123  as above
        found = file.read(limit + 1)
    if len(found) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes")
    return found


def shown(path: str | Path) -> str:
    """Return a file's name for people; a relative one with the working folder, which they may not think of."""
    name = discreet(str(path))
    name = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
    return name if os.path.isabs(path) else f"{name} {here()}"  # noqa: PTH117  as above


def here() -> str:
    """Return the working folder, from which relative names count, in brackets."""
    try:
        return f"(in {os.getcwd()})"  # noqa: PTH109  Path.cwd is the same
    except OSError:
        return "(in a folder that is gone)"


def reason(path: str | Path, error: OSError) -> str:
    """Return why a file can't be read, and what to do where that is not plain, as a part of a sentence."""
    if str(path).startswith("~"):
        return "only a shell replaces the ~: write the whole path"
    if isinstance(error, FileNotFoundError) and os.path.islink(path):  # noqa: PTH114  as above
        return "it is a link to what is not there"
    if isinstance(error, PermissionError):
        return f"{error.strerror}: let the user that runs tokenworker (uid {os.geteuid()}) read it"
    return str(error.strerror)
