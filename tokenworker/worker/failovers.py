"""Failovers: another Redis server took over, and what its predecessor took last may be lost."""

from __future__ import annotations

import logging

from tokenworker.store.store import Store
from tokenworker.worker.reconciler import Reconciler

logger = logging.getLogger(__name__)

#: Whoever has credentials probed after a failover has so many seconds for that; then another one does it.
_TURN = 60.0


class Failovers:
    """Has every credential probed after one, once for all workers: what came after a credential may be lost."""

    def __init__(self, store: Store, reconciler: Reconciler) -> None:
        self._store = store
        self._reconciler = reconciler

    def look(self) -> None:
        """Look whether there was one; raises `StoreUnavailable`."""
        now, noted = self._store.lineage.now(), self._store.lineage.noted()
        if not now or now == noted:
            return
        if noted:
            if not self._store.notes.mark("suspected", _TURN):
                return  # another one is at it
            logger.error("another Redis server took over, or a backup: every credential is probed, the newest first")
            self._store.records.suspect(
                id_ for id_, target in self._reconciler.targets.items() if target.kind.probe is not None
            )
        # Noted only now: should we die on the way, another one does it all.
        self._store.lineage.note(now)
