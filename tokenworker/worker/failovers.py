"""Failovers: another Redis server took over, and what its predecessor took last may be lost."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tokenworker.refresh.turns import Limits
from tokenworker.store.store import Store
from tokenworker.worker.reconciler import Reconciler

logger = logging.getLogger(__name__)

#: Whoever has credentials probed after a failover has so many seconds for that; then another one does it.
_TURN = 60.0


class Failovers:
    """Has every credential probed after one, once for all workers: what came after a credential may be lost."""

    def __init__(self, store: Store, reconciler: Reconciler, limits: Callable[[], Limits]) -> None:
        self._store = store
        self._reconciler = reconciler
        self._limits = limits

    def look(self) -> None:
        """Look whether there was one; raises `StoreUnavailable`."""
        now, noted = self._store.lineage.now(), self._store.lineage.noted()
        if not now or now == noted:
            return
        if noted:
            if not self._store.notes.mark("suspected", _TURN):
                return  # another one is at it
            logger.warning(
                "another Redis server took over, or it started anew: credentials are probed, the newest first"
            )
            self._suspect_all()
        # Noted only now: should we die on the way, another one does it all.
        self._store.lineage.note(now)

    def _suspect_all(self) -> None:
        """Have each probed, at half the rate of all calls: others, which run out meanwhile, must not wait behind."""
        targets, pace = self._reconciler.targets, 2 / self._limits().rate
        suspects = self._store.bulk.suspect(id_ for id_, it in targets.items() if it.kind.probe is not None)
        now = self._store.now()
        self._store.schedule.advance({id_: now + place * pace for place, id_ in enumerate(suspects)})
