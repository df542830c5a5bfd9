"""Connections that keep a deadline, and that notice when the server behind them is not what it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import ResponseError
from redis.connection import AbstractConnection

#: An idle connection may be dead without a sign after so many seconds.
MAX_IDLE = 15

#: How often a connection that is used asks whether its server became a replica, in seconds.
_ROLE_INTERVAL = 5.0

#: No time at all would mean to redis-py that it may take for ever.
_LEAST = 0.001

#: A socket may take so much more, or less, of what is left.
_LITTLE = 0.02

_thread = threading.local()


class deadline:  # noqa: N801  it is used as a function; one with contextlib takes three times as long
    """Have all that this thread does with Redis in the block end by `moment`, of `time.monotonic`.

    So finding a master, connecting, logging in and the exchange itself share one time.
    """

    def __init__(self, moment: float) -> None:
        self._moment = moment

    def __enter__(self) -> None:
        _thread.deadline = self._moment

    def __exit__(self, *_: object) -> None:
        _thread.deadline = None


@contextmanager
def hurry() -> Iterator[None]:
    """Have each step in the block take half of the time that is left: others must have some, too."""
    _thread.share = 0.5
    try:
        yield
    finally:
        _thread.share = 1.0


class Punctual(AbstractConnection):
    """Takes no longer than its thread's deadline; one that was idle for long is replaced, not tried."""

    #: The part of the time left that it may take.
    _share = 1.0
    #: What the socket was told last: to tell it takes a call of the system, which is saved where it changes little.
    _told = 0.0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._patience: float = self.socket_timeout or float("inf")

    def _connect(self) -> Any:
        self._told = self.socket_timeout = self.socket_connect_timeout = self._left()
        return super()._connect()  # type: ignore[safe-super, no-untyped-call]

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send, and have the answer come before the deadline."""
        left = self._left()
        if self._sock and abs(left - self._told) > _LITTLE * left:
            self._told = left
            self._sock.settimeout(left)
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def _left(self) -> float:
        moment: float | None = getattr(_thread, "deadline", None)
        left = self._patience if moment is None else moment - time.monotonic()
        share: float = getattr(_thread, "share", 1.0)
        return max(_LEAST, left * min(share, self._share))

    def check_health(self) -> None:
        """Replace the connection if it was idle for long; redis-py calls this before each question."""
        if 0 < self.next_health_check < time.monotonic():
            self.replace()

    def replace(self) -> None:
        """Connect anew, to whatever server now has the name."""
        self.disconnect()  # type: ignore[no-untyped-call]
        self.next_health_check = 0
        self.connect()  # type: ignore[no-untyped-call]


class Hurried(Punctual):
    """Takes half of the time that is left: what is asked first must leave some for what comes after it."""

    _share = 0.5


class Watchful(Punctual):
    """Notices that its server became a replica: a name may lead elsewhere by now, while old connections stay open."""

    _ask_role_at = 0.0

    def connect(self) -> None:
        """Connect; the role is asked for a while later, for who finds a replica at a name may mean one."""
        if not self._sock:
            self._ask_role_at = time.monotonic() + _ROLE_INTERVAL
        super().connect()  # type: ignore[no-untyped-call]

    def check_health(self) -> None:
        """Replace the connection also if its server is a replica."""
        super().check_health()
        if time.monotonic() >= self._ask_role_at and self._leads_to_replica():
            self.replace()

    def _leads_to_replica(self) -> bool:
        self._ask_role_at = time.monotonic() + _ROLE_INTERVAL
        self.send_command("ROLE", check_health=False)  # type: ignore[no-untyped-call]
        try:
            answer = self.read_response(disable_decoding=True)
        except ResponseError:
            self._ask_role_at = float("inf")  # this user may not, or the server has no roles
            return False
        return bool(answer[0] == b"slave")
