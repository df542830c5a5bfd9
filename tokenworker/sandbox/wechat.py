"""The WeChat calls that the sandbox answers."""

from dataclasses import asdict
from functools import cached_property
from typing import Any, ClassVar

from tokenworker.sandbox.deliveries import deliver, encode, envelope
from tokenworker.sandbox.errors import WeChatError
from tokenworker.sandbox.exchange import Exchange
from tokenworker.sandbox.faults import FaultBox
from tokenworker.sandbox.platform import Platform
from tokenworker.sandbox.tokens import Endpoint


class WeChatCall(Exchange):
    """One call: the right answer, unless a fault says otherwise."""

    endpoint: ClassVar[Endpoint | None] = None

    @property
    def appid(self) -> str:
        """The appid that the request speaks for, or nothing."""
        raise NotImplementedError

    @property
    def token_works(self) -> bool:
        """Whether the request carries an access token that works."""
        return False

    def result(self) -> dict[str, Any]:
        """Do what was asked and return the answer; raises WeChatError."""
        raise NotImplementedError

    async def get(self) -> None:
        """Answer; a wrong method is refused with an errcode, as all is."""
        await self._answer()

    async def post(self) -> None:
        """Answer as for GET."""
        await self._answer()

    def query(self, name: str) -> str:
        """Return a query parameter, or nothing."""
        return self.request.query_arguments.get(name, [b""])[-1].decode(errors="replace")

    async def _answer(self) -> None:
        fault = self.faults.take(self.request.path, self.appid, token_works=self.token_works)
        if fault is None:
            await self.send(encode(self._process()))
            return
        if self.endpoint:
            self.platform.count_fault(self.appid, self.endpoint, is_fetch=not fault.is_processed)
        await deliver(self, fault, self._process)

    def _process(self) -> dict[str, Any]:
        try:
            return self.result()
        except WeChatError as error:
            return envelope(error)


class ClassicToken(WeChatCall):
    """GET /cgi-bin/token."""

    endpoint = "token"

    @property
    def appid(self) -> str:
        """The appid in the query."""
        return self.query("appid")

    def result(self) -> dict[str, Any]:
        """Mint a token."""
        if self.request.method != "GET":
            raise self.platform.refusal(43001)
        ip = self.request.remote_ip or ""
        grant = self.platform.mint_classic(self.appid, self.query("secret"), self.query("grant_type"), ip)
        return asdict(grant)


class StableToken(WeChatCall):
    """POST /cgi-bin/stable_token, with a JSON body whatever its Content-Type."""

    endpoint = "stable_token"

    @cached_property
    def _body(self) -> dict[str, Any]:
        return self.json_body() or {}

    def _text(self, name: str) -> str:
        value = self._body.get(name)
        return "" if value is None else str(value)

    @property
    def appid(self) -> str:
        """The appid in the body."""
        return self._text("appid")

    def result(self) -> dict[str, Any]:
        """Hand out the token."""
        if self.request.method != "POST":
            raise self.platform.refusal(43002)
        grant = self.platform.mint_stable(
            self.appid,
            self._text("secret"),
            self._text("grant_type"),
            self.request.remote_ip or "",
            force_refresh=self._body.get("force_refresh") is True,
        )
        return asdict(grant)


class BusinessCall(WeChatCall):
    """Any call that needs an access token, answered with a fixed `success`."""

    def initialize(  # type: ignore[override]  # Tornado passes a route's own arguments here
        self, platform: Platform, faults: FaultBox, success: dict[str, Any]
    ) -> None:
        """Take the route's answer too."""
        super().initialize(platform, faults)
        self.success = success

    @property
    def appid(self) -> str:
        """The appid that the token was made for."""
        return self.platform.verdict(self.query("access_token")).appid or ""

    @property
    def token_works(self) -> bool:
        """Whether the token in the query works."""
        return self.platform.verdict(self.query("access_token")).works

    def result(self) -> dict[str, Any]:
        """Check the token."""
        self.platform.check_token(self.query("access_token"))
        return self.success
