"""Flower beside a stack's workers, and what it shows."""

from __future__ import annotations

import urllib.request

from support.processes import Stack, free_port, wait_for


class Flower:
    """A Flower of a stack, on a port of its own."""

    def __init__(self, stack: Stack) -> None:
        self.port = free_port()
        options = ("--app=tokenworker", "flower", "--address=127.0.0.1", f"--port={self.port}")
        self.process = stack.run("celery", *options)

    def page(self, path: str) -> str:
        """Return a page; "" while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=10) as answer:
                return str(answer.read(), "utf-8")
        except OSError:
            return ""

    def finds_worker_and_queue(self) -> None:
        """Wait until it shows the stack's first worker, and hold it to showing the queue."""
        wait_for(lambda: "w0@test" in self.page("workers"), timeout=20)
        assert "tokenworker" in self.page("broker").partition("<tbody>")[2]
