"""A WeChat call: whom it is about, and how it is answered."""

from typing import Any

from tokenworker.sandbox.call import Call
from tokenworker.sandbox.hosts import WECHAT, Host
from tokenworker.sandbox.ledger import Found, Ledger
from tokenworker.sandbox.slots import Slot


class Endpoint:
    """One path at one of WeChat's servers."""

    path: str
    host: Host = WECHAT

    def host_of(self, call: Call) -> Host:
        """Return the server that the call is meant for."""
        return self.host

    def whose(self, ledger: Ledger, call: Call) -> str:
        """Return the id of whomever the call speaks for, as far as it says; fault switches go by it."""
        raise NotImplementedError

    def token_works(self, ledger: Ledger, call: Call) -> bool:
        """Return whether the call carries an access token that is accepted."""
        return False

    def slot(self, ledger: Ledger, call: Call) -> Slot | None:
        """Return where the call is counted, if it fetches a credential of somebody known."""
        return None

    def answer(self, ledger: Ledger, call: Call) -> dict[str, Any]:
        """Do what was asked and return the answer; raises WeChatError."""
        raise NotImplementedError


class TokenEndpoint(Endpoint):
    """One that is called with an access token."""

    def whose(self, ledger: Ledger, call: Call) -> str:
        """Return whose the token is."""
        return ledger.verdict(call.access_token).appid or ""

    def token_works(self, ledger: Ledger, call: Call) -> bool:
        """Return whether the token is accepted."""
        return ledger.verdict(call.access_token).works

    def use(self, ledger: Ledger, call: Call) -> Found:
        """Return the token; raises WeChatError if it is not accepted."""
        return ledger.use(call.access_token, self.host_of(call), call.ip)
