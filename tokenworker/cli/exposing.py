"""Metrics without a web process: printed, or written where node_exporter finds them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tokenworker.settings.config import Config
from tokenworker.web.held import Held
from tokenworker.web.metrics.scrape import exposition


class NotWritten(Exception):  # noqa: N818  it states a fact
    """A file can't be written; its text says why."""


@contextmanager
def parts(config: Config) -> Iterator[Held]:
    """Hold what a web process holds; raises `ConfigError`."""
    held = Held.from_config(config, None)
    try:
        yield held
    finally:
        asyncio.run(held.aclose())


def measured(config: Config) -> bytes:
    """Return what `/metrics` of a web process would say; raises `ConfigError`."""
    with parts(config) as held:
        return exposition(held)


def redis_answers(text: bytes) -> bool:
    """Return whether Redis answered when this was measured."""
    return b"\ntokenworker_up 1\n" in text


def write(file: Path, text: bytes) -> None:
    """Put a text in a file, at once for whoever reads it; raises `NotWritten`."""
    # Of its folder node_exporter reads what ends with .prom, and others may read what it reads.
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_bytes(text)
        beside.replace(file)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise NotWritten(f"{file} can't be written: {error.strerror}") from None
