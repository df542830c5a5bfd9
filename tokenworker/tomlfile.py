"""Files of TOML that people write: what stands in them, or a sentence about what is wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenworker.textfile import reason, shown


def document(
    path: Path,
    read: Callable[[], bytes],
    faults: list[str],
    parse: Callable[[str], dict[str, Any]] = tomllib.loads,
) -> dict[str, Any] | None:
    """Return what stands in the file at `path`, whose content `read` brings; None with a sentence added to `faults`."""
    try:
        return parse(read().decode("utf-8-sig"))
    except OSError as error:
        faults.append(f"{shown(path)}: can't be read: {reason(path, error)}")
    except UnicodeDecodeError:
        faults.append(f"{shown(path)}: is not UTF-8 text")
    except (ValueError, RecursionError) as error:
        # Besides TOML's own errors: numbers of thousands of digits, brackets a thousand deep.
        faults.append(f"{shown(path)}: is not TOML: {_place(error)}")
    return None


def _place(error: Exception) -> str:
    """Return where a fault is, but not what stands there: it may be a secret."""
    found = re.search(r"\(at (line \d+, column \d+)\)$", str(error))
    return f"look at {found[1]}" if found else "look for an open quote or bracket"
