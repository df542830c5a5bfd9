"""The Sentinels, each asked by itself: what it knows of the master that it watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import redis

from tokenworker.settings.servers import Servers
from tokenworker.store.connect import sentinels
from tokenworker.store.connection import deadline
from tokenworker.store.refusals import refusal
from tokenworker.store.scripts import text

_NO_QUORUM = "NOQUORUM"


@dataclass(frozen=True)
class View:
    """What one Sentinel answered; `fault` is a sentence where it did not."""

    #: Host and port of the Sentinel.
    address: str
    #: Host and port of the master that it names.
    master: str = ""
    #: Whether it knows the service.
    knows: bool = True
    #: What it says where it could bring no failover about.
    no_quorum: str = ""
    fault: str = ""


def views(url: str, timeout: float = 2.0) -> Iterator[View]:
    """Ask each Sentinel that a URL names; `timeout` is in seconds, for each."""
    service = Servers.of(url).service
    for address, client in sentinels(url, timeout=timeout):
        with closing(client), deadline(time.monotonic() + timeout):
            yield _view(address, client, service)


def _view(address: str, client: Any, service: str) -> View:
    try:
        found = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", service)
        if not found:
            return View(address, knows=False)
        return View(address, f"{text(found[0])}:{found[1]}", no_quorum=_no_quorum(client, service))
    except (redis.RedisError, OSError) as error:
        return View(address, fault=refusal(error))


def _no_quorum(client: Any, service: str) -> str:
    """Return why it could bring no failover about; "" where it could, or does not say."""
    try:
        client.execute_command("SENTINEL CKQUORUM", service)
    except redis.ResponseError as error:
        return str(error) if _NO_QUORUM in str(error) else ""
    return ""
