"""The web process: whom it lets in, and whether it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException

from tokenworker.accounts.account import Account
from tokenworker.cli.doctor.finding import Finding, fault, note, ok
from tokenworker.errors import ConfigError
from tokenworker.settings.config import Config
from tokenworker.settings.web import WebSettings
from tokenworker.web.clients.file import read
from tokenworker.web.server import check_address

_SUBJECT = "web"

#: A password that is shorter can be guessed, for nothing slows down who tries.
SHORTEST = 12

#: Seconds that the web process gets to answer.
_PATIENCE = 2.0

#: Addresses at which one listens, and those at which one asks there.
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  where it listens, not where we do


def examine(config: Config, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Look at what the settings say of it, and ask it how it is; nothing where nobody seems to want it."""
    yield from _clients(config, accounts)
    yield from _address(config)
    if config.web.password:
        yield from weakness(_SUBJECT, "TOKENWORKER_WEB_PASSWORD", config.web.password.reveal())
    yield from _answer(config)


def weakness(subject: str, variable: str, password: str) -> list[Finding]:
    """Return a note if a password is too short."""
    if len(password) >= SHORTEST:
        return []
    advice = f"has fewer than {SHORTEST} characters, and can be guessed: take what `openssl rand -base64 18` prints"
    return [note(subject, f"{variable} {advice}")]


def _clients(config: Config, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    path = config.web.clients
    if path is None:
        return
    try:
        clients = list(read(path).values())
    except ConfigError as error:
        yield from (fault(_SUBJECT, sentence) for sentence in error.faults)
        return
    yield ok(_SUBJECT, f"{path}: {len(clients)} client{'' if len(clients) == 1 else 's'}")
    for client in clients:
        if not any(client.may_see(account.id, account.name) for account in accounts.values()):
            yield note(_SUBJECT, f"{path}: {client.name} may have none of the accounts that are here: see its accounts")


def _address(config: Config) -> Iterator[Finding]:
    try:
        check_address(config, config.web.address)
    except ConfigError as error:
        yield from (fault(_SUBJECT, sentence) for sentence in error.faults)


def _answer(config: Config) -> Iterator[Finding]:
    host = _HERE.get(config.web.address, config.web.address)
    place = f"http://{f'[{host}]' if ':' in host else host}:{config.web.port}"
    status = _healthz(host, config.web.port)
    if status == 200:  # noqa: PLR2004  HTTP's own
        yield ok(_SUBJECT, f"{place} answers")
    elif config.web == WebSettings():
        return
    elif status is not None:
        yield fault(_SUBJECT, f"another program answers at {place} ({status}): set TOKENWORKER_WEB_PORT to a free port")
    else:
        yield note(_SUBJECT, f"nothing answers at {place}: start `tokenworker web`, unless it runs on another machine")


def _healthz(host: str, port: int) -> int | None:
    """Return the status of the answer; None if there is none."""
    with closing(HTTPConnection(host, port, timeout=_PATIENCE)) as connection:
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status
        except HTTPException:
            return 0
        except (OSError, UnicodeError):
            return None
