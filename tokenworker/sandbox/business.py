"""Calls that are made with an access token, and that only show whether it is accepted."""

from typing import Any

from tokenworker.sandbox.call import Call
from tokenworker.sandbox.endpoint import TokenEndpoint
from tokenworker.sandbox.hosts import WECOM, Host, host_of
from tokenworker.sandbox.ledger import Ledger

_OK = {"errcode": 0, "errmsg": "ok"}
_NOBODY = {"total": 0, "count": 0, "data": {"openid": []}, "next_openid": ""}
# From the range that is reserved for documentation.
_IP_LIST = {"ip_list": ["203.0.113.10", "203.0.113.11"]}


class BusinessCall(TokenEndpoint):
    """A call of an account, answered with a fixed `success`."""

    def __init__(self, path: str, success: dict[str, Any]) -> None:
        self.path = path
        self.success = success

    def answer(self, ledger: Ledger, call: Call) -> dict[str, Any]:
        """Check the token."""
        ledger.check_token(call.access_token)
        return self.success


class ApplicationCall(BusinessCall):
    """A call of a WeCom application."""

    host = WECOM

    def answer(self, ledger: Ledger, call: Call) -> dict[str, Any]:
        """Check the token and the caller's address."""
        self.use(ledger, call)
        return self.success


class AgentCall(ApplicationCall):
    """A call about one application, which only its own token may make."""

    def answer(self, ledger: Ledger, call: Call) -> dict[str, Any]:
        """Check the agent too."""
        token, agent = self.use(ledger, call), call.asked("agentid")
        if not agent.isdecimal():
            raise ledger.refusal(40056, call.ip, self.host)
        if token.slot.owner.rpartition("/")[2] != agent:
            raise ledger.refusal(301002, call.ip, self.host)
        return {**self.success, "agentid": int(agent)}


class SharedCall(BusinessCall):
    """A call that both servers have: the token says which one is meant."""

    def __init__(self, path: str, success: dict[str, Any]) -> None:
        super().__init__(path, success)
        wecom = ApplicationCall(path, {**_OK, **success})
        self._by_host: dict[Host, BusinessCall] = {self.host: BusinessCall(path, success), WECOM: wecom}

    def host_of(self, call: Call) -> Host:
        """Return the server that the token comes from."""
        return host_of(call.access_token)

    def answer(self, ledger: Ledger, call: Call) -> dict[str, Any]:
        """Answer as that server does."""
        return self._by_host[self.host_of(call)].answer(ledger, call)


BUSINESS_CALLS = (
    SharedCall("/cgi-bin/get_api_domain_ip", _IP_LIST),
    BusinessCall("/cgi-bin/message/custom/send", _OK),
    BusinessCall("/cgi-bin/user/get", _NOBODY),
    AgentCall("/cgi-bin/agent/get", _OK),
)
