"""The clients in force: read once, and again whenever their file changes."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from tokenworker.accounts.files import version
from tokenworker.errors import ConfigError
from tokenworker.web.clients.client import ANYBODY, NOBODY, Client, digest
from tokenworker.web.clients.file import read

logger = logging.getLogger(__name__)


class Clients:
    """The clients in force; a broken file leaves them as they are, and its faults in `error`.

    Without a file there are no keys, and everybody may do everything. Raises `ConfigError` for faults at the start.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._version = 0
        self._clients: Mapping[str, Client] = {}
        self.error: str | None = None
        if path:
            self._version, self._clients = version(str(path)), read(path)

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(self._clients.values())

    @property
    def need_keys(self) -> bool:
        """Whether who asks needs a key."""
        return self._path is not None

    def some_may_read(self, account: str, name: str, credential: str) -> bool:
        """Return whether there is a client that may read that credential of an account, by id or name."""
        them = self if self.need_keys else [ANYBODY]
        return any(
            client.may("read") and client.may_see(account, name) and client.may_have(credential) for client in them
        )

    def of(self, key: str) -> Client:
        """Return whose key it is, or `NOBODY`, in the same time for each key."""
        if self._path is None:
            return ANYBODY
        given = digest(key)
        found = self._clients.get(given, NOBODY)
        return found if hmac.compare_digest(found.digest, given) else NOBODY

    def reload(self) -> None:
        """Read the file again if it changed."""
        now = version(str(self._path)) if self._path else self._version
        if self._path is None or now == self._version:
            return
        self._version = now
        faults = self._take_over()
        if faults:
            self.error = "the clients stay as they were, since their file has faults: " + "; ".join(faults)
            logger.error(self.error)

    def _take_over(self) -> list[str]:
        """Read the file, and return what is wrong with it, in which case nothing changes."""
        try:
            self._clients = read(cast("Path", self._path))
        except ConfigError as error:
            return error.faults
        self.error = None
        logger.info("clients read again: %d", len(self))
        return []
