"""The file `.env`, in the syntax that docker compose understands.

Only what is tokenworker's is taken from it, since the file may be another program's. No sentence shows any part of
a line: a secret may be anywhere in one that is malformed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from tokenworker.textfile import content, reason, shown

_OURS = r"(?:(?:TOKENWORKER|WECHAT|WECOM|FLOWER)_\w+|REDIS_URL|CELERY_BROKER_URL|CELERY_RESULT_BACKEND)"
_NAME = re.compile(_OURS, re.IGNORECASE | re.ASCII)
_MENTION = re.compile(rf"\b{_OURS}\b", re.IGNORECASE | re.ASCII)
_REFERENCE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}", re.ASCII)
#: A line with its value in single quotes, where nothing is replaced.
_LITERAL = re.compile(r"[^=]*=\s*'")
_MAX = 1024 * 1024
#: What stands in an environment of Python's, which may have the name of our file.
_ENVIRONMENT = ("pyvenv.cfg", "conda-meta")


def load(path: Path, environ: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    """Read our variables from the file, if there is one, adding to `faults` a sentence for each thing wrong with it.

    `environ` is for the ${NAME} in it, and wins over the file's own lines there too.
    """
    found: dict[str, str] = {}
    text = _text(path, faults)
    for binding in parse_stream(StringIO(text, newline="")):
        if binding.value is not None and binding.key:
            found[binding.key] = _value(binding, found | dict(environ))
        if fault := _fault(binding, environ):
            faults.append(f"{shown(path)}: line {_line(binding)} {fault}")
    return {name: value for name, value in found.items() if _NAME.fullmatch(name)}


def _text(path: Path, faults: list[str]) -> str:
    if _is_absent(path):
        return ""
    try:
        found = content(path, _MAX)
    except OSError as error:
        faults.append(f"{shown(path)}: can't be read: {reason(path, error)}")
        return ""
    if b"\0" in found:
        faults.append(f"{shown(path)}: is not UTF-8 text: save it as UTF-8 (in PowerShell: Out-File -Encoding utf8)")
        return ""
    # Another program's lines may be in any encoding.
    return found.decode("utf-8-sig", errors="surrogateescape")


def _is_absent(path: Path) -> bool:
    """Return whether there is no such file, and nothing that stands where one was meant to be."""
    try:
        status = path.stat()
    except OSError:
        # A folder that we may not read holds nothing of ours. A link was made by somebody, wherever it leads.
        return not path.is_symlink()
    if stat.S_ISDIR(status.st_mode):
        # Docker makes an empty folder where the file to mount is missing.
        return any(os.path.lexists(path / mark) for mark in _ENVIRONMENT)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == Path(os.devnull).stat().st_rdev


def _value(binding: Binding, known: Mapping[str, str]) -> str:
    value = binding.value or ""
    if _LITERAL.match(binding.original.string):
        return value
    return _REFERENCE.sub(lambda found: known.get(found[1]) or found[2] or "", value)


def _fault(binding: Binding, environ: Mapping[str, str]) -> str | None:
    if binding.error:
        mentioned = _MENTION.search(binding.original.string)
        return "can't be understood: write NAME=value, and close every quote" if mentioned else None
    if not _NAME.fullmatch(binding.key or ""):
        return None
    if binding.value is None:
        # To docker compose it is the variable of the shell, where there is one.
        return None if binding.key in environ else f"names {binding.key} and gives it nothing: write NAME=value"
    if not binding.value.isprintable():
        return f"gives {binding.key} what is not plain text on one line, in UTF-8: write it anew"
    if "$" in _REFERENCE.sub("", binding.value) and not _LITERAL.match(binding.original.string):
        return f"gives {binding.key} a $, which begins a variable: write ${{NAME}}, or the value in single quotes"
    return None


def _line(binding: Binding) -> int:
    """Return where it begins; the parser counts blank lines before it in."""
    text = binding.original.string
    return binding.original.line + len(re.findall(r"\r\n|\n|\r", text[: len(text) - len(text.lstrip())]))
