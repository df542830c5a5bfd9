"""The doctor as a user calls it: a command in a folder, whose findings come back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenworker.sandbox import DEMO_SECRET

Findings = list[dict[str, Any]]


def examined(folder: Path, environ: Mapping[str, str], *options: str, timeout: float = 60) -> Findings:
    """Run the command; returns its findings, and holds it to its exit code."""
    command = [sys.executable, "-m", "tokenworker.cli", "check", "--json", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=dict(environ), timeout=timeout
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert DEMO_SECRET not in done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == any(finding["level"] == "fault" for finding in found), done.stderr
    return found


def faults(found: Findings) -> str:
    """Return the sentences about what is wrong."""
    return of_level(found, "fault")


def notes(found: Findings) -> str:
    """Return the sentences about what is worth knowing."""
    return of_level(found, "note")


def of_level(found: Findings, level: str) -> str:
    """Return the sentences of a level, a line each."""
    return "\n".join(finding["sentence"] for finding in found if finding["level"] == level)


def about(found: Findings, *subjects: str) -> Findings:
    """Return the findings about some subjects."""
    return [finding for finding in found if finding["subject"] in subjects]
