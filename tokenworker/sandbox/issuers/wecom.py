"""WeCom's credentials: a token for each application, and tickets for corp and application."""

from typing import Any

from tokenworker.sandbox.applications import Application, Corp
from tokenworker.sandbox.call import Call
from tokenworker.sandbox.credentials import Grant, IssuedCredential, random_text, whole_seconds
from tokenworker.sandbox.endpoint import Endpoint
from tokenworker.sandbox.hosts import WECOM
from tokenworker.sandbox.issuers.ticket import TicketEndpoint, TicketSlot
from tokenworker.sandbox.ledger import Ledger
from tokenworker.sandbox.quotas import Quota
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.slots import Slot

# Ours to choose: callers must reserve 512 (91039, 2024-03-26).
_TOKEN_LENGTH = 214


class ApplicationToken(Slot):
    """One token for all callers until it ends ("Customised apps" 97164, 2022-10-19; gone from 91039)."""

    of = "application"
    endpoint = "gettoken"
    host = WECOM

    def fetch(self, now: float, *, force: bool = False, token: IssuedCredential | None = None) -> Grant:
        """Hand out the token, a new one once the last has ended."""
        current = self.current
        if current is None or not self._is_kept(current, now):
            value = random_text(_TOKEN_LENGTH, self.host.token_prefix)
            current = self._issue(value, now, now + self.rules.life)
        left = current.expires_at - now if self.rules.wecom_says_remaining else self.rules.life
        return Grant(current.value, whole_seconds(left))

    def _is_kept(self, current: IssuedCredential, now: float) -> bool:
        return current.works(now) or (self.hands_out_revoked and now < current.expires_at)


class CorpTicket(TicketSlot):
    """Signs pages for wx.config, for all applications of a corp ("JS-SDK" 90506)."""

    of = "corp"
    name = "jsapi_ticket"
    endpoint = "get_jsapi_ticket"
    host = WECOM
    signs = "page"

    def __init__(self, owner: str, rules: Rules) -> None:
        super().__init__(owner, rules)
        self.quotas = [Quota(rules.corp_ticket_limit, rules.hour, 45009, host=WECOM)]


class AgentTicket(TicketSlot):
    """Signs pages for wx.agentConfig, for one application ("JS-SDK" 96909, 2024-11-14)."""

    of = "application"
    name = "agent_ticket"
    endpoint = "ticket/get"
    host = WECOM
    signs = "page"
    type = "agent_config"

    def __init__(self, owner: str, rules: Rules) -> None:
        super().__init__(owner, rules)
        self.quotas = [Quota(rules.agent_ticket_limit, rules.hour, 45009, host=WECOM)]


class GetApplicationToken(Endpoint):
    """GET /cgi-bin/gettoken; parameters that it does not know do not matter (an SDK sends some)."""

    path = "/cgi-bin/gettoken"
    host = WECOM

    def whose(self, ledger: Ledger, call: Call) -> str:
        """Return the application with that secret, else the corpid as it stands."""
        application = self._application(ledger, call)
        return application.id if application else call.asked("corpid")

    def slot(self, ledger: Ledger, call: Call) -> ApplicationToken | None:
        """Return the application's slot."""
        return next(iter(ledger.slots(self.whose(ledger, call), ApplicationToken)), None)

    def answer(self, ledger: Ledger, call: Call) -> dict[str, Any]:
        """Hand out the token."""
        slot = self.slot(ledger, call)
        grant = ledger.count(slot, lambda now: self._fetch(ledger, call, slot, now))
        return {"errcode": 0, "errmsg": "ok", "access_token": grant.value, "expires_in": grant.expires_in}

    def _fetch(self, ledger: Ledger, call: Call, slot: ApplicationToken | None, now: float) -> Grant:
        corp = ledger.corp(call.asked("corpid"))
        errcode = self._ban(ledger, call, corp, now) or self._flaw(ledger, call, corp, now)
        if errcode or slot is None:
            raise self.host.refusal(errcode, now, call.ip)
        return slot.fetch(now)

    def _ban(self, ledger: Ledger, call: Call, corp: Corp | None, now: float) -> int:
        if corp and corp.ban.holds(now):
            return 45009
        limit = ledger.rules.wecom_parallel_limit
        return 45033 if limit is not None and call.parallel > limit else 0

    def _flaw(self, ledger: Ledger, call: Call, corp: Corp | None, now: float) -> int:
        # The secret is missed before the corpid: seen by users, 2026-09. The rest of the order is our reading.
        application = self._application(ledger, call)
        if application:
            return 50003 if application.disabled else 0
        if corp:
            corp.ban.note(now)
        return self._mistake(ledger, call, corp)

    def _mistake(self, ledger: Ledger, call: Call, corp: Corp | None) -> int:
        if not call.asked("corpsecret"):
            return 41004
        if corp is None:
            return 40013 if call.asked("corpid") else 41002
        return ledger.rules.wecom_foreign_secret_errcode if ledger.application(call.asked("corpsecret")) else 40001

    def _application(self, ledger: Ledger, call: Call) -> Application | None:
        corp, secret = ledger.corp(call.asked("corpid")), call.asked("corpsecret")
        return corp.application_of(secret) if corp and secret else None


class GetCorpTicket(TicketEndpoint):
    """GET /cgi-bin/get_jsapi_ticket."""

    path = "/cgi-bin/get_jsapi_ticket"
    host = WECOM
    kind = CorpTicket

    def type_of(self, call: Call) -> str:
        """Return the only one there is."""
        return CorpTicket.type


class GetAgentTicket(TicketEndpoint):
    """GET /cgi-bin/ticket/get."""

    path = "/cgi-bin/ticket/get"
    host = WECOM
    kind = AgentTicket
