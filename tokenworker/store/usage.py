"""Usage: how often each client of the web face asked for something, and was refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast, get_args

from tokenworker.store.groups import grouped
from tokenworker.store.keys import Keys
from tokenworker.store.scripts import Command, Scripts, readable

#: What is counted.
Action = Literal["reads", "reports", "signatures", "refusals"]
_ACTIONS = get_args(Action)


class Usage:
    """A hash of counts by client and action, which all web processes add to; may raise `StoreUnavailable`."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._key = keys.clients

    def add(self, counts: Mapping[tuple[str, Action], int]) -> None:
        """Add to what is there; where an answer is lost that may happen twice, for figures need not be exact."""
        # By the command that the rights of all who write have.
        steps = [Command(("HINCRBYFLOAT", self._key, f"{name}:{action}", n)) for (name, action), n in counts.items()]
        for group in grouped(steps):
            self._scripts.together(*group)

    def counts(self) -> dict[str, dict[Action, int]]:
        """Return how often each did each."""
        counts: dict[str, dict[Action, int]] = {}
        found = cast("Mapping[bytes, bytes]", self._scripts.command("HGETALL", self._key))
        for field, count in found.items():
            name, _, action = readable(field).rpartition(":")
            if name and action in _ACTIONS and count.isdigit():
                counts.setdefault(name, dict.fromkeys(_ACTIONS, 0))[cast("Action", action)] = int(count)
        return counts
