"""The paths of WeChat and WeCom for tickets, which take an access token, and no secret."""

from __future__ import annotations

from tokenworker.credential import CredentialId, fingerprint
from tokenworker.web.clients.client import ANYBODY
from tokenworker.web.wechat.refusals import Refusal
from tokenworker.web.wechat.shaped import OK, Shaped


class _Ticket(Shaped):
    """A call with an access token, which says whose ticket is meant, and that the caller may have it."""

    absent = 48001

    async def answer(self, name: str) -> None:
        """Hand out a ticket."""
        account = await self._owner(self.get_query_argument("access_token", ""))
        kept = self.held.kept
        if not self.held.clients.some_may_read(account, kept.names.get(account, ""), name):
            raise Refusal(self.absent, f"no client may read {name} of this account")
        id_ = CredentialId(account, name)
        found = await self.read(id_)
        self.write_json({**OK, "ticket": found.value, "expires_in": self.left(id_, found)})
        self.count("(token)" if self.held.clients.need_keys else ANYBODY.name, "reads")

    async def _owner(self, token: str) -> str:
        """Return the account whose token it is; raises the refusal of one that is nobody's, or not any more."""
        if not token:
            raise Refusal(41001)
        named, tokens = fingerprint(token), self.held.tokens
        account = await tokens.account(named)
        if account and ("/" in account) == self.wecom and await self._works(account, named):
            return account
        self.held.tally.count("(unknown)", "refusals")
        raise Refusal(40014 if self.wecom else 40001)

    async def _works(self, account: str, named: str) -> bool:
        if self.held.tokens.works_still(named):
            return True
        return (await self.read(CredentialId(account))).fingerprint == named


#: By WeChat's `type`; the last is for login in mobile apps.
_TYPES = {"jsapi": "jsapi_ticket", "wx_card": "wx_card_ticket", "2": "sdk_ticket"}


class Ticket(_Ticket):
    """`GET /cgi-bin/ticket/getticket`."""

    async def get(self) -> None:
        """Hand out the ticket of that type."""
        name = _TYPES.get(self.get_query_argument("type", ""))
        if name is None:
            raise Refusal(40097, f"type must be one of {', '.join(_TYPES)}")
        await self.answer(name)

    async def post(self) -> None:
        """Do the same: PowerWeChat posts it (its basicService/jssdk, 2024-12), and WeChat takes that."""
        await self.get()


class _WeComTicket(_Ticket):
    """WeCom's, which has errcodes of its own."""

    wecom = True
    absent = 48002


class CorpTicket(_WeComTicket):
    """WeCom's `GET /cgi-bin/get_jsapi_ticket`."""

    async def get(self) -> None:
        """Hand out the ticket for `wx.config`."""
        await self.answer("jsapi_ticket")


class AgentTicket(_WeComTicket):
    """WeCom's `GET /cgi-bin/ticket/get`."""

    async def get(self) -> None:
        """Hand out the ticket for `wx.agentConfig`."""
        if self.get_query_argument("type", "") != "agent_config":
            raise Refusal(40097, "type must be agent_config")
        await self.answer("agent_ticket")


routes = [
    ("/cgi-bin/ticket/getticket", Ticket),
    ("/cgi-bin/get_jsapi_ticket", CorpTicket),
    ("/cgi-bin/ticket/get", AgentTicket),
]
