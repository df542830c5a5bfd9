"""The names of the Redis keys, which services in other languages rely on."""

from __future__ import annotations

from dataclasses import dataclass

from tokenworker.credential import CredentialId


@dataclass(frozen=True)
class Keys:
    """The keys of one installation; the braces are literal and keep an account in one slot of a cluster."""

    prefix: str = "tokenworker"

    @property
    def due(self) -> str:
        """A sorted set of credential ids, as `ACCOUNT:NAME`, by when they are due next."""
        return f"{self.prefix}:due"

    @property
    def names(self) -> str:
        """A hash of the names that people gave the accounts, by account."""
        return f"{self.prefix}:names"

    @property
    def rate(self) -> str:
        """The next turn to call WeChat, in a slot of a cluster with `running`."""
        return f"{self.prefix}:{{limiter}}:rate"

    @property
    def running(self) -> str:
        """A sorted set of the credentials for which somebody is at WeChat."""
        return f"{self.prefix}:{{limiter}}:running"

    @property
    def waiting(self) -> str:
        """A sorted set of the credentials for which somebody waits for his turn; in the same slot."""
        return f"{self.prefix}:{{limiter}}:waiting"

    @property
    def accounts_error(self) -> str:
        """What is wrong with the accounts file."""
        return f"{self.prefix}:accounts_error"

    @property
    def ticked(self) -> str:
        """That beat's tick came through, a day ago at most."""
        return f"{self.prefix}:ticked"

    @property
    def workers(self) -> str:
        """A sorted set of the workers, by when each was last seen alive."""
        return f"{self.prefix}:workers"

    @property
    def clients(self) -> str:
        """A hash of how often each client of the web face asked, and was refused."""
        return f"{self.prefix}:clients"

    @property
    def pulse(self) -> str:
        """A number that only grows, unless Redis goes back in time."""
        return f"{self.prefix}:pulse"

    @property
    def lineage(self) -> str:
        """Which server's history the data come from, by its replication id."""
        return f"{self.prefix}:lineage"

    def mark(self, name: str) -> str:
        """That something was done lately, so that not all workers do it."""
        return f"{self.prefix}:{name}"

    def shared(self) -> list[str]:
        """Return the keys that all accounts share."""
        marks = [self.mark(name) for name in ("in_doubt", "restored", "suspected", "sweep")]
        limits = [self.rate, self.running, self.waiting]
        signs = [self.workers, self.pulse, self.lineage]
        return [self.due, self.names, *limits, self.accounts_error, self.clients, self.ticked, *signs, *marks]

    def of(self, id_: CredentialId) -> list[str]:
        """Return the keys of one credential: its value, state, lease, copies, history and counts."""
        return [
            self.value(id_),
            self.state(id_),
            self.lease(id_),
            self.copies(id_),
            self.history(id_),
            self.counts(id_),
        ]

    def pair(self, id_: CredentialId) -> tuple[str, str]:
        """Return the first two of them, value and state, in a third of the time: for all credentials at once."""
        value = self.value(id_)
        return value, f"{value}:state"

    def value(self, id_: CredentialId) -> str:
        """The bare credential, which lives as long as it."""
        return f"{self.prefix}:{{{id_.account}}}:{id_.name}"

    def state(self, id_: CredentialId) -> str:
        """A hash of everything else that is known of a credential."""
        return f"{self.value(id_)}:state"

    def lease(self, id_: CredentialId) -> str:
        """The name of the process that is at WeChat for a credential."""
        return f"{self.value(id_)}:lease"

    def copies(self, id_: CredentialId) -> str:
        """A hash of the keys of its published copies, each with the SHA-1 of what was written there."""
        return f"{self.value(id_)}:copies"

    def history(self, id_: CredentialId) -> str:
        """A list of what happened to a credential on the last day, newest first."""
        return f"{self.value(id_)}:history"

    def counts(self, id_: CredentialId) -> str:
        """A hash of how often each thing happened to a credential."""
        return f"{self.value(id_)}:counts"
