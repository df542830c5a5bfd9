"""What WeChat says of each account: its AppSecret, and this machine's IP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tokenworker.accounts.account import Account
from tokenworker.cli.doctor.finding import Finding, fault, ok
from tokenworker.errors import FetchError
from tokenworker.settings.config import Config
from tokenworker.wechat.api import Source, WeChat
from tokenworker.wechat.transport import Transport

_SUBJECT = "WeChat"


def examine(config: Config, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Ask WeChat once for each account."""
    source = WeChat(Transport(config.proxy), config.api_urls, config.durations.fetch_timeout)
    yield from (_ask(source, account) for account in accounts.values())


def _ask(source: Source, account: Account) -> Finding:
    # Without force, stable_token hands out what there is, and touches no token of the classic endpoint.
    try:
        source.fetch(replace(account, endpoint="stable_token"))
    except FetchError as error:
        return fault(_SUBJECT, f"{account.appid}: {error}")
    return ok(_SUBJECT, f"{account.appid}: appid, AppSecret and this machine's IP are right")
