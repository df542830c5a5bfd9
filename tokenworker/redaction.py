"""Redaction: takes credentials and secrets out of texts in which other programs put URLs and commands."""

from __future__ import annotations

import logging
import re

#: Longer than an appid, a fingerprint or a name that people give; no token and no AppSecret is shorter.
_LIKE_SECRET = re.compile(r"[A-Za-z0-9_-]{30,}")
#: In sentences about settings only longer runs count: they hold paths and names of ours, too.
_RUN = re.compile(r"[A-Za-z0-9_-]{32,}")
_APPSECRET = re.compile(r"[0-9a-fA-F]{32,}")
_SHORTEST_TOKEN = 40
_MIXED = (re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]"))
#: A secret in the query of a URL; and what Redis repeats of a command that it does not know, such as AUTH or HELLO.
_SECRET = re.compile(r"((?:secret|access_token)=)[^&\s'\"]+|(, with args beginning with:).*")


def redacted(text: str) -> str:
    """Return a text with *** in place of each secret or token in a URL or a command."""
    return _SECRET.sub(r"\1\2***", text)


def like_secret(text: str) -> bool:
    """Return whether a text may hold a token or an AppSecret."""
    return _LIKE_SECRET.search(text) is not None


def masked(text: str) -> str:
    """Return a text with *** in place of whatever may be a token or an AppSecret."""
    return _LIKE_SECRET.sub("***", text)


def discreet(sentence: str) -> str:
    """Return a sentence with *** in place of what looks like a token or an AppSecret; long names and paths stay."""
    return _RUN.sub(_run, sentence)


def excerpt(text: str, length: int = 40) -> str:
    """Return the beginning of what somebody gave, for a sentence about it, without what may be a secret."""
    return masked(text)[:length]


def _run(found: re.Match[str]) -> str:
    run = found[0]
    if _APPSECRET.search(run):
        return _APPSECRET.sub("***", run)
    return "***" if len(run) >= _SHORTEST_TOKEN and all(kind.search(run) for kind in _MIXED) else run


class Redaction(logging.Filter):
    """Redacts what a logger logs; a filter, since it must hold at every level."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without what nobody may see."""
        message = record.getMessage()
        if _SECRET.search(message):
            record.msg, record.args = redacted(message), ()
            record.exc_info = record.exc_text = None
        return True


_redaction = Redaction()


def redact_logs(*loggers: str) -> None:
    """Redact what is logged; a filter sees only what is logged at that very logger, so name each."""
    for logger in loggers:
        logging.getLogger(logger).addFilter(_redaction)


def redact_urllib3() -> None:
    """Redact the logs of urllib3, which print URLs at DEBUG, and at WARNING when it retries."""
    names = ("connectionpool", "connection", "poolmanager", "response", "util.retry")
    redact_logs(*(f"urllib3.{name}" for name in names))
