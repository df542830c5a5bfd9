"""Whether the calls to WeChat that may be made suffice for all that is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from tokenworker.accounts.account import Account
from tokenworker.cli.doctor.finding import Finding, fault
from tokenworker.credentials import targets
from tokenworker.settings.config import Config

_SUBJECT = "rate"

#: Seconds from one fetch of a credential to the next.
_LIFE = 6900
#: What is needed besides the fetches that are due: room for failures, reports and new accounts.
_ROOM = 1.5


def examine(config: Config, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Compare the rate in force with the number of credentials."""
    kept = sum(len(targets(account)) for account in accounts.values())
    rate, least = config.rate_for(kept), math.ceil(_ROOM * kept / _LIFE)
    if rate * _LIFE < _ROOM * kept:
        yield fault(
            _SUBJECT,
            f"TOKENWORKER_FETCH_RATE is {rate:g}, too few calls a second to keep {kept} credentials fresh:"
            f" write {least} or more, or take it out",
        )
