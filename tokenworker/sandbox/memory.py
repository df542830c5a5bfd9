"""What a platform before this one knew."""

from collections.abc import Iterable

from tokenworker.sandbox.credentials import IssuedCredential
from tokenworker.sandbox.holders import Holder
from tokenworker.sandbox.state import CredentialState, HolderState, PlatformState


class Memory:
    """Credentials, and what holders had, until they come and go on with it."""

    def __init__(self, state: PlatformState | None = None) -> None:
        self._holders: dict[str, HolderState] = state["holders"] if state else {}
        self._credentials = _made_again(state["credentials"] if state else [])

    def give(self, holder: Holder) -> None:
        """Have a holder that comes go on where it was."""
        if state := self._holders.pop(holder.id, None):
            holder.resume(state, self._credentials)

    def state(self, holders: Iterable[Holder], since: float) -> PlatformState:
        """Return what is known of those here and those yet to come, but for credentials that expired before `since`."""
        here = {holder.id: holder for holder in holders}
        slots = (slot for holder in here.values() for slot in holder.own_slots())
        every = self._credentials | {name: issued for slot in slots for name, issued in slot.issued.items()}
        kept = {name: issued for name, issued in every.items() if issued.expires_at > since}
        waiting = {name: state for name, state in self._holders.items() if _has_any(state, kept)}
        oldest_first = sorted(kept.values(), key=lambda issued: issued.mint.minted_at)
        return {
            "credentials": [issued.state() for issued in oldest_first],
            "holders": waiting | {name: holder.state(kept) for name, holder in here.items()},
        }


def _made_again(states: list[CredentialState]) -> dict[str, IssuedCredential]:
    made = [IssuedCredential.of(state) for state in states]
    credentials = {issued.mint.fingerprint: issued for issued in made}
    for issued, state in zip(made, states, strict=True):
        issued.parent = credentials.get(state["parent"] or "")
    return credentials


def _has_any(state: HolderState, kept: dict[str, IssuedCredential]) -> bool:
    return any(name in kept for slot in state["slots"].values() for name in slot["issued"])
