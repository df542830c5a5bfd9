"""How long tokens live and how often one may ask: WeChat's own figures, every one adjustable."""

from dataclasses import dataclass, replace

_DURATIONS = ("life", "overlap", "force_interval", "minute", "day")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the sandbox obeys. Durations are seconds, limits are calls; the defaults are WeChat's."""

    #: Life of a new token.
    life: float = 7200
    #: Old and new token both work this long; stable_token renews once no more than this is left.
    overlap: float = 300
    #: Least time between two force refreshes.
    force_interval: float = 30
    #: Windows of the limits. A day begins at Beijing midnight, a third of a day before UTC's.
    minute: float = 60
    day: float = 86_400
    force_limit: int = 20
    classic_limit: int = 2_000
    stable_minute_limit: int = 10_000
    stable_day_limit: int = 500_000
    #: Characters of a token; WeChat's documentation asks callers to reserve 512.
    token_length: int = 136

    # From here on WeChat's documentation is silent and the defaults are the likeliest reading.

    #: A third classic token kills the first at once, overlap or not.
    two_newest_only: bool = True
    #: After one force refresh the token before it works on through the overlap.
    force_keeps_previous: bool = True
    #: Answer to a force within `force_interval`; None hands out the current token, unrefreshed.
    force_too_soon_errcode: int | None = None
    #: Answer to a force past `force_limit`.
    force_limit_errcode: int = 45009

    def __post_init__(self) -> None:
        if min(self.life, self.minute, self.day) <= 0 or min(self.overlap, self.force_interval) < 0:
            raise ValueError("Rules: life, minute and day must be above 0 seconds, the other durations not below.")
        if not 136 <= self.token_length <= 512:  # noqa: PLR2004  the field's shortest and the documented longest
            raise ValueError("Rules: token_length must be from 136 to 512 characters.")

    def scaled(self, factor: float) -> "Rules":
        """Return the same rules with every duration multiplied by `factor`; limits stay."""
        return replace(self, **{name: getattr(self, name) * factor for name in _DURATIONS})
