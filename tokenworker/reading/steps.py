"""The steps of a reader: what it wants done, by whoever can wait."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

Command = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """Send `data` to Redis, which is so many commands as they stand on the wire.

    The reply is a list with an answer for each, a `Refusal` where Redis refuses, or a `StoreUnavailable`.
    """

    data: bytes
    commands: int

    @classmethod
    def of(cls, *commands: Command) -> Exchange:
        """Write commands as Redis takes them."""
        return cls(b"".join(part for command in commands for part in _parts(command)), len(commands))


@dataclass(frozen=True, slots=True)
class Refusal:
    """What Redis says when it does not do a command."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds. No reply."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SendTask:
    """Have a worker look at an account at once. The reply says what went wrong, or nothing."""

    appid: str
    rejected: str | None


def _parts(command: Command) -> Iterator[bytes]:
    yield b"*%d\r\n" % len(command)
    for word in command:
        data = str(word).encode("utf-8", "surrogateescape")
        yield b"$%d\r\n%b\r\n" % (len(data), data)


Step = Exchange | Pause | SendTask
Steps = Generator[Step, Any, T]
