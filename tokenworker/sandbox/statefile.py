"""The file in which the sandbox keeps what it knows, for the one that is started next."""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenworker.sandbox.errors import StateFileUnusable
from tokenworker.sandbox.platform import Platform
from tokenworker.sandbox.saver import Saver
from tokenworker.sandbox.state import PlatformState, fits
from tokenworker.textfile import content, reason, shown

#: Changes with the form of what is written.
_VERSION = 1
#: Some 100,000 accounts; a longer file is none of ours.
_LONGEST = 256 * 1024 * 1024

_PUT_ASIDE = "%s is no state file of this version: it is put aside as %s, and earlier tokens are not known here"

logger = logging.getLogger(__name__)


@contextmanager
def keeping(platform: Platform, path: Path) -> Iterator[Saver]:
    """Have a platform go on where the one before it was, and save what it knows to the end.

    Raises StateFileUnusable.
    """
    file = StateFile(path)
    saver = Saver(platform, file.save)
    with file.claimed():
        if state := file.load():
            platform.resume(state)
        saver.save()
        platform.on_change = saver.note
        try:
            yield saver
        finally:
            saver.try_to_save()


class StateFile:
    """A file of one sandbox's at a time, which is replaced as a whole; other people can't read it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Have the file to ourselves, as long as we live; raises StateFileUnusable."""
        try:
            lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._lock(lock)
            yield
        finally:
            os.close(lock)

    def load(self) -> PlatformState | None:
        """Return what stands in the file, if it is there; what is no state is put aside. Raises StateFileUnusable."""
        try:
            text = content(self.path, _LONGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            why = reason(self.path, error)
            raise StateFileUnusable(f"the state file {shown(self.path)} can't be read: {why}") from error
        state = _read(text)
        if state is None:
            self._put_aside()
        return state

    def save(self, state: PlatformState) -> None:
        """Replace what stands in the file; raises StateFileUnusable."""
        try:
            self._replace(json.dumps({"sandbox": _VERSION, "state": state}).encode() + b"\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def _replace(self, text: bytes) -> None:
        # In the same folder, so that the file is the old one or the new one whenever we are killed.
        new = f"{self.path}.new"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
        Path(new).replace(self.path)

    def _unwritable(self, error: OSError) -> StateFileUnusable:
        where = shown(error.filename or self.path)
        return StateFileUnusable(f"the state file {where} can't be written: {error.strerror}")

    def _lock(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateFileUnusable(
                f"another sandbox keeps its state in {shown(self.path)}: stop that one, or give this one another file"
            ) from error
        except OSError:
            return  # some network file systems have no locks

    def _put_aside(self) -> None:
        aside = self.path.with_name(f"{self.path.name}.broken")
        try:
            self.path.replace(aside)
        except OSError as error:
            raise self._unwritable(error) from error
        logger.warning(_PUT_ASIDE, shown(self.path), aside.name)


def _read(text: bytes) -> PlatformState | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_ours = isinstance(found, dict) and found.get("sandbox") == _VERSION
    state: PlatformState | None = found.get("state") if is_ours else None
    return state if fits(state, PlatformState) else None
