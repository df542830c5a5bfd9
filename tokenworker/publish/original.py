"""What published copies are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from tokenworker.credential import public_id


@dataclass(frozen=True)
class Original:
    """A credential, and what else SDKs write beside it."""

    #: The account's type: `wechat`, `mini_program` or `wecom`.
    type: str
    #: Its id: an appid, or `CORPID/AGENT` for WeCom.
    account: str
    #: Which credential, as in `keep`.
    name: str
    secret: str = field(repr=False)
    value: str = field(repr=False)
    expires_at: float
    #: The seconds that WeChat gave it, as SDKs note them.
    expires_in: int

    @property
    def appid(self) -> str:
        """The id by which WeChat knows the account."""
        return self.account

    @property
    def corpid(self) -> str:
        """The id of the corp that a WeCom application belongs to."""
        return public_id(self.account)

    @property
    def agent(self) -> str:
        """The number of a WeCom application within its corp."""
        return self.account.partition("/")[2]
