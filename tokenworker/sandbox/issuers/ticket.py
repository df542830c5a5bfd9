"""Tickets of an official account: the same value for a whole window, accepted in the next window too."""

from collections.abc import Mapping
from typing import Any, ClassVar

from tokenworker.sandbox.call import Call
from tokenworker.sandbox.credentials import Grant, IssuedCredential, random_text, whole_seconds
from tokenworker.sandbox.endpoint import TokenEndpoint
from tokenworker.sandbox.ledger import Ledger
from tokenworker.sandbox.quotas import Quota
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.slots import Slot
from tokenworker.sandbox.state import SlotState

# Seen by users; the documentation promises no length.
_LENGTH = 86


class TicketSlot(Slot):
    """A value is handed out for one window and says each time that it has a whole life before it."""

    #: The call's `type`.
    type: ClassVar[str] = ""

    def __init__(self, owner: str, rules: Rules) -> None:
        super().__init__(owner, rules)
        self._window_ends_at = 0.0

    def fetch(self, now: float, *, force: bool = False, token: IssuedCredential | None = None) -> Grant:
        """Hand out the window's ticket; raises WeChatError when the quota is spent."""
        for quota in self.quotas:
            quota.spend(now)
        ticket = self.current
        if ticket is None or not self._is_kept(ticket, now):
            ticket = self._mint(now, token if self.rules.ticket_dies_with_token else None)
        left = self._window_ends_at - now
        return Grant(ticket.value, whole_seconds(left if self.rules.ticket_says_remaining else self.rules.life))

    def is_current(self, issued: IssuedCredential, now: float) -> bool:
        """Return whether its window still lasts."""
        return issued is self.current and now < self._window_ends_at

    def state(self, kept: Mapping[str, IssuedCredential]) -> SlotState:
        """Return the end of the window too."""
        state = super().state(kept)
        state["moments"]["window_ends_at"] = self._window_ends_at
        return state

    def resume(self, state: SlotState, credentials: Mapping[str, IssuedCredential]) -> None:
        """Go on in the window that was."""
        super().resume(state, credentials)
        self._window_ends_at = state["moments"].get("window_ends_at", self._window_ends_at)

    def _is_kept(self, ticket: IssuedCredential, now: float) -> bool:
        usable = ticket.works(now) or self.hands_out_revoked
        return usable and now < self._window_ends_at and not self.rules.ticket_fresh_each_call

    def _mint(self, now: float, parent: IssuedCredential | None) -> IssuedCredential:
        life = self.rules.life
        begin = now // life * life if self.rules.ticket_windows_aligned else now
        self._window_ends_at = begin + life
        end = begin + (life if self.rules.ticket_dies_at_window_end else 2 * life)
        return self._issue(random_text(_LENGTH), now, end, parent=parent)


class AccountTicket(TicketSlot):
    """A ticket from getticket; each type is a slot of its own ("getTicket"; every SDK keeps them apart)."""

    endpoint = "getticket"

    def __init__(self, owner: str, rules: Rules) -> None:
        super().__init__(owner, rules)
        self.quotas = [Quota(rules.ticket_limit, rules.day, 45009, lead=rules.day / 3)]


class JsapiTicket(AccountTicket):
    """Signs pages for wx.config ("JS-SDK", appendix 1)."""

    name = "jsapi_ticket"
    type = "jsapi"
    signs = "page"


class WxCardTicket(AccountTicket):
    """Signs cards for wx.addCard ("JS-SDK", appendix 4)."""

    name = "wx_card_ticket"
    type = "wx_card"
    signs = "card"


class SdkTicket(AccountTicket):
    """For login by QR code in mobile apps ("Login via scan"; WxJava #1653 for the type)."""

    name = "sdk_ticket"
    type = "2"


class TicketEndpoint(TokenEndpoint):
    """A call that hands out the tickets of the token's holder."""

    kind: ClassVar[type[TicketSlot]]

    def type_of(self, call: Call) -> str:
        """Return the type of ticket that is asked for."""
        return call.asked("type")

    def slot(self, ledger: Ledger, call: Call) -> TicketSlot | None:
        """Return the slot of that type, whether the token works or not."""
        found = ledger.find(call.access_token)
        slots = ledger.slots(found.slot.owner, self.kind) if found else []
        return next((slot for slot in slots if slot.type == self.type_of(call)), None)

    def forbids(self, ledger: Ledger, owner: str) -> int:
        """Return the errcode for a holder who gets no tickets, or 0."""
        return 0

    def answer(self, ledger: Ledger, call: Call) -> dict[str, Any]:
        """Hand out the ticket."""
        slot = self.slot(ledger, call)
        grant = ledger.count(slot, lambda now: self._fetch(ledger, call, slot, now))
        return {"errcode": 0, "errmsg": "ok", "ticket": grant.value, "expires_in": grant.expires_in}

    def _fetch(self, ledger: Ledger, call: Call, slot: TicketSlot | None, now: float) -> Grant:
        token = self.use(ledger, call)
        errcode = self.forbids(ledger, token.slot.owner)
        if errcode or slot is None:
            raise self.host.refusal(errcode or ledger.rules.ticket_type_errcode, now, call.ip)
        return slot.fetch(now, token=token.issued)


class GetTicket(TicketEndpoint):
    """GET /cgi-bin/ticket/getticket; POST as well, since an SDK sends it and nobody complained."""

    path = "/cgi-bin/ticket/getticket"
    kind = AccountTicket

    def forbids(self, ledger: Ledger, owner: str) -> int:
        """Refuse mini programs: "getTicket" does not list them."""
        account = ledger.account(owner)
        return 48001 if account and account.mini_program else 0
