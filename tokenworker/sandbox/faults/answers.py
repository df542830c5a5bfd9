"""Effects that answer at once, and with something else than was asked for."""

from dataclasses import dataclass

from tokenworker.sandbox.errors import InputError
from tokenworker.sandbox.exchange import Exchange, envelope
from tokenworker.sandbox.faults.effect import Effect, check_status
from tokenworker.sandbox.wire import JSON_TYPE

_PAGE = "<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>nginx</body></html>"
_CHUNK = b"a" * 65_536


@dataclass(frozen=True, kw_only=True)
class Errcode(Effect):
    """Refuse with `errcode`, worded by `errmsg` or as WeChat does."""

    kind = "errcode"
    errcode: int = -1
    errmsg: str | None = None
    content_type: str | None = None

    async def deliver(self, exchange: Exchange) -> None:
        """Refuse."""
        refusal = envelope(exchange.refusal(self.errcode))
        wording = {} if self.errmsg is None else {"errmsg": self.errmsg}
        await exchange.send_json({**refusal, **wording}, self.content_type)


@dataclass(frozen=True, kw_only=True)
class Flap(Effect):
    """Refuse a token that works (seen by users, 2020-03-17)."""

    kind = "flap"
    needs_working_token = True

    async def deliver(self, exchange: Exchange) -> None:
        """Refuse as if the token were dead."""
        await exchange.send_json(envelope(exchange.refusal()))


@dataclass(frozen=True, kw_only=True)
class Status(Effect):
    """HTTP `status` with an HTML page, or with `body`."""

    kind = "status"
    status: int | None = None
    body: str | None = None
    content_type: str | None = None

    def check(self) -> None:
        """Want a status that may have a body."""
        check_status(self.status or 502)

    async def deliver(self, exchange: Exchange) -> None:
        """Send the page."""
        status = self.status or 502
        body = _PAGE.format(status=status) if self.body is None else self.body
        await exchange.send(body.encode(), self.content_type or "text/html", status)


@dataclass(frozen=True, kw_only=True)
class Body(Effect):
    """200 with `body` as it stands."""

    kind = "body"
    body: str | None = None
    content_type: str | None = None

    async def deliver(self, exchange: Exchange) -> None:
        """Send the body."""
        await exchange.send((self.body or "").encode(), self.content_type or JSON_TYPE)


@dataclass(frozen=True, kw_only=True)
class Empty(Effect):
    """200 with nothing in it, as text/html; charset=gbk (seen by users, 2017)."""

    kind = "empty"
    content_type: str | None = None

    async def deliver(self, exchange: Exchange) -> None:
        """Send nothing."""
        await exchange.send(b"", self.content_type or "text/html; charset=gbk")


@dataclass(frozen=True, kw_only=True)
class Redirect(Effect):
    """`status` to `location`."""

    kind = "redirect"
    location: str | None = None
    status: int | None = None

    def check(self) -> None:
        """Want somewhere to send callers to."""
        if not self.location:
            raise InputError("A redirect needs a location.")
        check_status(self.status or 302)

    async def deliver(self, exchange: Exchange) -> None:
        """Send the caller elsewhere."""
        exchange.set_header("Location", self.location or "/")
        await exchange.send(b"", "text/html", self.status or 302)


@dataclass(frozen=True, kw_only=True)
class Huge(Effect):
    """A body that never ends."""

    kind = "huge"

    async def deliver(self, exchange: Exchange) -> None:
        """Send until the caller hangs up."""
        exchange.set_header("Content-Type", JSON_TYPE)
        exchange.write(b'{"access_token":"')
        while True:
            await exchange.flush()
            exchange.write(_CHUNK)
