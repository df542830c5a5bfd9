"""Whoever credentials are issued to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from tokenworker.credential import ACCESS_TOKEN
from tokenworker.sandbox.credentials import IssuedCredential, Mint, Verdict
from tokenworker.sandbox.errors import InputError
from tokenworker.sandbox.quotas import Quota
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.slots import Slot
from tokenworker.sandbox.state import HolderState


@dataclass(frozen=True)
class Counts:
    """What happened to a holder's credentials.

    A fetch is a request that named the holder, refused and faulted ones too; `errors` are the
    refusals by WeChat's rules, `faults` the answers that a fault switch made or spoilt.
    """

    fetches: int
    minted: int
    forced: int
    errors: int
    faults: int


class Holder:
    """Somebody with a slot for each kind of credential that such a holder has."""

    #: The word by which kinds name their holders, see `Slot.of`.
    sort: ClassVar[str]

    def __init__(self, name: str, rules: Rules, kinds: Iterable[type[Slot]]) -> None:
        self.id = name
        self.rules = rules
        self._kinds = [kind for kind in kinds if kind.of == self.sort]
        self.reset(tokens=True)

    def reset(self, *, tokens: bool) -> None:
        """Clear the counts and give the quotas back; with `tokens` forget all credentials too."""
        if tokens:
            self._own = tuple(kind(self.id, self.rules) for kind in self._kinds)
            _share_quotas(self._own)
        for slot in self._own:
            slot.reset()

    def own_slots(self) -> tuple[Slot, ...]:
        """Return the slots of what it shares with nobody above it."""
        return self._own

    def state(self, kept: Mapping[str, IssuedCredential]) -> HolderState:
        """Return what it has of its own, as plain data, with those credentials alone that are kept."""
        return {"slots": {_title(slot): slot.state(kept) for slot in self._own}, "ban": None}

    def resume(self, state: HolderState, credentials: Mapping[str, IssuedCredential]) -> None:
        """Go on where the holder of that name was; `credentials` are those that are kept."""
        for slot in self._own:
            if known := state["slots"].get(_title(slot)):
                slot.resume(known, credentials)

    def every_slot(self) -> tuple[Slot, ...]:
        """Return the slots of all credentials that the holder can use."""
        return self._own

    def slots(self, name: str | None = ACCESS_TOKEN) -> tuple[Slot, ...]:
        """Return the slots of a credential or of an endpoint, all for None; raises InputError if there is none."""
        slots = tuple(slot for slot in self.every_slot() if name in (None, slot.name, slot.endpoint))
        if not slots and name != ACCESS_TOKEN:
            names = sorted({word for slot in self.every_slot() for word in (slot.name, slot.endpoint)})
            raise InputError(f"A name is a credential's or an endpoint's: {', '.join(names)}.")
        return slots

    def refuses_use(self, ip: str) -> int:
        """Return the errcode for whoever uses the holder's token from that address, or 0."""
        return 0

    def verdict(self, fingerprint: str, now: float) -> Verdict | None:
        """Return how a credential stands; None if it was never this holder's."""
        for slot in self.every_slot():
            if issued := slot.issued.get(fingerprint):
                return slot.standing(issued, now)
        return None

    def counts(self, name: str | None = ACCESS_TOKEN) -> Counts:
        """Return what happened to one credential, at one endpoint, or to all for None."""
        total = sum((slot.tally for slot in self.slots(name)), Counter[str]())
        return Counts(*(total[field] for field in Counts.__dataclass_fields__))

    def mints(self, name: str | None = ACCESS_TOKEN) -> list[Mint]:
        """Return the log of new credentials, oldest first."""
        mints = (issued.mint for slot in self.slots(name) for issued in slot.issued.values())
        return sorted(mints, key=lambda mint: mint.minted_at)

    def live(self, now: float, name: str | None = ACCESS_TOKEN) -> list[tuple[Mint, Verdict]]:
        """Return what is accepted, with how it stands."""
        return [(issued.mint, slot.standing(issued, now)) for slot in self.slots(name) for issued in slot.live(now)]

    def revoke(self, now: float, name: str | None = ACCESS_TOKEN, *, still_handed_out: bool = False) -> int:
        """End what is accepted, and return how many that were."""
        return sum(slot.revoke(now, still_handed_out=still_handed_out) for slot in self.slots(name))


def _title(slot: Slot) -> str:
    return f"{slot.endpoint} {slot.name}"


def _share_quotas(slots: tuple[Slot, ...]) -> None:
    # WeChat counts the calls of a path, whatever they ask for ("API call limits").
    quotas: dict[str, list[Quota]] = {}
    for slot in slots:
        slot.quotas = quotas.setdefault(slot.endpoint, slot.quotas)
