"""What a server has to outlast its own end: replicas, and data on disk."""

from __future__ import annotations

from collections.abc import Iterator

from tokenworker.cli.doctor.finding import Finding, fault, note
from tokenworker.settings.config import Config
from tokenworker.settings.servers import Servers
from tokenworker.store.inspection import Inspection, ServerFacts

_SUBJECT = "Redis"

#: A server says how many of its replicas are good where it asks for some.
_WANTS_SOME = "min_slaves_good_slaves"


def examine(config: Config, server: ServerFacts) -> Iterator[Finding]:
    """Look at the replicas of a server, by what it says of itself."""
    count, is_cluster = int(server.get("connected_slaves", 0)), Servers.of(config.redis_url).topology == "cluster"
    if config.replicas > count:
        yield fault(
            _SUBJECT,
            f"TOKENWORKER_REPLICAS is {config.replicas}, more than the {count} that follow the server: what can wait is"
            " not fetched; look at the replicas, or set TOKENWORKER_REPLICAS=0",
        )
    elif not count and is_cluster:
        yield note(_SUBJECT, "a master of the cluster has no replica: its slots are gone with it; add one")
    # A cluster's master that is cut off from the others stops by itself.
    if count and _WANTS_SOME not in server and not is_cluster:
        yield note(
            _SUBJECT,
            "min-replicas-to-write is 0, so that a master that is cut off goes on taking writes, which are lost when a"
            " replica takes over: set min-replicas-to-write 1 and min-replicas-max-lag 10",
        )


def on_disk(inspection: Inspection, server: ServerFacts) -> Iterator[Finding]:
    """Look whether a restart keeps anything."""
    if server.get("aof_enabled") == "0" and inspection.keeps() is False:
        yield note(
            _SUBJECT,
            "neither the append-only file nor snapshots are on: a restart loses every credential, and a master that"
            " restarts empties its replicas, too; set appendonly yes",
        )
