"""What a person sees in the terminal: the accounts as a table, living or once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

Show = Callable[[list[dict[str, Any]], str | None], None]


class View:
    """Writes to a terminal, or line by line where there is none."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            # A pipe or a log file has no width; at 80 columns appids would be cut off.
            self._console.width = 240

    def say(self, sentence: str) -> None:
        """Write one sentence."""
        self._console.print(sentence, markup=False)

    def finding(self, level: str, subject: str, sentence: str) -> None:
        """Write what an examination found, its lines below each other."""
        style = {"fault": "bold red", "note": "yellow"}.get(level, "")
        grid = Table.grid(padding=(0, 1), pad_edge=False)
        grid.add_column(width=5)
        grid.add_column(width=8)
        grid.add_column(overflow="fold")
        grid.add_row(Text(level.upper() if level == "fault" else level, style), subject, Text(sentence))
        self._console.print(grid)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show that something is being started, and how long that took."""
        began = time.monotonic()
        with self._console.status(f"starting {name}"):
            yield
        self.say(f"  {name:8} ready after {time.monotonic() - began:.1f} s")

    def show_places(
        self, redis_url: str, flower_url: str, sandbox_url: str | None, folder: Path, *, embedded: bool
    ) -> None:
        """Say where everything is."""
        if sandbox_url:
            self._console.print("SANDBOX: no account is configured, so these tokens are made up.", style="bold yellow")
            self.say("Set WECHAT_APPID and WECHAT_SECRET for the real WeChat.")
        self.say(f"Redis    {_without_password(redis_url)}" + ("  (embedded: for trying out)" if embedded else ""))
        self.say(f"Flower   {flower_url}")
        if sandbox_url:
            self.say(f"sandbox  {sandbox_url}/sandbox/")
        self.say(f"logs     {folder}/*.log")
        self.say("read     .venv/bin/tokenworker get        in another terminal, same folder")
        self.say("stop     Ctrl-C")

    @contextmanager
    def live(self) -> Iterator[Show]:
        """Keep a table of the accounts on the screen; without a terminal, write a line for each change."""
        if not self._console.is_terminal:
            yield self._changes()
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            yield lambda rows, error: live.update(table(rows, error), refresh=True)

    def table(self, rows: list[dict[str, Any]], error: str | None) -> None:
        """Write the table of the accounts once."""
        self._console.print(table(rows, error))

    def _changes(self) -> Show:
        seen: dict[str, object] = {}

        def show(rows: list[dict[str, Any]], error: str | None) -> None:
            lines: dict[str, object] = {row["appid"]: (row["state"], row["fingerprint"], _error(row)) for row in rows}
            lines |= {"": (error,)} if error else {}
            for row in rows:
                if lines[row["appid"]] != seen.get(row["appid"]):
                    self.say(" ".join([row["appid"], *_cells(row)[1:]]))
            if error and seen.get("") != (error,):
                self.say(error)
            seen.clear()
            seen.update(lines)

        return show


def table(rows: list[dict[str, Any]], error: str | None) -> Table:
    """Lay the accounts out: state, time left, next refresh, last error."""
    grid = Table(box=None, pad_edge=False, caption=error, caption_style="bold red", caption_justify="left")
    for heading in ("account", "state", "time left", "next refresh", "fetches today", "token", "last error"):
        grid.add_column(heading, no_wrap=heading != "last error")
    for row in rows:
        grid.add_row(*_cells(row))
    return grid


def _cells(row: dict[str, Any]) -> list[str]:
    left = _duration(row["expires_in"]) if row["expires_in"] is not None else "-"
    at = max(row["refresh_at"], row["retry_at"]) - row["now"]
    soon = "now" if at <= 0 else f"in {_duration(at)}"
    fetches, token = str(row["fetches_today"]), row["fingerprint"] or "-"
    return [row["appid"], row["state"], left, soon, fetches, token, _error(row) or "-"]


def _error(row: dict[str, Any]) -> str:
    fetch = f"{row['error']}: {row['hint']}" if row["error"] and row["hint"] else row["error"]
    copy = f"can't publish {row['publish_error']}" if row["publish_error"] else ""
    return "; ".join(filter(None, (fetch, copy)))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://***@{after}" if at else url
