"""The accounts that the environment names, and what is wrong with them beside the other settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tokenworker.accounts.account import Account
from tokenworker.accounts.conflicts import conflicts
from tokenworker.accounts.courtesy import unhurried
from tokenworker.accounts.file import load_accounts
from tokenworker.accounts.files import Files
from tokenworker.accounts.loaded import Loaded
from tokenworker.accounts.table import Fault, Listed, parse_account
from tokenworker.credentials import complete, kinds_for
from tokenworker.credentials.kind import Kind
from tokenworker.errors import UnknownCredential
from tokenworker.messages import QUEUE
from tokenworker.publish.formats import Copy, credential_of
from tokenworker.settings.variables import ACCOUNT, cleaned

#: Accounts by the place where each is configured.
_Places = Mapping[str, Account]


def read_accounts(environ: Mapping[str, str], file: Path | None, *, leeway: float, prefix: str) -> Loaded:
    """Read the accounts, in their order, with a sentence for each thing wrong with them.

    `leeway` is that of accounts that name none, in seconds, 0 for none; keys that begin with `prefix` are ours.
    """
    faults: list[str] = []
    files = Files()
    places = _from_variables(environ, files, faults)
    if file:
        places |= load_accounts(file, environ, files, faults)
    places = _completed(places, faults)
    copies = {place: account.blank_copies for place, account in unhurried(places.items()) if account.publish}
    conflicts(places, copies, faults)
    _check_leeway(leeway, places, faults)
    _check_published(places, faults)
    _check_keys(prefix, copies, faults)
    if not places and not faults:
        faults.append(_no_account(file))
    return Loaded({account.id: account for account in places.values()}, faults, files.versions)


def single_account(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of the one account that needs no file, as the variables give them; empty when none does."""
    given = cleaned(environ, [])
    fields = {field: given[name] for field, name in ACCOUNT.items() if name in given}
    return fields | ({"keep": Listed(fields["keep"])} if "keep" in fields else {})


def _no_account(file: Path | None) -> str:
    if file:
        return f"{file}: lists no account: write [[account]] with appid and secret for each"
    return (
        "no account is configured: set WECHAT_APPID and WECHAT_SECRET, in the environment or in a file .env here, or"
        " TOKENWORKER_ACCOUNTS to a file of accounts; to try it out without one, `tokenworker up` runs a sandbox"
    )


def _from_variables(environ: Mapping[str, str], files: Files, faults: list[str]) -> dict[str, Account]:
    """Return the account of the variables by its place; empty when there is none."""
    given = single_account(environ)
    if not given:
        return {}
    if "appid" not in given:
        names = ", ".join(ACCOUNT[field] for field in given)
        faults.append(f"WECHAT_APPID is missing, but {names} is set: set WECHAT_APPID too, or none of them")
    if ("secret" in given) == ("secret_file" in given):
        said = "both are" if "secret" in given else "neither is"
        faults.append(f"set either WECHAT_SECRET or WECHAT_SECRET_FILE for WECHAT_APPID: {said} set")
    found: list[Fault] = []
    account = parse_account(given, environ, files, found)
    faults.extend(f"{ACCOUNT[field]} {sentence}" for field, sentence in found)
    return {"WECHAT_APPID": account}


def _completed(places: _Places, faults: list[str]) -> dict[str, Account]:
    """Have each account keep what the credentials that it keeps are made from."""
    completed: dict[str, Account] = {}
    for place, account in unhurried(places.items()):
        completed[place] = account
        try:
            keep = complete(account.type, account.endpoint, account.keep)
        except UnknownCredential as error:
            faults.append(f"{place}: keep names what it can't: {error}")
            continue
        if keep != account.keep:
            completed[place] = replace(account, keep=keep)
    return completed


def _check_leeway(common: float, places: _Places, faults: list[str]) -> None:
    """Add a fault where a leeway asks for a new credential sooner than WeChat makes one."""
    faults.extend(
        f"{place}: leeway is {account.leeway:g}: {_window(account)}, so write 295"
        for place, account in places.items()
        if account.leeway and _asks_in_vain(account, account.leeway)
    )
    late = [place for place, account in places.items() if not account.leeway and _asks_in_vain(account, common)]
    if late:
        whose = late[0] + (f" and {len(late) - 1} more" if late[1:] else "")
        window = _window(places[late[0]], "which ")
        advice = "write 295, or a leeway or another endpoint there"
        faults.append(f"TOKENWORKER_LEEWAY is {common:g}, but {whose} has the endpoint {window}: {advice}")


def _asks_in_vain(account: Account, leeway: float) -> bool:
    return any(0 < kind.window < leeway for kind in _kinds(account))


def _window(account: Account, which: str = "") -> str:
    window = min(kind.window for kind in _kinds(account) if kind.window)
    comma = ", " if which else " "
    return f"{account.endpoint}{comma}{which}hands out a new token only in the last {window:g} s"


def _kinds(account: Account) -> list[Kind]:
    return [kind for name, kind in kinds_for(account).items() if name in account.keep]


def _check_published(places: _Places, faults: list[str]) -> None:
    """Add a fault for each key of a credential that the account does not keep."""
    faults.extend(
        f"{place}: publish names a key for {name}, which the account does not keep: add it to keep, or take it out"
        for place, account in places.items()
        for name in map(credential_of, account.publish)
        if name and name not in account.keep
    )


def _check_keys(prefix: str, copies: Mapping[str, tuple[Copy, ...]], faults: list[str]) -> None:
    """Add a fault for each copy, by the place of its account, that has a key of ours."""
    # A credential written over the queue or over a state would stop the whole service.
    faults.extend(
        f"{place}: the key {copy.name!r} of publish or WECHAT_TOKEN_KEY is one of tokenworker's own: choose another"
        for place, published in copies.items()
        for copy in published
        if copy.key == QUEUE or copy.key.startswith(f"{prefix}:")
    )
