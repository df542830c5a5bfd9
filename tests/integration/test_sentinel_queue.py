"""The queue and the results at the master that Sentinels name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.processes import Stack, wait_for
from support.sentinels import SERVICE, Sentinels

from tokenworker.sandbox import Sandbox


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    """Sentinels with a user and a password of their own, and others at the servers."""
    options = ["--requirepass", "p@ss/1", "--masterauth", "p@ss/1"]
    lines = [f"sentinel auth-pass {SERVICE} p@ss/1", "requirepass s@ntinel"]
    sentinels = Sentinels(
        tmp_path, options=options, lines=lines, login={"password": "p@ss/1"}, hop={"password": "s@ntinel"}
    )
    sentinels.start()
    yield sentinels
    sentinels.stop()
