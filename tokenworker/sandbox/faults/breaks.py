"""Effects that end the connection early."""

from dataclasses import dataclass

from tokenworker.sandbox.exchange import Exchange, encode
from tokenworker.sandbox.faults.effect import Effect, check_seconds
from tokenworker.sandbox.wire import JSON_TYPE


@dataclass(frozen=True, kw_only=True)
class Hang(Effect):
    """No answer; hang up after `seconds`. None waits for the caller to hang up."""

    kind = "hang"
    seconds: float | None = 1.0

    def check(self) -> None:
        """Want a time that one can wait, or None."""
        check_seconds(self.seconds or 0)

    async def deliver(self, exchange: Exchange) -> None:
        """Wait and hang up."""
        await exchange.pause(self.seconds)
        exchange.hang_up()


@dataclass(frozen=True, kw_only=True)
class Truncated(Effect):
    """Half of the right answer, then hang up."""

    kind = "truncated"

    @property
    def is_processed(self) -> bool:
        """The answer is the right one."""
        return True

    async def deliver(self, exchange: Exchange) -> None:
        """Send half and hang up."""
        body = encode(exchange.process())
        exchange.set_header("Content-Type", JSON_TYPE)
        exchange.set_header("Content-Length", len(body))
        exchange.write(body[: len(body) // 2])
        await exchange.flush()
        exchange.hang_up()


@dataclass(frozen=True, kw_only=True)
class Reset(Effect):
    """RST instead of an answer; processed first or, with `before`, not at all."""

    kind = "reset"
    before: bool = False

    @property
    def is_processed(self) -> bool:
        """Whether the answer is lost, and not the call."""
        return not self.before

    async def deliver(self, exchange: Exchange) -> None:
        """Reset the connection."""
        if not self.before:
            exchange.process()
        exchange.hang_up(reset=True)
