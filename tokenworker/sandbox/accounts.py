"""An account as WeChat keeps it: who may ask, and the two lines of tokens."""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tokenworker.sandbox.errors import InputError
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.slots import ClassicSlot, Slot, StableSlot
from tokenworker.sandbox.tokens import ENDPOINTS, Endpoint, Mint, Verdict

_APPID = re.compile(r"wx[0-9a-f]{16}")


def is_appid(text: str) -> bool:
    """Tell whether the text has the form of an appid."""
    return _APPID.fullmatch(text) is not None


@dataclass(frozen=True)
class Counts:
    """What happened to an account.

    A fetch is a request that named the account, refused and faulted ones too; `errors` are the
    refusals by WeChat's rules, `faults` the answers that a fault switch made or spoilt.
    """

    fetches: int
    minted: int
    forced: int
    errors: int
    faults: int


@dataclass
class Account:
    """An appid, its AppSecret and its tokens; an empty whitelist lets every address in."""

    appid: str
    secret: str = field(repr=False)
    rules: Rules
    whitelist: tuple[str, ...] = ()
    frozen: bool = False

    def __post_init__(self) -> None:
        if not is_appid(self.appid):
            raise InputError("An appid is wx and 16 hex digits, for example wx0123456789abcdef.")
        self.reset(tokens=True)

    def reset(self, *, tokens: bool) -> None:
        """Clear the counts and give the quotas back; with `tokens` forget those too."""
        if tokens:
            self.classic, self.stable = ClassicSlot(self.rules), StableSlot(self.rules)
        for slot in self.slots():
            slot.reset()

    def slots(self) -> tuple[Slot, Slot]:
        """Return both lines of tokens."""
        return self.classic, self.stable

    def slot(self, endpoint: Endpoint) -> Slot:
        """Return the line of tokens of one endpoint; raises InputError if there is no such endpoint."""
        if endpoint not in ENDPOINTS:
            raise InputError(f"An endpoint is one of: {', '.join(ENDPOINTS)}.")
        return self.classic if endpoint == "token" else self.stable

    def admits(self, ip: str) -> bool:
        """Tell whether the whitelist lets the address in."""
        return not self.whitelist or any(
            ipaddress.ip_address(ip) in whitelist_network(entry) for entry in self.whitelist
        )

    def verdict(self, fingerprint: str, now: float) -> Verdict | None:
        """Say how a token stands; None if it was never this account's."""
        for slot in self.slots():
            if token := slot.tokens.get(fingerprint):
                return slot.standing(token, self.appid, now)
        return None

    def counts(self, endpoint: Endpoint | None = None) -> Counts:
        """Return what happened at one endpoint, or at both together."""
        slots = self.slots() if endpoint is None else (self.slot(endpoint),)
        total = sum((slot.tally for slot in slots), Counter[str]())
        return Counts(*(total[name] for name in Counts.__dataclass_fields__))

    def mints(self) -> list[Mint]:
        """Return the log of new tokens, oldest first."""
        mints = (token.mint for slot in self.slots() for token in slot.tokens.values())
        return sorted(mints, key=lambda mint: mint.minted_at)

    def live_tokens(self, now: float) -> list[tuple[Mint, Verdict]]:
        """Return the tokens that work, with how they stand."""
        return [
            (token.mint, slot.standing(token, self.appid, now))
            for slot in self.slots()
            for token in slot.tokens.values()
            if token.works(now)
        ]


def whitelist_network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Read a whitelist entry in WeChat's forms: one address, `a.b.c.*` or `a.b.c.0/24`."""
    text = entry.removesuffix("*") + "0/24" if entry.endswith(".*") else entry
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InputError("A whitelist entry is an address, a.b.c.* or a.b.c.0/24.") from error


def read_whitelist(entries: Iterable[str]) -> tuple[str, ...]:
    """Check the entries; raises InputError at the first that is none."""
    whitelist = tuple(entries)
    for entry in whitelist:
        whitelist_network(entry)
    return whitelist
