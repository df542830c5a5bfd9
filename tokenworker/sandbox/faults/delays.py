"""Effects that deliver the right answer, late."""

from dataclasses import dataclass
from typing import Any

from tokenworker.sandbox.exchange import Exchange, encode
from tokenworker.sandbox.faults.effect import Effect, check_seconds
from tokenworker.sandbox.wire import JSON_TYPE


@dataclass(frozen=True, kw_only=True)
class _Late(Effect):
    """An effect that takes its time."""

    seconds: float | None = 1.0

    @property
    def is_processed(self) -> bool:
        """The answer is the right one."""
        return True

    def check(self) -> None:
        """Want a time that one can wait."""
        check_seconds(self.seconds)


@dataclass(frozen=True, kw_only=True)
class Delay(_Late):
    """`seconds` late; processed on arrival or, with `before`, after the wait."""

    kind = "delay"
    before: bool = False

    async def deliver(self, exchange: Exchange) -> None:
        """Wait before the call is processed, or after."""
        answer: dict[str, Any] | None = None if self.before else exchange.process()
        await exchange.pause(self.seconds)
        await exchange.send_json(exchange.process() if answer is None else answer)


@dataclass(frozen=True, kw_only=True)
class Drip(_Late):
    """One byte of the body each `seconds`."""

    kind = "drip"

    async def deliver(self, exchange: Exchange) -> None:
        """Send the headers at once and the body in drops."""
        body = encode(exchange.process())
        exchange.set_header("Content-Type", JSON_TYPE)
        exchange.set_header("Content-Length", len(body))
        await exchange.flush()
        exchange.stream.set_nodelay(True)
        for byte in body:
            await exchange.pause(self.seconds)
            exchange.write(bytes([byte]))
            await exchange.flush()


@dataclass(frozen=True, kw_only=True)
class DripHeaders(_Late):
    """One byte of the headers each `seconds`."""

    kind = "drip_headers"

    async def deliver(self, exchange: Exchange) -> None:
        """Send the headers in drops and the body at once."""
        body = encode(exchange.process())
        exchange.stream.set_nodelay(True)
        for byte in _head(len(body)).encode():
            await exchange.stream.write(bytes([byte]))
            await exchange.pause(self.seconds)
        await exchange.stream.write(body)
        exchange.hang_up()


def _head(length: int) -> str:
    lines = ("HTTP/1.1 200 OK", f"Content-Type: {JSON_TYPE}", f"Content-Length: {length}", "Connection: close")
    return "\r\n".join((*lines, "", ""))
