"""How long credentials live and how often one may ask: WeChat's own figures, every one adjustable.

In the comments, a name in quotes is a page of the documentation; "users" are reports in WeChat's forums and in the
issues of SDKs; "our reading" is what fits best where both are silent or contradict each other.
"""

from dataclasses import dataclass, replace

_DURATIONS = ("life", "overlap", "force_interval", "minute", "hour", "day")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the sandbox obeys. Durations are seconds, limits are calls; the defaults are WeChat's."""

    #: Life of a new token, and the window of a ticket. "getAccessToken", "getTicket", WeCom 91039 (2024-03-26).
    life: float = 7200
    #: Old and new token both work this long; stable_token renews once no more than this is left.
    #: "access_token usage notes", "getStableAccessToken"; staff agreed.
    overlap: float = 300
    #: Least time between two force refreshes. "getStableAccessToken".
    force_interval: float = 30
    #: Windows of the limits: "getStableAccessToken", WeCom 90454, "API call limits". A day begins at Beijing midnight,
    #: a third of a day before UTC's: our reading of "per day".
    minute: float = 60
    hour: float = 3_600
    day: float = 86_400
    #: "getStableAccessToken": forces a day.
    force_limit: int = 20
    #: "API call limits": a new account's.
    classic_limit: int = 2_000
    #: "getStableAccessToken": a minute and a day.
    stable_minute_limit: int = 10_000
    stable_day_limit: int = 500_000
    #: Characters of a token. Users, 2023; "access_token usage notes" asks callers to reserve 512.
    token_length: int = 136
    #: Tickets of an account a day, all types. Users, 2020; others saw 5,000,000, 2020 and 2022.
    ticket_limit: int = 10_000
    #: WeCom tickets an hour: of a corp, and of an application. "JS-SDK" 96909 (2024-11-14), 90506.
    corp_ticket_limit: int = 400
    agent_ticket_limit: int = 100
    #: Bad calls of gettoken in an hour; with the last of them the corp is refused for an hour. WeCom's staff.
    wecom_bad_call_limit: int = 2_000

    # From here on WeChat's documentation is silent and the defaults are the likeliest reading.

    #: A third classic token kills the first at once, overlap or not. Our reading of the leak steps in
    #: "getStableAccessToken".
    two_newest_only: bool = True
    #: After one force refresh the token before it works on through the overlap. Our reading, as above.
    force_keeps_previous: bool = True
    #: Answer to a force within `force_interval`; None hands out the current token, unrefreshed. Our reading.
    force_too_soon_errcode: int | None = None
    #: Answer to a force past `force_limit`. Our reading.
    force_limit_errcode: int = 45009

    #: A ticket's windows begin at even hours of the wall clock, not at its first issue. A user who polled for half a
    #: day saw that, on a 15 March.
    ticket_windows_aligned: bool = False
    #: Each call makes a new ticket. No user saw that; the documentation does not exclude it.
    ticket_fresh_each_call: bool = False
    #: A ticket is accepted in its own window only, not in the next. A user saw one accepted for 3 h; others saw
    #: `invalid signature` for an hour.
    ticket_dies_at_window_end: bool = False
    #: A ticket dies with the token that it was fetched with. Asked in the forum, not answered; users' logs say no.
    ticket_dies_with_token: bool = False
    #: `expires_in` of a ticket counts down. Users saw 7200 each time, 2021 to 2025.
    ticket_says_remaining: bool = False
    #: Answer to a type of ticket that there is not. Users, for another bad argument.
    ticket_type_errcode: int = 40097

    #: `expires_in` of a WeCom token counts down; else it is the full life each time. Nobody printed one.
    wecom_says_remaining: bool = True
    #: Answer to a WeCom token that lived out its time. Users: 42001 in 2019, 40014 in 2024-11.
    wecom_expired_errcode: int = 42001
    #: Answer to gettoken with a secret of another corp. WeCom's "Global error codes": perhaps.
    wecom_foreign_secret_errcode: int = 40091
    #: Calls of gettoken at a time, more get 45033; None sets no limit. Users met one at about 400.
    wecom_parallel_limit: int | None = None

    def __post_init__(self) -> None:
        if min(self.life, self.minute, self.hour, self.day) <= 0 or min(self.overlap, self.force_interval) < 0:
            raise ValueError(
                "Rules: life, minute, hour and day must be above 0 seconds, the other durations not below."
            )
        if not 136 <= self.token_length <= 512:  # noqa: PLR2004  the field's shortest and the documented longest
            raise ValueError("Rules: token_length must be from 136 to 512 characters.")

    def scaled(self, factor: float) -> "Rules":
        """Return the same rules with every duration multiplied by `factor`; limits stay."""
        return replace(self, **{name: getattr(self, name) * factor for name in _DURATIONS})
