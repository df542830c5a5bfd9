"""Flower: who is let in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tokenworker.cli.doctor.finding import Finding, fault, note
from tokenworker.cli.doctor.web import weakness
from tokenworker.worker.flower import options

_SUBJECT = "Flower"

_ADDRESS, _LOGINS = "FLOWER_ADDRESS", "FLOWER_BASIC_AUTH"
_OWN = ("", "127.0.0.1", "::1", "localhost")


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at Flower's own variables: whoever is let in may stop workers."""
    given = {name: value for name, value in environ.items() if value.strip()}
    yield from (fault(_SUBJECT, sentence) for sentence in options.faults(given))
    logins = [login for login in given.get(_LOGINS, "").split(",") if ":" in login]
    others = any(given.get(name) for name in ("FLOWER_AUTH", "FLOWER_AUTH_PROVIDER"))
    if not logins and not others and given.get(_ADDRESS, "") not in _OWN:
        yield note(
            _SUBJECT,
            f"{_ADDRESS} lets other machines reach it, and it asks nobody for a password, though who is let in may stop"
            f" workers: set {_LOGINS} to user:password",
        )
    shortest = min((login.partition(":")[2] for login in logins), key=len, default=None)
    if shortest is not None:
        yield from weakness(_SUBJECT, _LOGINS, shortest)
