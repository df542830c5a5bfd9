"""The faults that wait for a call."""

import random
import threading
from dataclasses import dataclass
from typing import Any

from tokenworker.sandbox.faults.fault import Fault


@dataclass
class _Armed:
    fault: Fault
    left: int | None


class FaultBox:
    """The faults that are armed, oldest first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Arm one more fault."""
        with self._lock:
            self._armed.append(_Armed(fault, fault.scope.times))

    def clear(self) -> None:
        """Disarm all faults."""
        with self._lock:
            self._armed.clear()

    def describe(self) -> list[dict[str, Any]]:
        """Return the faults that are armed; `left` is how many times each will still act."""
        with self._lock:
            return [{**armed.fault.as_json(), "left": armed.left} for armed in self._armed]

    def take(self, path: str, appid: str, *, token_works: bool = False) -> Fault | None:
        """Hand out the first fault meant for such a call, and count it down."""
        with self._lock:
            for armed in self._armed:
                if armed.fault.matches(path, appid, token_works=token_works) and _strikes(armed.fault):
                    self._count_down(armed)
                    return armed.fault
        return None

    def _count_down(self, armed: _Armed) -> None:
        if armed.left is None:
            return
        armed.left -= 1
        if armed.left == 0:
            self._armed.remove(armed)


def _strikes(fault: Fault) -> bool:
    return random.random() < fault.scope.share  # noqa: S311  chance, not cryptography
