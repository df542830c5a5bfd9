"""The clients' file: TOML, a table for each client."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from tokenworker.errors import ConfigError
from tokenworker.redaction import discreet, excerpt
from tokenworker.textfile import content
from tokenworker.tomlfile import document
from tokenworker.web.clients.client import NAME, NAME_IS, SCOPES, Client

#: The largest file that is read, in bytes.
_MAX_FILE = 4 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def read(path: Path) -> dict[str, Client]:
    """Return the clients of a file by the digests of their keys; raises `ConfigError` with all faults at once."""
    faults: list[str] = []
    clients = [_client(table, place, faults) for place, table in _tables(path, faults)]
    for what in ("name", "digest"):
        faults.extend(_repeated(path, clients, what))
    if faults:
        raise ConfigError(faults)
    return {client.digest: client for client in clients}


def _tables(path: Path, faults: list[str]) -> list[tuple[str, dict[str, Any]]]:
    found = document(path, lambda: content(path, _MAX_FILE), faults)
    return [] if found is None else _client_tables(found, path, faults)


def _client_tables(found: dict[str, Any], path: Path, faults: list[str]) -> list[tuple[str, dict[str, Any]]]:
    # An empty list is no oversight: nobody may do anything yet.
    tables = found.pop("client", None)
    faults.extend(f"{path}: {excerpt(word)!r} is unknown here: write [[client]] over what is one's" for word in found)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        faults.append(f"{path}: has no clients: write [[client]], with two brackets, over each")
        return []
    return [(f"{path}: client {number}", table) for number, table in enumerate(tables, start=1)]


def _client(table: dict[str, Any], place: str, faults: list[str]) -> Client:
    given = dict(table)
    name, key = given.pop("name", None), given.pop("key_sha256", None)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        faults.append(f"{place}: name must be {NAME_IS}")
        name = ""
    place = f"{place} ({discreet(name)})" if name else place
    if not isinstance(key, str) or not _DIGEST.fullmatch(key):
        faults.append(
            f"{place}: key_sha256 must be 64 hex digits, in small letters: `tokenworker web new-key` makes one"
        )
        key = ""
    lists = {field: _texts(given, field, place, faults) for field in ("accounts", "credentials", "scopes")}
    faults.extend(f"{place}: there is no scope {excerpt(word)!r}: use {', '.join(SCOPES)}" for word in _strange(lists))
    faults.extend(f"{place}: {_unknown(word)}" for word in given)
    return Client(name, key, **{field: texts for field, texts in lists.items() if texts is not None})  # type: ignore[arg-type]


def _texts(given: dict[str, Any], field: str, place: str, faults: list[str]) -> tuple[str, ...] | None:
    if field not in given:
        return None
    texts = given.pop(field)
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        faults.append(f'{place}: {field} must be a list of one text or more, such as ["{_EXAMPLES[field]}"]')
        return None
    return tuple(texts)


_EXAMPLES = {"accounts": "wx*", "credentials": "access_token", "scopes": "read"}


def _strange(lists: Mapping[str, tuple[str, ...] | None]) -> list[str]:
    return [scope for scope in lists["scopes"] or () if scope not in SCOPES]


def _unknown(word: str) -> str:
    if word in ("key", "secret", "token"):
        return f"{word} is not kept here: write key_sha256, as `tokenworker web new-key` prints it"
    return f"{excerpt(word)!r} is unknown here: use name, key_sha256, accounts, credentials and scopes"


def _repeated(path: Path, clients: Iterable[Client], what: str) -> list[str]:
    said = {"name": "have the same name", "digest": "have the same key"}[what]
    places: dict[str, list[int]] = {}
    for number, client in enumerate(clients, start=1):
        places.setdefault(cast("str", getattr(client, what)), []).append(number)
    several = [numbers for value, numbers in places.items() if value and len(numbers) > 1]
    return [
        f"{path}: clients {' and '.join(map(str, numbers))} {said}: give each one of its own" for numbers in several
    ]
