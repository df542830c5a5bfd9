"""What a person sees in the terminal: what is kept as a table, living or once; where there is none, plain lines."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, urlsplit

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tokenworker.cli.happened import Happened
from tokenworker.cli.moments import clock, whole
from tokenworker.cli.table import Table, frame, remarks, wrapped
from tokenworker.worker.status import State, Status

Show = Callable[[Sequence[Status], str | None], None]

#: The key of an error that is about no account.
_NOBODY = ("", "")


class Terminal:
    """Writes to a terminal, or line by line where there is none."""

    def __init__(self, console: Console | None = None) -> None:
        # Colours may be forced on a pipe, but whoever reads from one wants a line an account.
        terminal = sys.stdout is not None and sys.stdout.isatty()
        self._console = console or Console(highlight=False, force_terminal=terminal, _environ=_sized(os.environ))

    def say(self, sentence: str, style: str = "") -> None:
        """Write one sentence."""
        self._console.print(Text(self._plain(sentence), style), soft_wrap=not self._console.is_terminal)

    def finding(self, level: str, subject: str, sentence: str) -> None:
        """Write what an examination found, its lines below each other; in a pipe it is one line."""
        style = {"fault": "bold red", "note": "yellow"}.get(level, "")
        word = f"{level.upper() if level == 'fault' else level:5}"
        self._hanging(Text.assemble((word, style), f" {subject:8} "), sentence)

    def event(self, happened: Happened) -> None:
        """Write what happened to a credential, with the time; in a pipe it is one line, with the date."""
        moment = clock(happened.at, time.time()) if self._console.is_terminal else whole(happened.at)
        self._hanging(Text(f"{moment}  "), f"{happened.label}: {happened.sentence()}", happened.style)

    def _hanging(self, head: Text, sentence: str, style: str = "") -> None:
        """Write a sentence behind its head, with the lines after the first below the first."""
        lines = [self._plain(line) for line in sentence.splitlines()]
        room = self._console.width - head.cell_len
        parts = [part for line in lines for part in wrapped(line, room, style)]
        texts = parts if self._console.is_terminal else [Text(" ".join(lines))]
        self._write([Text.assemble(head, texts[0])])
        self._write(Text.assemble(" " * head.cell_len, text) for text in texts[1:])

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show that something is being started, and how long that took."""
        began = time.monotonic()
        # The other spinners are of letters that not every terminal has.
        with self._console.status(f"starting {name}", spinner="line"):
            yield
        self.say(f"  {name:8} ready after {time.monotonic() - began:.1f} s")

    def show_places(self, redis_url: str, urls: Mapping[str, str], folder: Path, read: str, *, embedded: bool) -> None:
        """Write where everything is, and the command `read` that prints a token."""
        if "sandbox" in urls:
            self.say("SANDBOX: no account is configured, so these tokens are made up.", "bold yellow")
            self.say("Set WECHAT_APPID and WECHAT_SECRET for the real WeChat.")
        self.say(f"Redis    {shown(redis_url)}" + ("  (embedded: for trying out)" if embedded else ""))
        for name, url in urls.items():
            self.say(f"{name:8} {url}")
        self.say(f"logs     {folder}/*.log")
        self.say(f"read     {read}        in another terminal, same folder")
        self.say("stop     Ctrl-C")

    @contextmanager
    def live(self) -> Iterator[Show]:
        """Keep a table of the accounts on the screen; without a terminal, write a line for each change."""
        if not self._console.is_terminal or self._console.is_dumb_terminal:
            yield self._changes()
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            yield lambda rows, error: live.update(self._frame(rows, error), refresh=True)

    def counts(self, counts: Mapping[State, int], left_out: int) -> None:
        """Write how many credentials are in each state, and how many are not shown though they need attention."""
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        self.say(f"{sum(counts.values())} credentials: {states}")
        if left_out:
            self.say(f"{left_out} more than are shown here: --limit or --all shows them")

    def table(self, rows: Sequence[Status], error: str | None) -> None:
        """Write the table of the accounts once."""
        plain = self._cleaned(rows)
        table = Table(plain, self._console.width if self._console.is_terminal else None)
        self._write(table.heading() if plain else [])
        for row in plain:
            self._write(table.lines(row))
        if error:
            self.say(error, "bold red")

    def _frame(self, rows: Sequence[Status], error: str | None) -> Group:
        width, height = self._console.size
        # One line stays free for the cursor.
        return Group(*frame(self._cleaned(rows), self._plain(error or ""), width, height - 1))

    def _changes(self) -> Show:
        seen: dict[tuple[str, str], object] = {}

        def show(rows: Sequence[Status], error: str | None) -> None:
            plain = self._cleaned(rows)
            table = Table(plain, None)
            now: dict[tuple[str, str], object] = {
                _key(row): (row["state"], row["fingerprint"], remarks(row)) for row in plain
            }
            now |= {_NOBODY: error} if error else {}
            for row in plain:
                if now[_key(row)] != seen.get(_key(row)):
                    self._write(table.lines(row))
            if error and seen.get(_NOBODY) != error:
                self.say(error)
            seen.clear()
            seen.update(now)

        return show

    def _write(self, lines: Iterable[Text]) -> None:
        for line in lines:
            self._console.print(line, soft_wrap=True)

    def _cleaned(self, rows: Sequence[Status]) -> list[Status]:
        return [cast("Status", {key: self._clean(value) for key, value in row.items()}) for row in rows]

    def _clean(self, value: object) -> object:
        return self._plain(value) if isinstance(value, str) else value

    def _plain(self, text: str) -> str:
        """Return a text without what would break a line or command the terminal, or has no letters there."""
        line = "".join(letter if letter.isprintable() else " " for letter in text)
        return line.encode(self._console.encoding, "replace").decode(self._console.encoding)


def _sized(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without a size of 0, which is what terminals export that don't know theirs."""
    unknown = [name for name in ("COLUMNS", "LINES") if environ.get(name, "").strip("0") == ""]
    return {name: value for name, value in environ.items() if name not in unknown}


def _key(row: Status) -> tuple[str, str]:
    return row["account"], row["credential"]


def shown(redis_url: str) -> str:
    """Write where Redis is without user, password and options."""
    url = urlsplit(redis_url)
    db = parse_qs(url.query).get("db", [""])[0]
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}" + (f"?db={db}" if db else "")
