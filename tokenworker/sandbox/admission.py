"""Who gets an account's token: WeChat's checks, one after the other."""

from dataclasses import dataclass, field

from tokenworker.sandbox.accounts import Account, is_appid
from tokenworker.sandbox.hosts import WECHAT


@dataclass(frozen=True)
class Claim:
    """What a caller says to get a token, and the address it says it from."""

    appid: str
    secret: str = field(repr=False)
    grant_type: str
    ip: str


def admit(claim: Claim, account: Account | None, now: float) -> Account:
    """Return the account that the claim may act for; raises WeChatError at the first check that fails.

    WeChat documents the errors, not their order; only that the appid's form comes first was seen (users, 2026-09).
    """
    errcode = _flaw(claim)
    if errcode or account is None:
        raise WECHAT.refusal(errcode or 40013, now)
    if errcode := _obstacle(claim, account):
        raise WECHAT.refusal(errcode, now, claim.ip)
    return account


def _flaw(claim: Claim) -> int:
    if not claim.appid:
        return 41002
    if not is_appid(claim.appid):
        return 40013
    if claim.grant_type != "client_credential":
        return 40002
    return 0 if claim.secret else 41004


def _obstacle(claim: Claim, account: Account) -> int:
    if not account.admits(claim.ip):
        return 40164
    if claim.secret != account.secret:
        return 40125
    return 40243 if account.frozen else 0
