"""Commands that hand out credentials, or have workers make new ones."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing

import click

from tokenworker.cli.commands.group import ACCOUNT, fail, main, told
from tokenworker.cli.completion import CredentialType
from tokenworker.cli.kept import Kept
from tokenworker.credential import ACCESS_TOKEN, CredentialId
from tokenworker.refresh.causes import Demand
from tokenworker.settings.config import Config

_NAME = click.option(
    "--name",
    type=CredentialType(),
    default=ACCESS_TOKEN,
    show_default=True,
    help="Which credential, such as jsapi_ticket.",
)


@main.command(
    short_help="A credential, on standard output.",
    examples={
        "tokenworker get": "The access token of the only account.",
        "tokenworker get shop": "Of the account of that name.",
        "tokenworker get wx0123456789abcdef --name jsapi_ticket": "Another credential.",
    },
)
@click.argument("account", required=False, type=ACCOUNT)
@_NAME
def get(account: str | None, name: str) -> None:
    """Print a credential of ACCOUNT, its id or name, which may be left out when there is one."""
    from tokenworker.reading.reader import TokenReader  # noqa: PLC0415

    config = Config.from_env()
    with closing(Kept()) as held, TokenReader(config.redis_url, config.prefix) as reader:
        click.echo(reader.get_credential(held.readable(account), name).value)


@main.command(
    short_help="What wx.config needs for a page.",
    examples={"tokenworker sign https://shop.example.com/pay?id=1 shop": "A page of the account shop."},
)
@click.argument("url")
@click.argument("account", required=False, type=ACCOUNT)
def sign(url: str, account: str | None) -> None:
    """Sign the page at URL, as the browser shows it, for wx.config; ACCOUNT is an id or a name."""
    from tokenworker.reading.reader import TokenReader  # noqa: PLC0415

    config = Config.from_env()
    with closing(Kept()) as held, TokenReader(config.redis_url, config.prefix) as reader:
        click.echo(json.dumps(reader.sign_url(held.readable(account), url)))


@main.command(
    short_help="A new credential now, made by a worker.",
    examples={
        "tokenworker refresh shop": "A new access token now.",
        "tokenworker refresh shop --name jsapi_ticket": "Another credential.",
        "tokenworker refresh shop --force": "The token before dies: see `tokenworker leak`.",
    },
)
@click.argument("account", required=False, type=ACCOUNT)
@_NAME
@click.option("--force", is_flag=True, help="WeChat's forced refresh: the token before dies. For leaks.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for a worker.")
def refresh(account: str | None, name: str, force: bool, timeout: float) -> None:
    """Have a worker refresh a credential of ACCOUNT, its id or name, now: the access token, unless told otherwise."""
    from tokenworker.cli import asking  # noqa: PLC0415  readers of tokens need no Celery

    with closing(Kept()) as held, told(asking.NotAsked):
        id_ = CredentialId(held.named(account), name)
        result, why = asking.refresh(held, id_, timeout, Demand(early=True, force=force))
    click.echo(json.dumps(result))
    if why:
        click.echo(f"not refreshed: {why}", err=True)
    if result["outcome"] == "waiting":
        sys.exit(1)


@main.command(
    short_help="The end of an access token that leaked.",
    examples={"tokenworker leak shop": "The live token of shop is dead half a minute later."},
)
@click.argument("account", required=False, type=ACCOUNT)
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for a worker.")
def leak(account: str | None, timeout: float) -> None:
    """Kill an access token that leaked: two forced refreshes of ACCOUNT, its id or name, more than 30 s apart.

    So says WeChat: the first makes a new token and leaves the leaked one alive as the one before; the second kills it.
    """
    from tokenworker.cli import asking  # noqa: PLC0415

    with closing(Kept()) as held, told(asking.NotAsked):
        chosen, pause = held.named(account), held.durations.force_interval
        for step in ("first", "second"):
            before = held.store.records.look(CredentialId(chosen)).fingerprint
            result, why = asking.refresh(held, CredentialId(chosen), timeout, Demand(force=True))
            if result["outcome"] != "refreshed":
                fail(f"the {step} of two forced refreshes was not made ({why}): wait {pause:g} s and start again")
            if held.store.records.look(CredentialId(chosen)).fingerprint == before:
                fail("the same token came again and lives: WeCom, for one, knows no forced refresh; change the secret")
            if step == "first":
                click.echo(f"The first of two forced refreshes is done; the second comes in {pause:g} s.")
                time.sleep(pause)
    click.echo("The leaked token is dead. Now find the leak, and consider a new AppSecret.")
