"""The Sentinels: whether they agree on a master, and could put another in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tokenworker.cli.doctor.finding import Finding, fault, note, ok
from tokenworker.settings.servers import Servers
from tokenworker.store.sentinels import View, views

_SUBJECT = "Sentinel"


def examine(redis_url: str) -> Iterator[Finding]:
    """Ask each Sentinel that the URL names."""
    service, found = Servers.of(redis_url).service, list(views(redis_url))
    answered = [view for view in found if not view.fault]
    enough = len(answered) > len(found) / 2
    judge = note if enough else fault
    yield from (
        judge(_SUBJECT, f"{view.address} does not say who is master: {view.fault}") for view in found if view.fault
    )
    if not enough:
        yield fault(_SUBJECT, f"{len(answered)} of {len(found)} Sentinels answer, and a failover needs most of them")
    faults = list(_disagreements(answered, service))
    yield from faults
    if enough and not faults:
        yield ok(_SUBJECT, f"{len(answered)} of {len(found)} name {answered[0].master} as the master of {service}")


def _disagreements(answered: Sequence[View], service: str) -> Iterator[Finding]:
    for view in answered:
        if not view.knows:
            yield fault(
                _SUBJECT, f"{view.address} knows no {service}: correct the service in REDIS_URL, or its settings"
            )
        if view.no_quorum:
            yield fault(_SUBJECT, f"{view.address} could bring no failover about: {view.no_quorum}")
    masters = sorted({view.master for view in answered if view.knows})
    if len(masters) > 1:
        yield fault(
            _SUBJECT,
            f"they name different masters: {', '.join(masters)}; if that lasts, look at their `sentinel monitor`",
        )
