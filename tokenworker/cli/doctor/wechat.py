"""What WeChat says of each account: its secret, and this machine's IP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tokenworker.accounts.account import Account
from tokenworker.cli.doctor.finding import Finding, fault, ok
from tokenworker.credentials import harmless
from tokenworker.errors import FetchError
from tokenworker.settings.config import Config
from tokenworker.wechat.source import Source, WeChat
from tokenworker.wechat.transport import Transport

_SUBJECT = "WeChat"


def examine(config: Config, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Ask WeChat once for each account."""
    source = WeChat(Transport(config.proxy), config.urls, config.durations.fetch_timeout)
    yield from (_ask(source, account) for account in accounts.values())


def _ask(source: Source, account: Account) -> Finding:
    try:
        source.fetch(harmless(account), account, {})
    except FetchError as error:
        return fault(_SUBJECT, f"{account.id}: {error}")
    return ok(_SUBJECT, f"{account.id}: its id, its secret and this machine's IP are right")
