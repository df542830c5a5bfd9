"""Every way in which users get at a token, on whatever servers it is kept."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable

from support.processes import Stack
from tokenworker import AsyncTokenReader, TokenReader
from tokenworker.sandbox import DEMO_APPID, Sandbox

_TASK = (
    "from tokenworker.celery import app\n"
    "result = app.send_task('tokenworker.get_token', queue='tokenworker').get(timeout=15)\n"
    "print(result['access_token'])"
)


def command(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of our commands as in the stack's folder and environment."""
    return _run(stack, "-m", "tokenworker.cli", *words)


def faults(check: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what `tokenworker check` finds fault with.

    But for beat: with times as short as a test's, a busy machine makes that late.
    """
    return [line for line in check.stdout.splitlines() if line.startswith("FAULT") and " beat " not in line]


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


def useless_ways(stack: Stack, url: str, sandbox: Sandbox) -> dict[str, str]:
    """Return those ways that don't lead to a token that works, each with what it leads to."""
    ways: dict[str, Callable[[], str]] = {
        "task": lambda: by_task(stack),
        "command": lambda: by_command(stack),
        "reader": lambda: by_reader(url),
        "async reader": lambda: by_async_reader(url),
    }
    # Each is judged at once: tokens end.
    verdicts = {way: sandbox.verdict(ask()) for way, ask in ways.items()}
    return {way: verdict.verdict for way, verdict in verdicts.items() if not verdict.works}


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
