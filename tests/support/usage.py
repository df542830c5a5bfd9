"""Every way in which users get at a token, on whatever servers it is kept."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from support.processes import Stack
from tokenworker import AsyncTokenReader, TokenReader
from tokenworker.sandbox import DEMO_APPID

_TASK = (
    "from tokenworker.celery import app\n"
    "result = app.send_task('tokenworker.get_token', queue='tokenworker').get(timeout=15)\n"
    "print(result['access_token'])"
)


def command(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of our commands as in the stack's folder and environment."""
    return _run(stack, "-m", "tokenworker.cli", *words)


def by_task(stack: Stack) -> str:
    """Return the token that the task gives; "" where it gives none in time."""
    return _run(stack, "-c", _TASK).stdout.strip()


def by_command(stack: Stack) -> str:
    """Return the token that `tokenworker get` prints."""
    return command(stack, "get").stdout.strip()


def by_reader(url: str) -> str:
    """Return the token that a reader finds."""
    with TokenReader(url, timeout=2) as reader:
        return reader.get_token(DEMO_APPID).access_token


def by_async_reader(url: str) -> str:
    """Return the token that a reader on asyncio finds."""

    async def read() -> str:
        async with AsyncTokenReader(url, timeout=2) as reader:
            return (await reader.get_token(DEMO_APPID)).access_token

    return asyncio.run(read())


def tokens(stack: Stack, url: str) -> dict[str, str]:
    """Return the token that each way gives."""
    return {
        "task": by_task(stack),
        "command": by_command(stack),
        "reader": by_reader(url),
        "async reader": by_async_reader(url),
    }


def _run(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=stack.folder,
        env=stack.environ,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
