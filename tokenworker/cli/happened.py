"""What happened to a credential, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenworker.cli.moments import clock
from tokenworker.credential import CredentialId
from tokenworker.refresh.causes import Cause
from tokenworker.store.history import Event


@dataclass(frozen=True)
class Happened:
    """An event and the credential that it is about; `name` is what people call the account."""

    id: CredentialId
    event: Event
    name: str = ""

    @property
    def at(self) -> float:
        """When, in epoch seconds by Redis's clock."""
        return self.event["at"]

    @property
    def label(self) -> str:
        """Whom it is about, as in logs."""
        return f"{self.id.account} {self.id.name}" + (f" ({self.name})" if self.name else "")

    def json(self) -> str:
        """Return it as an object on one line."""
        whom = {"account": self.id.account, "credential": self.id.name, "name": self.name}
        return json.dumps(whom | dict(self.event), ensure_ascii=False)

    def sentence(self) -> str:
        """Return what happened, for people."""
        say = _SENTENCES.get(self.event["event"], _unknown)
        return say(self.event)

    @property
    def style(self) -> str:
        """How a terminal shows it."""
        if self.event.get("early") or self.event["event"] == "failed":
            return "bold red"
        quiet = self.event.get("outcome") in ("committed", "alive")
        return "" if quiet else "yellow"


_ENDS = {
    "reported": "; it is the one that a service reported",
    "suspected": "; fetched before another Redis server took over, so it is looked into",
    "in_doubt": "; another fetch overlapped, so it is looked into",
}


def _refreshed(event: Event) -> str:
    if event.get("outcome") == "refused":
        return f"fetched{_because(event)} and not kept: somebody else was at it meanwhile, or the account is gone"
    until = f" until {clock(event['expires_at'], event['at'])}," if "expires_at" in event else ""
    died = "; the one before died early, and not by us" if event.get("early") else ""
    return f"refreshed{_because(event)},{until} {_which(event)}{_ENDS.get(event.get('outcome', ''), '')}{died}"


def _failed(event: Event) -> str:
    hint = f": {event['hint']}" if event.get("hint") else ""
    return f"not refreshed{_because(event)}: {event.get('error', 'nobody knows why')}{hint}"


def _probed(event: Event) -> str:
    early = ", before its time: another program fetches, or somebody reset the secret" if event.get("early") else ""
    verdicts = {
        "alive": "works and stays",
        "dead": f"is dead and withheld{early}",
        "unknown": f"can't be tested: {event.get('error', 'nobody knows why')}",
    }
    said = verdicts.get(event.get("outcome", ""), event.get("outcome", ""))
    return f"tested{_because(event)}: {_which(event)} {said}"


def _reported(event: Event) -> str:
    return f"a service reports that WeChat refused {_which(event)}"


def _unknown(event: Event) -> str:
    # A newer version may note what this one does not know.
    known: dict[str, Any] = {name: value for name, value in event.items() if name not in ("at", "event")}
    return f"{event['event']} " + " ".join(f"{name}={value}" for name, value in known.items())


_SENTENCES: dict[str, Callable[[Event], str]] = {
    "refreshed": _refreshed,
    "failed": _failed,
    "probed": _probed,
    "reported": _reported,
}


def _because(event: Event) -> str:
    """Return the cause in brackets, as logs have it."""
    cause = event.get("cause", "")
    known = Cause.__members__.get(cause.upper())
    return f" ({known or cause})" if cause else ""


def _which(event: Event) -> str:
    return event.get("fingerprint") or "it"
