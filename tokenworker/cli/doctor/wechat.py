"""What WeChat or WeCom says of each account: its secret, and this machine's IP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tokenworker.accounts.account import Account
from tokenworker.cli.doctor.finding import Finding, fault, ok
from tokenworker.credentials import harmless
from tokenworker.errors import FetchError
from tokenworker.settings.config import Config
from tokenworker.wechat.source import Source, WeChat
from tokenworker.wechat.transport import Transport

#: What findings call a platform.
_SUBJECTS = {"wechat": "WeChat", "wecom": "WeCom"}


def examine(config: Config, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Ask once for each account."""
    source = WeChat(Transport(config.proxy), config.urls, config.durations.fetch_timeout)
    yield from (_ask(source, account) for account in accounts.values())


def _ask(source: Source, account: Account) -> Finding:
    kind = harmless(account)
    subject = _SUBJECTS[kind.platform]
    try:
        source.fetch(kind, account, {})
    except FetchError as error:
        return fault(subject, f"{account.id}: {error}")
    return ok(subject, f"{account.id}: its id, its secret and this machine's IP are right")
