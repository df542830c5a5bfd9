"""Commands that run something until they are stopped."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokenworker.cli.commands.group import FILE, fail, main, told
from tokenworker.cli.interruption import silent
from tokenworker.cli.terminal import Terminal
from tokenworker.demo import DEMO_AGENT, DEMO_AGENT_SECRET, DEMO_APPID, DEMO_CORPID, DEMO_SECRET
from tokenworker.settings.config import Config

if TYPE_CHECKING:
    from tokenworker.sandbox.platform import Platform
    from tokenworker.sandbox.saver import Saver

_PORT = click.IntRange(1, 65535)
_SPAN = click.FloatRange(min=0, min_open=True)


@main.command(
    short_help="Everything on this machine, to try it out.",
    examples={
        "tokenworker up": "Flower is at http://127.0.0.1:5555 then, and Ctrl-C ends all.",
        "tokenworker up --flower-port 5556": "Where 5555 is another program's.",
    },
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
        fail("`tokenworker up` needs Linux or macOS: on Windows, use WSL or docker compose")
    with silent():
        from tokenworker.cli import up as everything  # noqa: PLC0415  readers of tokens need none of it

    with told(everything.ChildFailed, everything.FolderUnusable, everything.NoServer, everything.PortTaken):
        everything.run(everything.Ports(redis_port, flower_port, sandbox_port, web_port), Terminal())


@main.group(
    short_help="Credentials over HTTP, metrics, a status page.",
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
        fail(f"tokenworker web can't listen on {chosen[0]}:{chosen[1]}: {getattr(error, 'strerror', error)}")


@web.command(
    "new-key",
    short_help="A key for a client.",
    examples={"tokenworker web new-key shop-php": "For the service that you call shop-php."},
)
@click.argument("name", default="shop")
def new_key(name: str) -> None:
    """Make a key for a client of that NAME, and the lines for the clients' file, which hold its SHA-256 alone."""
    from tokenworker.web.clients import client  # noqa: PLC0415

    if not client.NAME.fullmatch(name):
        raise click.BadParameter(f"NAME must be {client.NAME_IS}.")
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


@main.command(
    short_help="A look-alike of WeChat.",
    examples={
        "tokenworker sandbox": "WeChat's answers at http://127.0.0.1:8788.",
        "tokenworker sandbox --time-scale 0.01": "Tokens live 72 s instead of 2 h.",
        "tokenworker sandbox --state sandbox.json": "The tokens of now are good after a restart.",
        "tokenworker sandbox --account wx0123456789abcdef:made-up": "An account of your own.",
    },
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
@click.option("--state", type=FILE, metavar="FILE", help="Keeps in FILE what was issued, for the next start.")
def sandbox(
    host: str,
    port: int,
    time_scale: float,
    life: float | None,
    accounts: list[tuple[str, str]],
    state: Path | None,
) -> None:
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
        fail(str(error))
    try:
        with _keeping(platform, state) as saver:
            run(host, port, platform, on_ready=partial(_introduce, host, given[0]), saver=saver)
    except (OSError, UnicodeError) as error:
        fail(f"the sandbox can't listen on {host}:{port}: {getattr(error, 'strerror', error)}")


@contextmanager
def _keeping(platform: Platform, state: Path | None) -> Iterator[Saver | None]:
    if state is None:
        yield None
        return
    from tokenworker.sandbox.errors import StateFileUnusable  # noqa: PLC0415
    from tokenworker.sandbox.statefile import keeping  # noqa: PLC0415  Windows has no locks of this kind

    with told(StateFileUnusable), keeping(platform, state) as saver:
        yield saver


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
