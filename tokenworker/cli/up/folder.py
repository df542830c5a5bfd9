"""The folder of `tokenworker up`: its data, its logs, and the word that it is in use."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: What a killed `tokenworker up` leaves behind goes by itself within so many seconds.
_PATIENCE = 5.0


class FolderUnusable(Exception):  # noqa: N818  it states a fact
    """The folder can't be written to, or `tokenworker up` runs in it already; its text says what to do."""


@contextmanager
def claimed(folder: Path) -> Iterator[int]:
    """Make the folder ours alone, and yield the file descriptor that keeps it so.

    It stays so while any process has that descriptor: two servers on the same data would destroy it. Raises
    `FolderUnusable`.
    """
    with writing(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(lock, folder)
        with writing(folder):
            os.ftruncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode())
        yield lock
    finally:
        os.close(lock)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an error of the file system into a sentence; raises `FolderUnusable`."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise FolderUnusable(
            f"{where} can't be made or written: {error.strerror}: `tokenworker up` keeps its data and logs in"
            f" {folder.absolute()}, so start it in a folder of your own, with room on the disk"
        ) from error


def _lock(lock: int, folder: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while not _locked(lock):
        pid = _holder(lock)
        if pid:
            raise FolderUnusable(
                f"`tokenworker up` runs in this folder already, as process {pid}: use that one, or stop it with Ctrl-C"
            )
        if time.monotonic() > end:
            raise FolderUnusable(
                "what an earlier `tokenworker up` started in this folder still runs, and must end first:"
                f" `fuser {folder}/up.lock` names it"
            )
        time.sleep(0.1)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # some network file systems have no locks
    return True


def _holder(lock: int) -> int | None:
    """Return the process that wrote the lock, if it lives."""
    with suppress(OSError, ValueError):
        pid = int(os.pread(lock, 20, 0))
        os.kill(pid, 0)
        return pid
    return None
