"""Files of TOML that people write: what stands in them, or a sentence about what is wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenworker.redaction import excerpt
from tokenworker.textfile import reason, shown

#: The first part of a key, if it is not in quotes.
_KEY = re.compile(r"""^[ \t]*(?:([A-Za-z0-9_-]+)(?:[ \t.][^=\n]*)?|"[^"\n]*"[^=\n]*|'[^'\n]*'[^=\n]*)=""", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*(\[\[?[^\[\]\n]*\]\]?)", re.MULTILINE)
#: What tomllib says of a key, and of a heading, that stands there already.
_TWICE = ("Cannot overwrite a value", "Cannot declare")


def document(
    path: Path,
    read: Callable[[], bytes],
    faults: list[str],
    parse: Callable[[str], dict[str, Any]] = tomllib.loads,
) -> dict[str, Any] | None:
    """Return what stands in the file at `path`, whose content `read` brings; None with a sentence added to `faults`."""
    text = ""
    try:
        text = read().decode("utf-8-sig")
        return parse(text)
    except OSError as error:
        faults.append(f"{shown(path)}: can't be read: {reason(path, error)}")
    except UnicodeDecodeError:
        faults.append(f"{shown(path)}: is not UTF-8 text")
    except (ValueError, RecursionError) as error:
        # Besides TOML's own errors: numbers of thousands of digits, brackets a thousand deep.
        faults.append(f"{shown(path)}: is not TOML: {_advice(error, text)}")
    return None


def _advice(error: Exception, text: str) -> str:
    """Return where a fault is, and no value that stands there: it may be a secret."""
    said = str(error)
    found = re.search(r"\(at line (\d+), column \d+\)$", said)
    if said.startswith(_TWICE):
        lines = text.rstrip().split("\n")
        return _twice("\n".join(lines[: int(found[1])] if found else lines))
    if found:
        what = "a key stands twice: " if said.startswith("Duplicate") else ""
        return f"{what}look at {found[0].strip('()').removeprefix('at ')}"
    return "look for an open quote or bracket, and at its last line"


def _twice(text: str) -> str:
    """Return what stands twice, by the text from the beginning to the end of its second time."""
    headings, keys = list(_HEADING.finditer(text)), list(_KEY.finditer(text))
    number = text.count("\n") + 1
    if headings and headings[-1].end() > text.rfind("\n"):
        return f"{excerpt(headings[-1][1])} heads what stands above it already: look at line {number}"
    # What looks like a key in a text of several lines may be a part of a secret.
    if not keys or not keys[-1][1] or any(quotes in text for quotes in ('"""', "'''")):
        return f"a key stands twice: look at line {number}"
    number = text.count("\n", 0, keys[-1].start(1)) + 1
    under = f" under one {excerpt(headings[-1][1])}" if headings else ""
    return f"{excerpt(keys[-1][1])} stands twice{under}: look at line {number}"
