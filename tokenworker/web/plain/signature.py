"""Signatures for `wx.config`, also for web pages that ask by themselves."""

from __future__ import annotations

from tokenworker.reading.arguments import ticket_name
from tokenworker.web.asking import Asking
from tokenworker.web.problems import Problem


class Signature(Asking):
    """What a page gives to `wx.config`, or to `wx.agentConfig` of WeCom."""

    async def get(self) -> None:
        """Sign the URL of a page."""
        account, url = self.get_query_argument("account", ""), self.get_query_argument("url", "", strip=False)
        if not account or not url:
            raise Problem(400, "say which page is to be signed, and for which account: ?account=…&url=…")
        client, id_ = await self.meant("sign", account, ticket_name(self.get_query_argument("ticket", "jsapi")))
        self.write_json(await self.sign(id_, url))
        self.count(client.name, "signatures")

    def options(self) -> None:
        """Tell a browser what its page may ask."""
        self.set_status(204)
        self.set_header("Access-Control-Allow-Methods", "GET")
        self.set_header("Access-Control-Allow-Headers", "Authorization")
        self.set_header("Access-Control-Max-Age", "600")
        self.finish()

    def set_default_headers(self) -> None:
        """Let pages of the configured origins read the answer."""
        super().set_default_headers()
        origins, origin = self.held.config.web.origins, self.request.headers.get("Origin", "")
        if origins:
            self.set_header("Vary", "Origin")
        if origin in origins:
            self.set_header("Access-Control-Allow-Origin", origin)


routes = [("/v1/jssdk-signature", Signature)]
