"""How many fetches WeChat allows a credential, as far as that can be known without the accounts' settings."""

from __future__ import annotations

from dataclasses import dataclass

from tokenworker.credential import CredentialId
from tokenworker.credentials import KINDS


@dataclass(frozen=True)
class Allowed:
    """So many fetches in a period of so many seconds."""

    fetches: int
    period: float


def allowed(id_: CredentialId) -> Allowed | None:
    """Return what WeChat allows; None where that depends on the account's settings."""
    platform = "wecom" if "/" in id_.account else "wechat"
    quotas = {kind.quota for kind in KINDS if kind.platform == platform and kind.name == id_.name}
    quota = quotas.pop() if len(quotas) == 1 else None
    return Allowed(quota.fetches, quota.period) if quota else None
