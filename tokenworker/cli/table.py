"""What is kept as lines of text: as many columns as fit, and below a credential what is to be said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import StringIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from tokenworker.worker.status import Status

_GAP = "  "
_SANDBOX = "SANDBOX: made-up tokens"
_DOUBT = "WeChat may have replaced it: until that is known, it is tested every 30 s"
_STYLES = {"live": "green", "missing": "bold red", "contested": "bold yellow"}


def duration(seconds: float) -> str:
    """Return a number of seconds as people read it: 59 s, 59 min 59 s, 1 h 59 min."""
    minutes, rest = divmod(int(seconds), 60)
    hours, part = divmod(minutes, 60)
    if hours:
        return f"{hours} h {part:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _next(row: Status) -> str:
    at = max(row["refresh_at"], row["retry_at"]) - row["now"]
    return "now" if at <= 0 else f"in {duration(at)}"


_CELLS: dict[str, Callable[[Status], str]] = {
    "account": lambda row: row["account"],
    "credential": lambda row: row["credential"],
    "name": lambda row: row["name"] or "-",
    "state": lambda row: row["state"],
    "time left": lambda row: "-" if row["expires_in"] is None else duration(row["expires_in"]),
    "next refresh": _next,
    "fetches today": lambda row: str(row["fetches_today"]),
    "token": lambda row: row["fingerprint"] or "-",
}
#: The width of the longest cell that is likely, so that a living table does not jump each second.
_LEAST = {"state": len("contested"), "time left": len("59 min 59 s"), "next refresh": len("in 59 min 59 s")}

#: Rich breaks lines for a console; nothing is written to this one.
_RULER = Console(file=StringIO())

_ALL = tuple(_CELLS)
_SOME = ("account", "credential", "name", "state", "time left", "next refresh")
_FEW = ("account", "credential", "state", "time left", "next refresh")


class Table:
    """Lays out rows in lines of at most `width` cells; without a width each row is one whole line."""

    def __init__(self, rows: Sequence[Status], width: int | None) -> None:
        self._width = width
        self._widths: dict[str, int] = {}
        # The column is left out where all are of one name.
        self._mixed = len({row["credential"] for row in rows}) > 1
        for columns in (_ALL, _SOME, _FEW):
            shown = [column for column in columns if self._mixed or column != "credential"]
            self._widths = {column: _width(column, rows) for column in shown}
            if width is None or sum(self._widths.values()) + len(_GAP) * (len(shown) - 1) <= width:
                break
        else:
            self._widths = {}  # an id may have more than 64 characters

    def heading(self) -> list[Text]:
        """Return the line over the columns; none where there are no columns."""
        line = self._line({column: column for column in self._widths})
        if self._width is None:
            line.append(_GAP + "remarks")
        return [line] if self._widths else []

    def lines(self, row: Status) -> list[Text]:
        """Return the lines of one credential."""
        head = self._line({column: _CELLS[column](row) for column in self._widths}, _STYLES[row["state"]])
        said = remarks(row)
        if self._width is None:
            head.append(_GAP + ("; ".join(said) or "-"))
            return [head]
        which = f"{row['credential']}: " if self._mixed else ""
        facts = [] if self._widths else [f"{which}{row['state']}, {_left(row)}"]
        names = [] if "name" in self._widths or not row["name"] else [row["name"]]
        top = [head] if self._widths else wrapped(row["account"], self._width)
        return [*top, *self._below([*names, *facts]), *self._below(said, "red")]

    def _line(self, cells: Mapping[str, str], style: str = "") -> Text:
        padded = {column: cell + " " * (self._widths[column] - cell_len(cell)) for column, cell in cells.items()}
        return Text(_GAP).join(Text(text, style if column == "state" else "") for column, text in padded.items())

    def _below(self, texts: Sequence[str], style: str = "") -> list[Text]:
        return [
            Text.assemble(_GAP, line) for text in texts for line in wrapped(text, (self._width or 0) - len(_GAP), style)
        ]


def remarks(row: Status) -> list[str]:
    """Return what is to be said of one: that it is the sandbox's, the last error, doubts, a missing published copy."""
    fetch = f"{row['error']}: {row['hint']}" if row["error"] and row["hint"] else row["error"]
    doubt = _DOUBT if row["in_doubt_since"] else ""
    test = f"it can't be tested: {row['probe_error']}" if row["probe_error"] else ""
    copy = f"can't publish {row['publish_error']}" if row["publish_error"] else ""
    return [text for text in (_SANDBOX if row["sandbox"] else "", fetch, doubt, test, copy) if text]


def is_fine(row: Status) -> bool:
    """Return whether a credential needs nobody's attention."""
    return row["state"] == "live" and not remarks(row)


def frame(rows: Sequence[Status], error: str | None, width: int, height: int) -> list[Text]:
    """Return at most `height` lines, those first that need attention, and how many more there are."""
    table = Table(rows, width)
    lines, foot = table.heading(), wrapped(error or "", width, "bold red")
    waiting = sorted(rows, key=is_fine)
    while waiting and len(lines) + len(new := table.lines(waiting[0])) + len(foot) + (len(waiting) > 1) <= height:
        lines += new
        waiting = waiting[1:]
    return [*lines, *wrapped(_rest(waiting), width), *foot][:height]


def _rest(rows: Sequence[Status]) -> str:
    if not rows:
        return ""
    bad = sum(not is_fine(row) for row in rows)
    return f"and {len(rows)} more, " + (f"{bad} of them in trouble: see tokenworker status" if bad else "all fine")


def _width(column: str, rows: Sequence[Status]) -> int:
    widest = max((cell_len(_CELLS[column](row)) for row in rows), default=0)
    return max(widest, len(column), _LEAST.get(column, 0))


def _left(row: Status) -> str:
    left = "" if row["expires_in"] is None else f"{duration(row['expires_in'])} left, "
    return f"{left}next refresh {_next(row)}"


def wrapped(text: str, width: int, style: str = "") -> list[Text]:
    """Return the lines of a text, broken between words; what is longer than a line, such as Chinese, anywhere."""
    if not text:
        return []
    # A letter of Chinese takes two cells: it would be left out where there is one.
    lines = Text(text, style).wrap(_RULER, max(2, width), overflow="fold")
    for line in lines:
        line.rstrip()
    return list(lines)
