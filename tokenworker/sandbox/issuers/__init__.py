"""What WeChat issues: a file for each kind of credential, and one table."""

from tokenworker.sandbox.endpoint import Endpoint
from tokenworker.sandbox.issuers.access_token import ClassicSlot, GetStableToken, GetToken, StableSlot
from tokenworker.sandbox.issuers.ticket import GetTicket, JsapiTicket, SdkTicket, WxCardTicket
from tokenworker.sandbox.issuers.wecom import (
    AgentTicket,
    ApplicationToken,
    CorpTicket,
    GetAgentTicket,
    GetApplicationToken,
    GetCorpTicket,
)
from tokenworker.sandbox.slots import Slot

#: Every kind, and the call that hands it out. A new kind is one file and one row.
KINDS: dict[type[Slot], type[Endpoint]] = {
    ClassicSlot: GetToken,
    StableSlot: GetStableToken,
    JsapiTicket: GetTicket,
    WxCardTicket: GetTicket,
    SdkTicket: GetTicket,
    ApplicationToken: GetApplicationToken,
    CorpTicket: GetCorpTicket,
    AgentTicket: GetAgentTicket,
}

__all__ = ["KINDS"]
