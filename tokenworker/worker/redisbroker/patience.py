"""How long Celery waits for Redis: less and less once the worker was asked to stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from typing import Any, ClassVar

from celery.worker import state
from redis import TimeoutError  # noqa: A004  redis-py's name

#: A worker that stops waits so many seconds for an answer, and less after each in vain; one to BRPOP comes within 1 s.
_LAST_WAIT = 2.0
_SHORTEST_WAIT = 0.1


class Hasty:
    """Waits less for a server once the worker was asked to stop, and less each time in vain: a stop has many steps."""

    patience: ClassVar[float] = _LAST_WAIT
    _sock: socket | None

    def connect(self) -> None:
        """Connect, with less patience once the worker was asked to stop."""
        if state.should_stop is not None:
            self.socket_timeout = self.socket_connect_timeout = Hasty.patience
        with _losing_patience():
            super().connect()  # type: ignore[misc]

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Return an answer, as `connect`."""
        if state.should_stop is not None and self._sock:
            self._sock.settimeout(Hasty.patience)
        with _losing_patience():
            return super().read_response(*args, **options)  # type: ignore[misc]


@contextmanager
def _losing_patience() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        if state.should_stop is not None:
            Hasty.patience = max(Hasty.patience / 2, _SHORTEST_WAIT)
        raise
