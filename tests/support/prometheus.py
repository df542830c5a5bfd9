"""Prometheus, where it is installed: its tool, and a server that scrapes what a test names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"


def program(name: str) -> str:
    """Return where a program of Prometheus's is; skips the test where there is none."""
    unpacked = ROOT / ".venv" / "prometheus" / "usr" / "bin" / name
    found = str(unpacked) if unpacked.exists() else shutil.which(name)
    if not found:
        pytest.skip(f"needs {name}: tests/conformance/install-prometheus unpacks Debian's")
    return found
