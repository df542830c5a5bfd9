"""Canaries: secrets that must not be found where they don't belong, in whatever form they might be written."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

#: Of each form so many characters from either end are looked for: a part of a secret is one, too.
LENGTH = 16

Form = Callable[[str], str]

#: How texts are written into others.
FORMS: dict[str, Form] = {
    "raw": str,
    "percent": lambda text: quote(text, safe=""),
    "percent in a path": quote,
    "percent in a form": quote_plus,
    "percent in small letters": lambda text: quote(text, safe="").lower() if text == text.lower() else text,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "repr": lambda text: repr(text)[1:-1],
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
    "repr of a repr": lambda text: repr(repr(text))[2:-2],
    "HTML": html.escape,
    "hex": lambda text: text.encode().hex(),
}


def _base64(text: str) -> Iterator[tuple[str, str]]:
    """Yield what base64 makes of a text that stands anywhere in a longer one: three forms, by where it begins."""
    data = text.encode()
    for offset, begin in enumerate((0, 2, 3)):
        end = (offset + len(data)) * 8 // 6
        for name, encode in (("base64", base64.b64encode), ("base64 for URLs", base64.urlsafe_b64encode)):
            yield f"{name}, from {offset}", encode(bytes(offset) + data).decode()[begin:end]


def written(secret: str) -> Iterator[tuple[str, str]]:
    """Yield each form's name, and the secret in it."""
    for name, form in FORMS.items():
        yield name, form(secret)
    for name in ("raw", "percent", "JSON", "repr"):
        for way, text in _base64(FORMS[name](secret)):
            yield f"{name} in {way}", text


class Canaries:
    """Finds secrets in what left a process."""

    def __init__(self) -> None:
        self._parts: dict[bytes, tuple[str, str]] = {}
        self.names: set[str] = set()

    def add(self, name: str, secret: str) -> str:
        """Look for this secret, too, from now on; returns it."""
        self.names.add(name)
        for form, text in written(secret):
            data = text.encode()
            for part in (data[:LENGTH], data[-LENGTH:]):
                assert len(part) == LENGTH, f"{name} is too short in {form}"
                self._parts.setdefault(part, (name, form))
        return secret

    def found(self, data: bytes | str) -> dict[str, str]:
        """Return the names of the secrets that are in there, each with one of the forms and what stands around it."""
        given, parts = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data, self._parts
        hits: dict[str, str] = {}
        for at in range(len(given) - LENGTH + 1):
            if given[at : at + LENGTH] in parts:
                name, form = parts[given[at : at + LENGTH]]
                around = given[max(0, at - 100) : at + LENGTH + 20]
                hits.setdefault(name, f"{form}: {around!r}")
        return hits
