"""The lineage of the servers: another one means that a replica took over, or a backup, without the last writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from tokenworker.store.keys import Keys
from tokenworker.store.scripts import Keyless, Scripts, text


class Lineage:
    """Which history of writes the data come from; every method may raise `StoreUnavailable`."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._key = keys.lineage

    def now(self) -> str:
        """Return what names the history of the servers that take writes; "" where this user may not ask."""
        return ",".join(sorted(self._replication_ids()))

    def noted(self) -> str:
        """Return the one that was noted last, in the data themselves; "" when none was."""
        return text(cast("bytes | None", self._scripts.command("GET", self._key)) or b"")

    def note(self, lineage: str) -> None:
        """Note it, once what follows from a change is done."""
        self._scripts.command("SET", self._key, lineage)

    def _replication_ids(self) -> Iterator[str]:
        for facts in self._scripts.everywhere(Keyless(("INFO", "replication"))):
            if isinstance(facts, dict) and "master_replid" in facts:
                yield str(facts["master_replid"])
