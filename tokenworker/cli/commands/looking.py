"""Commands that show how everything is, and change nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokenworker.cli.commands.group import ACCOUNT, FILE, main, told, until_interrupted
from tokenworker.cli.happened import Happened
from tokenworker.cli.kept import Kept
from tokenworker.cli.moments import Since, SinceType
from tokenworker.cli.terminal import Terminal
from tokenworker.durations import DAY
from tokenworker.settings.config import Config

if TYPE_CHECKING:
    from tokenworker.worker.status import State

#: Where there are more credentials, only those are shown that need attention, and no more than these.
_SHOWN = 50

#: As many of the newest events as one reads, where nobody says since when.
_RECENT = 50


@main.command(
    short_help="How every credential is.",
    examples={
        "tokenworker status": "All that are kept.",
        "tokenworker status shop wx0123456789abcdef": "Two accounts, one by its name and one by its id.",
        "tokenworker status --state missing --limit 200": "Those without a credential.",
        "tokenworker status --json | jq .expires_in": "For programs.",
    },
)
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...", type=ACCOUNT)
@click.option("--state", type=click.Choice(["live", "missing", "contested"]), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(0), help="So many at most, worst first; 50 by default.")
@click.option("--all", "everything", is_flag=True, help="All, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a credential.")
def status(accounts: tuple[str, ...], state: State | None, limit: int | None, everything: bool, as_json: bool) -> None:
    """Show how every ACCOUNT is, all by default; each by its id or name.

    Where there are more than 50 credentials, it shows how many are in each state, and those that need attention.
    """
    from tokenworker.worker.status import Overview, survey  # noqa: PLC0415

    with closing(Kept()) as held:
        ids = held.ids(accounts)
        seen = Overview(held.store, held.durations, ids)
        whole = everything or (len(ids) <= _SHOWN and limit is None)
        worst = seen.worst(state, healthy=whole or state is not None or limit is not None)
        # All of them stand in their own order.
        chosen = sorted(worst, key={id_: place for place, id_ in enumerate(ids)}.__getitem__) if whole else worst
        shown = chosen if whole else chosen[: _SHOWN if limit is None else limit]
        rows = survey(held.store, held.durations, shown)
        error = held.store.notes.accounts_error()
    if as_json:
        click.echo("\n".join(json.dumps(row | {"accounts_error": error}) for row in rows))
    else:
        view = Terminal()
        if len(rows) < len(ids):
            view.counts(seen.counts, len(chosen) - len(rows))
        view.table(rows, error)
    if error or seen.counts["live"] < len(ids):
        sys.exit(1)


@main.command(
    short_help="What happened to credentials, as it comes.",
    examples={
        "tokenworker events": "The newest ones.",
        "tokenworker events shop --since 2h": "All of an account in two hours.",
        "tokenworker events --follow": "The newest, and then each as it comes, until Ctrl-C.",
        "tokenworker events --since 14:05 --json": "For programs: one object a line.",
    },
)
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...", type=ACCOUNT)
@click.option("--follow", "-f", is_flag=True, help="Go on with those that come, until Ctrl-C.")
@click.option("--since", type=SinceType(), help="All since then: 30m, 2h, 14:05, 2026-11-26T14:05. A day is kept.")
@click.option("--limit", type=click.IntRange(1), help="So many at most, the newest; 50 where there is no --since.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an event.")
def events(accounts: tuple[str, ...], follow: bool, since: Since | None, limit: int | None, as_json: bool) -> None:
    """Show what happened to the credentials of every ACCOUNT, all by default; each by its id or name.

    Refreshes, failures, tests and reports of the last day, oldest first, a line each.
    """
    from tokenworker.cli import events as history  # noqa: PLC0415

    view = Terminal()

    def show(found: Sequence[Happened]) -> None:
        for happened in found:
            click.echo(happened.json()) if as_json else view.event(happened)

    with closing(Kept()) as held:
        now = held.store.now()
        seen = history.Events(held.store, partial(held.ids, accounts), since(now) if since else now - DAY)
        most = limit or (None if since else _RECENT)
        if not follow:
            show(seen.look(most))
            return
        if accounts:
            held.ids(accounts)  # one may be misspelt, for which nobody should wait
        with until_interrupted():
            history.follow(seen, show, partial(click.echo, err=True), most)


@main.command(
    short_help="What is wrong, and what to do about it.",
    examples={
        "tokenworker check": "Everything here.",
        "tokenworker check --call": "WeChat's own word on each account, too.",
        "tokenworker check --app shop": "Where our tasks run inside another Celery app.",
        "tokenworker check --textfile metrics.prom": "A file of `tokenworker metrics --write`, too.",
        "tokenworker check --json": "For programs; the exit code is 1 when there is a fault.",
    },
)
@click.option("--call", is_flag=True, help="Ask WeChat, too: once for each account.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each thing that was looked at.")
@click.option("--app", "-A", default="tokenworker", show_default=True, help="The app whose worker does our work.")
@click.option("--textfile", type=FILE, help="Look at this file, which `tokenworker metrics --write` keeps up to date.")
def check(call: bool, as_json: bool, app: str, textfile: Path | None) -> None:
    """Examine settings, Redis, queue, workers, beat, web and metrics, and say what is wrong and what to do."""
    from tokenworker.cli import doctor  # noqa: PLC0415

    view = Terminal()
    findings = []
    for finding in doctor.examine(app, call=call, textfile=textfile):
        findings.append(finding)
        if as_json:
            click.echo(json.dumps(vars(finding), ensure_ascii=False))
        else:
            view.finding(finding.level, finding.subject, finding.sentence)
    if any(finding.level == "fault" for finding in findings):
        sys.exit(1)


@main.command(
    short_help="What Prometheus gets, where it can't scrape.",
    examples={
        "tokenworker metrics": "What /metrics of `tokenworker web` says.",
        "tokenworker metrics --write /var/lib/node_exporter/tokenworker.prom": "For node_exporter, once a minute.",
        "tokenworker metrics | curl --data-binary @- http://push:9091/metrics/job/tw": "To a Pushgateway.",
    },
)
@click.option("--write", "file", type=FILE, help="Put them in this file, in one step, for node_exporter's textfiles.")
def metrics(file: Path | None) -> None:
    """Print what Prometheus gets from `tokenworker web`, where it can't scrape: for a Pushgateway or node_exporter.

    The exit code is 1 when Redis does not answer; tokenworker_up is 0 then.
    """
    from tokenworker.cli import exposing  # noqa: PLC0415

    text = exposing.measured(Config.from_env())
    if file:
        with told(exposing.NotWritten):
            exposing.write(file, text)
    else:
        click.echo(text, nl=False)
    if not exposing.redis_answers(text):
        sys.exit(1)
