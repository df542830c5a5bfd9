"""What one reading of the accounts brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenworker.accounts.account import Account


@dataclass(frozen=True)
class Loaded:
    """Accounts by id, of no use when there are faults; and the files that were looked at, with their versions.

    Also a reading that failed names its files: what mends it may be any of them.
    """

    accounts: Mapping[str, Account]
    faults: list[str] = field(default_factory=list)
    versions: Mapping[str, int] = field(default_factory=dict)
