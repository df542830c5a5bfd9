"""The metrics: how long it takes to measure them, and whether a file that they are written to is up to date."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tokenworker.cli.doctor.finding import Finding, fault, note, ok
from tokenworker.cli.exposing import parts
from tokenworker.errors import ConfigError, StoreUnavailable
from tokenworker.settings.config import Config
from tokenworker.web.metrics.scrape import exposition

_SUBJECT = "metrics"

#: Prometheus waits 10 s for a scrape, and whoever shares its processor longer.
_SLOW = 5.0
#: Who writes them once a minute may miss one.
_OLD = 150.0
#: Whether others may read a file.
_FOR_OTHERS = 0o004


def examine(config: Config, file: Path | None = None) -> Iterator[Finding]:
    """Measure once, unless Redis is away, and look at `file`, if one is given."""
    yield from _scrape(config)
    if file:
        yield from _written(file)


def _scrape(config: Config) -> Iterator[Finding]:
    try:
        with parts(config) as held:
            held.store.now()
            began = time.monotonic()
            text = exposition(held)
            took = time.monotonic() - began
    except (ConfigError, StoreUnavailable):
        return  # said above: of the clients' file, of Redis
    lines = text.splitlines()
    series = sum(not line.startswith(b"#") for line in lines)
    said = f"{series} series are measured in {took:.1f} s"
    if took > _SLOW and config.web.metrics != "totals":
        yield note(_SUBJECT, f"{said}, too long for a scrape: set TOKENWORKER_METRICS=totals")
    else:
        yield ok(_SUBJECT, said)


def _written(file: Path) -> Iterator[Finding]:
    advice = f"run `tokenworker metrics --write {file}` once a minute"
    try:
        found = file.stat()
    except OSError as error:
        yield fault(_SUBJECT, f"{file} can't be looked at ({error.strerror}): {advice}")
        return
    age = time.time() - found.st_mtime
    if age > _OLD:
        yield fault(_SUBJECT, f"{file} was written {age:.0f} s ago: {advice}")
    else:
        yield ok(_SUBJECT, f"{file} was written {max(0, age):.0f} s ago")
    if file.suffix != ".prom":
        yield note(_SUBJECT, f"node_exporter reads files that end with .prom alone: call {file.name} {file.stem}.prom")
    if not found.st_mode & _FOR_OTHERS:
        yield note(_SUBJECT, f"only some may read {file}: chmod o+r, unless node_exporter's user is one of them")
