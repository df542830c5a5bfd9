"""The store: everything in Redis that belongs to one prefix, by its parts."""

from __future__ import annotations

from tokenworker.store.bulk import Bulk
from tokenworker.store.cluster import Cluster
from tokenworker.store.cluster_records import ClusterRecords
from tokenworker.store.connect import Client
from tokenworker.store.fingerprints import Fingerprints
from tokenworker.store.gauges import Gauges
from tokenworker.store.history import History
from tokenworker.store.keys import Keys
from tokenworker.store.limiter import Limiter
from tokenworker.store.lineage import Lineage
from tokenworker.store.notes import Notes
from tokenworker.store.records import Records, Replication
from tokenworker.store.schedule import Schedule
from tokenworker.store.scripts import Keyless, Scripts
from tokenworker.store.usage import Usage


class Store:
    """What Redis knows, by its parts; every method of theirs may raise `StoreUnavailable`."""

    def __init__(
        self,
        client: Client,
        prefix: str = "tokenworker",
        scripts: Scripts | None = None,
        replication: Replication | None = None,
    ) -> None:
        self._scripts = scripts or Scripts(client)
        self.keys = Keys(prefix)
        self.schedule = Schedule(self._scripts, self.keys)
        self.limiter = Limiter(self._scripts, self.keys)
        is_cluster = isinstance(client, Cluster)
        records = ClusterRecords if is_cluster else Records
        self.records = records(self._scripts, self.keys, self.schedule, self.limiter, replication or Replication())
        self.bulk = Bulk(self._scripts, self.keys, self.schedule, is_cluster=is_cluster)
        self.history = History(self._scripts, self.keys)
        self.gauges = Gauges(self._scripts, self.keys, is_cluster=is_cluster)
        self.usage = Usage(self._scripts, self.keys)
        self.fingerprints = Fingerprints(self._scripts, self.keys)
        self.notes = Notes(self._scripts, self.keys)
        self.lineage = Lineage(self._scripts, self.keys)

    def now(self) -> float:
        """Return the time by Redis's clock, in epoch seconds."""
        seconds, microseconds = self._scripts.together(Keyless(("TIME",)))[0]
        return float(seconds + microseconds / 1e6)

    def close(self) -> None:
        """Close the connections to Redis."""
        self._scripts.close()
