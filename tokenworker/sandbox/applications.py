"""WeCom's holders: a corp, and its applications, each with a secret and a token of its own."""

import re
from collections.abc import Iterable, Mapping

from tokenworker.sandbox.accounts import lets_in
from tokenworker.sandbox.credentials import IssuedCredential
from tokenworker.sandbox.errors import InputError
from tokenworker.sandbox.holders import Holder
from tokenworker.sandbox.quotas import Ban
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.slots import Slot
from tokenworker.sandbox.state import HolderState

_CORPID = re.compile(r"ww[0-9a-f]{16}")


class Corp(Holder):
    """A corpid, what its applications share, and the ban that bad calls of gettoken earn it."""

    sort = "corp"

    def __init__(self, corpid: str, rules: Rules, kinds: Iterable[type[Slot]]) -> None:
        if not _CORPID.fullmatch(corpid):
            raise InputError("A corpid is ww and 16 hex digits, for example ww0123456789abcdef.")
        self.ban = Ban(rules.wecom_bad_call_limit, rules.hour)
        self.applications: list[Application] = []
        super().__init__(corpid, rules, kinds)

    def reset(self, *, tokens: bool) -> None:
        """Lift the ban too."""
        super().reset(tokens=tokens)
        self.ban.clear()

    def state(self, kept: Mapping[str, IssuedCredential]) -> HolderState:
        """Return the ban too."""
        return {**super().state(kept), "ban": self.ban.state()}

    def resume(self, state: HolderState, credentials: Mapping[str, IssuedCredential]) -> None:
        """Go on with the ban too."""
        super().resume(state, credentials)
        if state["ban"]:
            self.ban.resume(state["ban"])

    def take(self, application: "Application") -> None:
        """Count an application among the corp's own."""
        if application not in self.applications:
            self.applications.append(application)

    def application_of(self, secret: str) -> "Application | None":
        """Return the application that has the secret."""
        return next((application for application in self.applications if application.secret == secret), None)


class Application(Holder):
    """An agent of a corp; without trusted addresses all may use its token."""

    sort = "application"

    def __init__(self, corp: Corp, agent: int, rules: Rules, kinds: Iterable[type[Slot]]) -> None:
        if not str(agent).isdecimal():
            raise InputError("An agent is a number, for example 1000002.")
        super().__init__(f"{corp.id}/{agent}", rules, kinds)
        self.corp = corp
        self.agent = agent
        self.secret = ""
        self.trusted_ips: tuple[str, ...] = ()
        self.disabled = False

    def every_slot(self) -> tuple[Slot, ...]:
        """Return what is its own, and what it shares with the corp's other applications."""
        return (*super().every_slot(), *self.corp.every_slot())

    def refuses_use(self, ip: str) -> int:
        """Return 60020 for an address that is not trusted (WeCom's "Global error codes"; seen by users, 2023-09)."""
        return 0 if lets_in(self.trusted_ips, ip) else 60020

    def change_secret(self, secret: str) -> None:
        """Take another secret; gettoken then begins a new line of tokens, and those in use go on."""
        if secret != self.secret:
            self.secret = secret
            for slot in self.slots():
                slot.current = None
