"""The server with a clock of its own that both models run on."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from support.clock import ClockedServer


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClockedServer]:
    server = ClockedServer(tmp_path_factory.mktemp("model"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="tokenworker")
