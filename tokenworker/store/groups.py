"""Much in parts: what is done to all credentials at once keeps everybody else waiting at Redis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

#: So many steps go into one round trip, and so many members into one command.
AT_ONCE = 200


def grouped(items: Iterable[T], most: int = AT_ONCE) -> Iterator[list[T]]:
    """Return them in lists of at most so many."""
    rest = iter(items)
    while group := list(islice(rest, most)):
        yield group
