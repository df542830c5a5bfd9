"""What all effects have in common."""

from dataclasses import dataclass
from typing import ClassVar

from tokenworker.sandbox.errors import InputError
from tokenworker.sandbox.exchange import Exchange
from tokenworker.sandbox.faults.options import Options

_NO_BODY = (204, 304)


@dataclass(frozen=True, kw_only=True)
class Effect(Options):
    """One way to answer wrongly."""

    #: The word that it is asked for by.
    kind: ClassVar[str]
    #: Whether it strikes only where a working token is sent.
    needs_working_token: ClassVar[bool] = False

    @property
    def is_processed(self) -> bool:
        """Whether the call reaches the platform, so that a credential may be minted."""
        return False

    async def deliver(self, exchange: Exchange) -> None:
        """Answer."""
        raise NotImplementedError


def check_seconds(seconds: float | None) -> None:
    """Raise InputError for a time that nobody can wait."""
    if seconds is None:
        raise InputError("seconds may be null for hang only.")
    if seconds < 0:
        raise InputError("seconds is 0 or more.")


def check_status(status: int) -> None:
    """Raise InputError for a status that cannot have a body."""
    if not 200 <= status <= 599 or status in _NO_BODY:  # noqa: PLR2004  HTTP's
        raise InputError("status is from 200 to 599, and one that may have a body.")
