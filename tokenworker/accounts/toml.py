"""TOML with thousands of accounts, a piece at a time."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from typing import Any

from tokenworker.accounts.courtesy import rest

#: Accounts of a piece: some milliseconds' worth.
_PIECE = 100
_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*account[ \t]*\]\]", re.MULTILINE)


def parse(text: str) -> dict[str, Any]:
    """Return what `tomllib` makes of a text, with rests for other threads; raises what that raises."""
    tables: list[Any] = []
    for piece in _pieces(text):
        found = _tables(piece)
        if found is None:
            # Whatever it is that makes this piece unlike the others: it counts as it is in the whole.
            return tomllib.loads(text)
        tables += found
        rest()
    return {"account": tables}


def _pieces(text: str) -> list[str]:
    """Cut a text before some of its [[account]], where none of these can stand in a text of several lines."""
    if '"""' in text or "'''" in text:
        return [text]
    headers = [found.start() for found in _HEADER.finditer(text)]
    return [text[start:end] for start, end in pairwise([0, *headers[_PIECE::_PIECE], len(text)])]


def _tables(piece: str) -> list[Any] | None:
    """Return the accounts of a piece that holds nothing else."""
    try:
        found = tomllib.loads(piece)
    except (ValueError, RecursionError):
        return None
    return found["account"] if list(found) == ["account"] and isinstance(found["account"], list) else None
