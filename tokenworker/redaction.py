"""Takes tokens and secrets out of texts in which other people's programs put URLs and commands."""

from __future__ import annotations

import logging
import re

#: Longer than an appid or a fingerprint, and as long as no name that people give; tokens and AppSecrets are longer.
_LIKE_SECRET = re.compile(r"[A-Za-z0-9_-]{30,}")
#: In the query of a URL; and what Redis repeats of a command that it does not know, such as AUTH or HELLO.
_SECRET = re.compile(r"((?:secret|access_token)=)[^&\s'\"]+|(, with args beginning with:).*")


def redacted(text: str) -> str:
    """Replace what stands for a secret or a token."""
    return _SECRET.sub(r"\1\2***", text)


def like_secret(text: str) -> bool:
    """Say whether a text may hold a token or an AppSecret."""
    return _LIKE_SECRET.search(text) is not None


def masked(text: str) -> str:
    """Replace what may be a token or an AppSecret."""
    return _LIKE_SECRET.sub("***", text)


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
