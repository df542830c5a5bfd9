"""The command line: ``tokenworker up | status | events | get | sign | refresh | leak | check | web | …``."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tokenworker.cli.command import Group
from tokenworker.cli.completion import SHELLS, AccountType, script
from tokenworker.cli.kept import Kept, absence
from tokenworker.cli.moments import Since, SinceType
from tokenworker.cli.selection import NothingChosen
from tokenworker.cli.terminal import Terminal
from tokenworker.credential import ACCESS_TOKEN, CredentialId
from tokenworker.demo import DEMO_AGENT, DEMO_AGENT_SECRET, DEMO_APPID, DEMO_CORPID, DEMO_SECRET
from tokenworker.durations import DAY
from tokenworker.errors import StoreUnavailable, TokenWorkerError
from tokenworker.refresh.causes import Demand
from tokenworker.settings.config import Config, read_dotenv

if TYPE_CHECKING:
    from tokenworker.worker.status import State


class _Commands(Group):
    """Turns errors that have a sentence for people into that sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StoreUnavailable as error:
            _fail(absence() or str(error))
        except (TokenWorkerError, NothingChosen) as error:
            _fail(str(error))
        except click.BadParameter as error:
            _fail(error.format_message(), code=2)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click ends quietly when nobody reads on
            _fail_to_write(error)


def _fail(sentence: str, code: int = 1) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(code)


def _fail_to_write(error: OSError) -> NoReturn:
    # At our end Python would try once more to write what could not be written, and complain.
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    _fail(f"the system refuses: {error}")


@contextmanager
def _until_interrupted() -> Iterator[None]:
    """Have Ctrl-C be the usual end of what has no other."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


@contextmanager
def _told(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of a part that only some commands load into their sentence."""
    try:
        yield
    except kinds as error:
        _fail(str(error))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples={
        "tokenworker up": "Everything on this machine, to try it out.",
        "tokenworker status": "How every credential is.",
        "tokenworker check": "What is wrong, and what to do about it.",
        "tokenworker status --help": "More on one command.",
    },
)
@click.version_option(package_name="tokenworker")
def main() -> None:
    """Keep WeChat access tokens fresh."""
    read_dotenv()


_PORT = click.IntRange(1, 65535)
_ACCOUNT = AccountType()
_FILE = click.Path(path_type=Path)


@main.command(
    examples={
        "tokenworker up": "Flower is at http://127.0.0.1:5555 then, and Ctrl-C ends all.",
        "tokenworker up --flower-port 5556": "Where 5555 is another program's.",
    }
)
@click.option("--redis-port", type=_PORT, help="Port of the embedded server; 6389, or the next free one.")
@click.option("--flower-port", type=_PORT, help="Port of Flower; 5555, or the next free one.")
@click.option("--sandbox-port", type=_PORT, help="Port of the sandbox; 8788, or the next free one.")
@click.option("--web-port", type=_PORT, help="Port of `tokenworker web`; 8790, or the next free one.")
def up(redis_port: int | None, flower_port: int | None, sandbox_port: int | None, web_port: int | None) -> None:
    """Run everything here: Redis (embedded unless REDIS_URL is set), worker, beat, Flower, web.

    Without an account it also runs a sandbox that plays WeChat.
    """
    if os.name == "nt":
        _fail("`tokenworker up` needs Linux or macOS: on Windows, use WSL or docker compose")
    from tokenworker.cli import up as everything  # noqa: PLC0415  readers of tokens need none of it

    with _told(everything.ChildFailed, everything.FolderUnusable, everything.NoServer, everything.PortTaken):
        everything.run(everything.Ports(redis_port, flower_port, sandbox_port, web_port), Terminal())


#: Where there are more credentials, only those are shown that need attention, and no more than these.
_SHOWN = 50


@main.command(
    examples={
        "tokenworker status": "All that are kept.",
        "tokenworker status shop wx0123456789abcdef": "Two accounts, one by its name and one by its id.",
        "tokenworker status --state missing --limit 200": "Those without a credential.",
        "tokenworker status --json | jq .expires_in": "For programs.",
    }
)
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...", type=_ACCOUNT)
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


#: As many of the newest events as one reads, where nobody says since when.
_RECENT = 50


@main.command(
    examples={
        "tokenworker events": "The newest ones.",
        "tokenworker events shop --since 2h": "All of an account in two hours.",
        "tokenworker events --follow": "The newest, and then each as it comes, until Ctrl-C.",
        "tokenworker events --since 14:05 --json": "For programs: one object a line.",
    }
)
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...", type=_ACCOUNT)
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

    def show(found: list[history.Happened]) -> None:
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
        with _until_interrupted():
            history.follow(seen, show, partial(click.echo, err=True), most)


@main.command(
    examples={
        "tokenworker get": "The access token of the only account.",
        "tokenworker get shop": "Of the account of that name.",
        "tokenworker get wx0123456789abcdef --name jsapi_ticket": "Another credential.",
    }
)
@click.argument("account", required=False, type=_ACCOUNT)
@click.option("--name", default=ACCESS_TOKEN, show_default=True, help="Which credential, such as jsapi_ticket.")
def get(account: str | None, name: str) -> None:
    """Print a credential of ACCOUNT, its id or name, which may be left out when there is one."""
    from tokenworker.reading.reader import TokenReader  # noqa: PLC0415

    config = Config.from_env()
    with closing(Kept()) as held, TokenReader(config.redis_url, config.prefix) as reader:
        click.echo(reader.get_credential(held.readable(account), name).value)


@main.command(examples={"tokenworker sign https://shop.example.com/pay?id=1 shop": "A page of the account shop."})
@click.argument("url")
@click.argument("account", required=False, type=_ACCOUNT)
def sign(url: str, account: str | None) -> None:
    """Sign the page at URL, as the browser shows it, for wx.config; ACCOUNT is an id or a name."""
    from tokenworker.reading.reader import TokenReader  # noqa: PLC0415

    config = Config.from_env()
    with closing(Kept()) as held, TokenReader(config.redis_url, config.prefix) as reader:
        click.echo(json.dumps(reader.sign_url(held.readable(account), url)))


@main.command(
    examples={
        "tokenworker refresh shop": "A new access token now.",
        "tokenworker refresh shop --name jsapi_ticket": "Another credential.",
        "tokenworker refresh shop --force": "The token before dies: see `tokenworker leak`.",
    }
)
@click.argument("account", required=False, type=_ACCOUNT)
@click.option("--name", default=ACCESS_TOKEN, show_default=True, help="Which credential, such as jsapi_ticket.")
@click.option("--force", is_flag=True, help="WeChat's forced refresh: the token before dies. For leaks.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for a worker.")
def refresh(account: str | None, name: str, force: bool, timeout: float) -> None:
    """Have a worker refresh a credential of ACCOUNT, its id or name, now: the access token, unless told otherwise."""
    from tokenworker.cli import asking  # noqa: PLC0415  readers of tokens need no Celery

    with closing(Kept()) as held, _told(asking.NotAsked):
        id_ = CredentialId(held.named(account), name)
        result, why = asking.refresh(held, id_, timeout, Demand(early=True, force=force))
    click.echo(json.dumps(result))
    if why:
        click.echo(f"not refreshed: {why}", err=True)
    if result["outcome"] == "waiting":
        sys.exit(1)


@main.command(examples={"tokenworker leak shop": "The live token of shop is dead half a minute later."})
@click.argument("account", required=False, type=_ACCOUNT)
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for a worker.")
def leak(account: str | None, timeout: float) -> None:
    """Kill an access token that leaked: two forced refreshes of ACCOUNT, its id or name, more than 30 s apart.

    So says WeChat: the first makes a new token and leaves the leaked one alive as the one before; the second kills it.
    """
    from tokenworker.cli import asking  # noqa: PLC0415

    with closing(Kept()) as held, _told(asking.NotAsked):
        chosen, pause = held.named(account), held.durations.force_interval
        for step in ("first", "second"):
            before = held.store.records.look(CredentialId(chosen)).fingerprint
            result, why = asking.refresh(held, CredentialId(chosen), timeout, Demand(force=True))
            if result["outcome"] != "refreshed":
                _fail(f"the {step} of two forced refreshes was not made ({why}): wait {pause:g} s and start again")
            if held.store.records.look(CredentialId(chosen)).fingerprint == before:
                _fail("the same token came again and lives: WeCom, for one, knows no forced refresh; change the secret")
            if step == "first":
                click.echo(f"The first of two forced refreshes is done; the second comes in {pause:g} s.")
                time.sleep(pause)
    click.echo("The leaked token is dead. Now find the leak, and consider a new AppSecret.")


@main.command(
    examples={
        "tokenworker check": "Everything here.",
        "tokenworker check --call": "WeChat's own word on each account, too.",
        "tokenworker check --app shop": "Where our tasks run inside another Celery app.",
        "tokenworker check --textfile metrics.prom": "A file of `tokenworker metrics --write`, too.",
        "tokenworker check --json": "For programs; the exit code is 1 when there is a fault.",
    }
)
@click.option("--call", is_flag=True, help="Ask WeChat, too: once for each account.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each thing that was looked at.")
@click.option("--app", "-A", default="tokenworker", show_default=True, help="The app whose worker does our work.")
@click.option("--textfile", type=_FILE, help="Look at this file, which `tokenworker metrics --write` keeps up to date.")
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
    examples={
        "tokenworker metrics": "What /metrics of `tokenworker web` says.",
        "tokenworker metrics --write /var/lib/node_exporter/tokenworker.prom": "For node_exporter, once a minute.",
        "tokenworker metrics | curl --data-binary @- http://push:9091/metrics/job/tw": "To a Pushgateway.",
    }
)
@click.option("--write", "file", type=_FILE, help="Put them in this file, in one step, for node_exporter's textfiles.")
def metrics(file: Path | None) -> None:
    """Print what Prometheus gets from `tokenworker web`, where it can't scrape: for a Pushgateway or node_exporter.

    The exit code is 1 when Redis does not answer; tokenworker_up is 0 then.
    """
    from tokenworker.cli import exposing  # noqa: PLC0415

    text = exposing.measured(Config.from_env())
    if file:
        with _told(exposing.NotWritten):
            exposing.write(file, text)
    else:
        click.echo(text, nl=False)
    if not exposing.redis_answers(text):
        sys.exit(1)


@main.group(
    invoke_without_command=True,
    examples={
        "tokenworker web": "At http://127.0.0.1:8790, for this machine alone.",
        "tokenworker web --address 0.0.0.0": "For others, with keys from TOKENWORKER_WEB_CLIENTS.",
        "tokenworker web new-key shop-php": "A key for a client, and the lines for the clients' file.",
    },
)
@click.option("--address", help="Where to listen, instead of TOKENWORKER_WEB_ADDRESS.")
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of TOKENWORKER_WEB_PORT; 0 takes any free one.")
@click.pass_context
def web(context: click.Context, address: str | None, port: int | None) -> None:
    """Serve credentials over HTTP to services in every language, to monitoring, and to people.

    It needs a worker, and no AppSecret. On another address than this machine's own it needs TOKENWORKER_WEB_CLIENTS.
    """
    if context.invoked_subcommand:
        return
    from tokenworker.cli import serving  # noqa: PLC0415  readers of tokens need no server

    config = Config.from_env()
    settings = config.web
    chosen = address or settings.address, settings.port if port is None else port
    try:
        serving.serve(config, *chosen, lambda url: click.echo(f"tokenworker web listens at {url}; Ctrl-C stops it."))
    except (OSError, UnicodeError) as error:
        _fail(f"tokenworker web can't listen on {chosen[0]}:{chosen[1]}: {getattr(error, 'strerror', error)}")


@web.command("new-key", examples={"tokenworker web new-key shop-php": "For the service that you call shop-php."})
@click.argument("name", default="shop")
def new_key(name: str) -> None:
    """Make a key for a client of that NAME, and the lines for the clients' file, which hold its SHA-256 alone."""
    from tokenworker.web import client  # noqa: PLC0415

    key = client.new_key()
    click.echo("The key, for the service alone; it is shown this once:", err=True)
    click.echo(key)
    click.echo("The lines for the file of TOKENWORKER_WEB_CLIENTS:", err=True)
    click.echo(f'[[client]]\nname = "{name}"\nkey_sha256 = "{client.digest(key)}"')


def _finite(_context: click.Context, _option: click.Parameter, number: float | None) -> float | None:
    if number is not None and not math.isfinite(number):
        raise click.BadParameter(f"{number} is no length of time.")
    return number


def _pairs(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = [text.partition(":") for text in texts]
    if not all(appid and secret for appid, _, secret in pairs):
        raise click.BadParameter("write an appid, a colon and a secret, for example wx0123456789abcdef:made-up.")
    return [(appid, secret) for appid, _, secret in pairs]


_SPAN = click.FloatRange(min=0, min_open=True)


@main.command(
    examples={
        "tokenworker sandbox": "WeChat's answers at http://127.0.0.1:8788.",
        "tokenworker sandbox --time-scale 0.01": "Tokens live 72 s instead of 2 h.",
        "tokenworker sandbox --account wx0123456789abcdef:made-up": "An account of your own.",
    }
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8788, show_default=True, help="0 takes any free one.")
@click.option(
    "--time-scale", type=_SPAN, default=1.0, show_default=True, callback=_finite, help="Multiplies every duration."
)
@click.option("--life", type=_SPAN, callback=_finite, help="Seconds a token lives, instead of 7200 times the scale.")
@click.option(
    "--account", "accounts", multiple=True, metavar="APPID:SECRET", callback=_pairs, help="Instead of the demo account."
)
def sandbox(host: str, port: int, time_scale: float, life: float | None, accounts: list[tuple[str, str]]) -> None:
    """Play WeChat on this machine, for trying out and for tests."""
    from tokenworker.sandbox import InputError, Platform, Rules, run  # noqa: PLC0415

    given = accounts or [(DEMO_APPID, DEMO_SECRET)]
    try:
        rules = Rules().scaled(time_scale)
        platform = Platform(replace(rules, life=life or rules.life))
        for appid, secret in given:
            platform.add_account(appid, secret)
        platform.add_application(DEMO_CORPID, DEMO_AGENT, DEMO_AGENT_SECRET)
    except (InputError, ValueError) as error:
        _fail(str(error))
    try:
        run(host, port, platform, on_ready=partial(_introduce, host, given[0]))
    except (OSError, UnicodeError) as error:
        _fail(f"the sandbox can't listen on {host}:{port}: {getattr(error, 'strerror', error)}")


def _introduce(host: str, account: tuple[str, str], port: int) -> None:
    """Write where the sandbox is and how to try it; never a secret that somebody gave, which may be a real one."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  where it listens, not where we do
    url = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
    appid, secret = account if account == (DEMO_APPID, DEMO_SECRET) else (account[0], "SECRET")
    click.echo(f"The sandbox plays WeChat at {url}, with made-up tokens; Ctrl-C stops it.")
    click.echo(f"  appid     {appid}")
    click.echo(f"  secret    {secret if secret == DEMO_SECRET else 'the one that you gave'}")
    click.echo(f"  faults    {url}/sandbox/")
    query = f"grant_type=client_credential&appid={appid}&secret={secret}"
    click.echo(f"  try it    curl '{url}/cgi-bin/token?{query}'")


@main.command(
    examples={
        'eval "$(tokenworker completion bash)"': "In ~/.bashrc.",
        'eval "$(tokenworker completion zsh)"': "In ~/.zshrc, after compinit.",
        "tokenworker completion fish | source": "In ~/.config/fish/config.fish.",
    }
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what a shell runs in order to complete commands, options and accounts on Tab."""
    click.echo(script(main, shell))


if __name__ == "__main__":
    main()
