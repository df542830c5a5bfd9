"""Flower beside a stack's workers, and what it shows."""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any
from urllib.error import HTTPError

from support.processes import Stack, free_port, wait_for

#: What Flower's page of tasks asks for: all of them, the latest first.
_ALL = b"draw=1&start=0&length=100&order[0][column]=0&order[0][dir]=desc&columns[0][data]=received"


class Flower:
    """A Flower of a stack, on a port of its own; `login` is user:password."""

    def __init__(self, stack: Stack, *options: str, login: str = "", **environ: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
        given = ("--app=tokenworker", "flower", f"--port={self.port}", *options)
        self.number = len(stack.processes)
        self.process = stack.run("celery", *given, **environ)

    def ask(self, path: str, data: bytes | None = None, **headers: str) -> tuple[int, str]:
        """Return status and text of a page; 0 while nobody answers."""
        request = urllib.request.Request(f"{self.url}/{path}", data, self.headers | headers)  # noqa: S310  our own
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, str(answer.read(), "utf-8")
        except HTTPError as error:
            with error:
                return error.code, str(error.read(), "utf-8")
        except OSError:
            return 0, ""

    def page(self, path: str) -> str:
        """Return a page; "" while it does not answer."""
        status, text = self.ask(path)
        return text if status == 200 else ""

    def tasks(self) -> list[dict[str, Any]]:
        """Return the rows of its page of tasks, the latest first."""
        status, text = self.ask("tasks/datatable", _ALL)
        return list(json.loads(text)["data"]) if status == 200 else []

    def wait(self) -> None:
        """Wait until it answers."""
        wait_for(lambda: self.ask("healthcheck")[0] or self.process.poll() is not None, timeout=30)

    def finds_worker_and_queue(self) -> None:
        """Wait until it shows the stack's first worker, and hold it to showing the queue."""
        wait_for(lambda: "w0@test" in self.page("workers"), timeout=20)
        assert "tokenworker" in self.page("broker").partition("<tbody>")[2]
