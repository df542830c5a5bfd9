"""The command line: ``tokenworker up | status | get | refresh | check | sandbox``."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from typing import Any, NoReturn

import click

from tokenworker.config import Config, read_dotenv, startup_faults
from tokenworker.errors import ConfigError, TokenWorkerError, UnknownAccount
from tokenworker.store import TokenStore, connect
from tokenworker.view import View


class _Commands(click.Group):
    """Turns errors that have a sentence for people into that sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TokenWorkerError as error:
            _fail(str(error))


def _fail(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tokenworker")
def main() -> None:
    """Keep WeChat access tokens fresh."""
    read_dotenv()


@main.command()
@click.option("--redis-port", default=6389, show_default=True, help="Port of the embedded server.")
@click.option("--flower-port", default=5555, show_default=True, help="Port of Flower.")
@click.option("--sandbox-port", default=8788, show_default=True, help="Port of the sandbox.")
def up(redis_port: int, flower_port: int, sandbox_port: int) -> None:
    """Run everything here: Redis (embedded unless REDIS_URL is set), worker, beat, Flower.

    Without an account it also runs a sandbox that plays WeChat.
    """
    from tokenworker import up as everything  # noqa: PLC0415  readers of tokens need none of it

    ports = everything.Ports(redis_port, flower_port, sandbox_port)
    try:
        everything.run(ports, View())
    except (everything.ChildFailed, everything.NoServer, everything.PortTaken) as error:
        _fail(str(error))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object an account.")
def status(as_json: bool) -> None:
    """Show how every account is."""
    from tokenworker.runtime import describe  # noqa: PLC0415

    with closing(_Store()) as held:
        rows = [describe(held.store.look(appid), held.durations) for appid in held.store.appids()]
        error = held.store.accounts_error()
    if as_json:
        click.echo("\n".join(json.dumps(row | {"accounts_error": error}) for row in rows))
    else:
        View().table(rows, error)
    if error or not rows or any(row["state"] != "live" for row in rows):
        sys.exit(1)


@main.command()
@click.argument("appid", required=False)
def get(appid: str | None) -> None:
    """Print the token of APPID, which may be left out when there is one account."""
    from tokenworker.reader import TokenReader  # noqa: PLC0415

    config = Config.from_env()
    with closing(_Store()) as held, TokenReader(config.redis_url, config.prefix) as reader:
        click.echo(reader.get_token(held.only(appid)).access_token)


@main.command()
@click.argument("appid", required=False)
@click.option("--force", is_flag=True, help="WeChat's forced refresh: the token before dies. For leaks.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for a worker.")
def refresh(appid: str | None, force: bool, timeout: float) -> None:
    """Have a worker refresh the token of APPID now."""
    click.echo(json.dumps(_refresh(appid, timeout, early=True, force=force)))


@main.command()
@click.argument("appid", required=False)
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for a worker.")
def leak(appid: str | None, timeout: float) -> None:
    """Kill a token of APPID that leaked: two forced refreshes, as WeChat says, more than 30 s apart.

    The first makes a new token and leaves the leaked one alive as the one before; the second kills that.
    """
    rest = Config.from_env().durations.force_interval
    for step in ("first", "second"):
        outcome = _refresh(appid, timeout, force=True)["outcome"]
        if outcome != "refreshed":
            _fail(f"the {step} of two forced refreshes was not made ({outcome}): wait {rest:g} s and start again")
        if step == "first":
            click.echo(f"The first of two forced refreshes is done; the second comes in {rest:g} s.")
            time.sleep(rest)
    click.echo("The leaked token is dead. Now find the leak, and consider a new AppSecret.")


@main.command()
def check() -> None:
    """Check the settings and the way to Redis, and say what is wrong."""
    if faults := startup_faults():
        raise ConfigError(faults)
    config = Config.from_env()
    with closing(_Store()) as held:
        held.store.ping()
    click.echo(f"settings, {len(config.accounts())} account(s) and Redis are fine")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8788, show_default=True)
@click.option("--time-scale", default=1.0, show_default=True, help="Multiplies every duration.")
@click.option("--life", type=float, help="Seconds a token lives, instead of 7200 times the scale.")
@click.option("--account", "accounts", multiple=True, metavar="APPID:SECRET", help="Instead of the demo account.")
def sandbox(host: str, port: int, time_scale: float, life: float | None, accounts: tuple[str, ...]) -> None:
    """Play WeChat on this machine, for trying out and for tests."""
    from dataclasses import replace  # noqa: PLC0415

    from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Platform, Rules, run  # noqa: PLC0415

    rules = Rules().scaled(time_scale)
    platform = Platform(replace(rules, life=life) if life else rules)
    for account in accounts or (f"{DEMO_APPID}:{DEMO_SECRET}",):
        appid, _, secret = account.partition(":")
        platform.add_account(appid, secret)
    try:
        run(host, port, platform)
    except OSError as error:
        _fail(f"the sandbox can't listen on {host}:{port}: {error.strerror}")


class _Store:
    """A store for the length of one command."""

    def __init__(self) -> None:
        config = Config.from_env()
        self._client = connect(config.redis_url)
        self.store = TokenStore(self._client, config.prefix)
        self.durations = config.durations

    def only(self, appid: str | None) -> str:
        """Return the appid, or that of the only account that is kept here; raises `UnknownAccount`."""
        kept = self.store.appids()
        if appid is None and len(kept) == 1:
            return kept[0]
        if appid is None:
            raise UnknownAccount(None, len(kept))
        return appid

    def close(self) -> None:
        self._client.close()


def _refresh(appid: str | None, timeout: float, **demand: bool) -> dict[str, Any]:
    """Have a worker refresh, and return what it says."""
    from celery.exceptions import TimeoutError as NoWorker  # noqa: PLC0415
    from kombu.exceptions import OperationalError  # noqa: PLC0415

    from tokenworker.celery import app  # noqa: PLC0415
    from tokenworker.tasks import refresh_token  # noqa: PLC0415

    app.set_current()
    try:
        # Celery itself would try for a long time before it says that.
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1)
        return dict(refresh_token.apply_async(kwargs={"appid": appid, **demand}).get(timeout=timeout))
    except NoWorker:
        _fail(f"no worker answered within {timeout:g} s: is one running, on the queue tokenworker?")
    except OperationalError as error:
        _fail(f"the queue can't be reached: {error}")


if __name__ == "__main__":
    main()
