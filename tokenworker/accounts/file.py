"""The file of accounts: TOML, a table for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenworker.accounts.account import Account
from tokenworker.accounts.courtesy import unhurried
from tokenworker.accounts.files import Files
from tokenworker.accounts.table import PATH, contradictions, parse_account
from tokenworker.accounts.toml import parse
from tokenworker.redaction import excerpt
from tokenworker.tomlfile import document

#: The largest file that is read, in bytes: 100,000 accounts with names and copies are a quarter of it. A larger one is
#: another, or never ends.
_MAX_FILE = 64 * 1024 * 1024


def load_accounts(path: Path, environ: Mapping[str, str], files: Files, faults: list[str]) -> dict[str, Account]:
    """Read the accounts file into accounts by place, adding to `faults` a sentence for each thing wrong with it.

    The file is TOML, one ``[[account]]`` table each; a secret may stand in it, in a file or in a variable.
    """
    accounts: dict[str, Account] = {}
    for number, table in enumerate(unhurried(_tables(path, files, faults)), start=1):
        found = contradictions(table)
        account = parse_account(table, environ, files, found)
        place = f"{path}: account {number}" + (f" ({account.id})" if account.id else "")
        faults.extend(f"{place}: {field} {sentence}" for field, sentence in found)
        accounts[place] = account
    return accounts


def _tables(path: Path, files: Files, faults: list[str]) -> list[dict[str, Any]]:
    if not PATH.fullmatch(str(path)):
        # What was given is not shown: it may be the content of the file, or a secret.
        faults.append("TOKENWORKER_ACCOUNTS must be the path of a file, for example /etc/tokenworker/accounts.toml")
        return []
    found = document(path, lambda: files.read(str(path), _MAX_FILE), faults, parse)
    return [] if found is None else _account_tables(found, path, faults)


def _account_tables(found: dict[str, Any], path: Path, faults: list[str]) -> list[dict[str, Any]]:
    tables = found.pop("account", [])
    faults.extend(f"{path}: {excerpt(key)!r} is unknown here: write [[account]] over what is one's" for key in found)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        faults.append(f"{path}: write [[account]], with two brackets, over each account")
        return []
    return tables
