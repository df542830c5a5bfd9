"""What an examination finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: fault: something does not work, or will not. note: worth knowing.
Level = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what it is, how it is in one sentence, and what to do if it is wrong."""

    level: Level
    subject: str
    sentence: str


def ok(subject: str, sentence: str) -> Finding:
    """Make a finding that all is well."""
    return Finding("ok", subject, sentence)


def note(subject: str, sentence: str) -> Finding:
    """Make a finding that is worth knowing."""
    return Finding("note", subject, sentence)


def fault(subject: str, sentence: str) -> Finding:
    """Make a finding that a person must act on."""
    return Finding("fault", subject, sentence)
