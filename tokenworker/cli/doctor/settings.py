"""The settings, as the worker would read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tokenworker.accounts.account import Account
from tokenworker.accounts.oddities import oddities
from tokenworker.cli.doctor.finding import Finding, fault, note, ok
from tokenworker.credentials import harmless
from tokenworker.errors import ConfigError
from tokenworker.settings.config import Config, Start, broker_notes
from tokenworker.worker.app import settings

_SUBJECT = "settings"


def faults(start: Start) -> list[Finding]:
    """Return a finding for each thing that keeps a worker from starting: settings, accounts, Celery's settings."""
    found = dict.fromkeys([*start.faults, *_celery_faults()])
    return [fault(_SUBJECT, sentence) for sentence in found]


def examine(config: Config, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Look at what a worker would start with, though it can't be meant."""
    yield ok(_SUBJECT, f"{len(accounts)} account{'s' if len(accounts) > 1 else ''}")
    if config.sandbox:
        yield note(_SUBJECT, "SANDBOX: no account is configured, so the credentials are made up")
    yield from _odd(accounts, config)


def _odd(accounts: Mapping[str, Account], config: Config) -> Iterator[Finding]:
    strange = [odd for account in accounts.values() for odd in oddities(account, sandboxed=_sandboxed(account, config))]
    yield from (fault(_SUBJECT, sentence) for sentence in [*strange, *broker_notes()])
    text = settings.note()
    if text:
        yield note(_SUBJECT, text)


def _sandboxed(account: Account, config: Config) -> bool:
    """Return whether something else than Tencent answers for an account; both platforms are at hosts of one domain."""
    urls = config.urls[harmless(account).platform]
    return bool(config.sandbox) or not any("weixin.qq.com" in url for url in urls)


def _celery_faults() -> list[str]:
    try:
        settings.settings(Config.from_env())
    except ConfigError as error:
        return error.faults
    return []
