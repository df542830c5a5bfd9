"""`tokenworker events`: what happened to credentials, a line each, as it comes."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from click.testing import CliRunner
from rich.cells import cell_len
from rich.console import Console
from support.processes import RedisServer, wait_for

from tokenworker.cli.commands import main
from tokenworker.cli.events import Events
from tokenworker.cli.happened import Happened
from tokenworker.cli.terminal import Terminal
from tokenworker.credential import CredentialId
from tokenworker.errors import StoreUnavailable
from tokenworker.refresh.causes import Cause
from tokenworker.store.history import Event, Note
from tokenworker.store.store import Store

WX1, WX2, TICKET = CredentialId("wx1"), CredentialId("wx2"), CredentialId("wx1", "jsapi_ticket")
PRINT = "0123456789abcdef"
HINT = "在接口IP白名单中加入 203.0.113.9"


def happen(store: Store, id_: CredentialId = WX1, **facts: Any) -> None:
    """Have something happen to a credential, as the scripts of a worker note it."""
    taken = store.records.lease(id_, 5)
    assert taken
    store.records.release(taken[0], Note(cast("Event", {"event": "probed", "fingerprint": PRINT, **facts})))


def earlier(store: Store, client: redis.Redis, seconds: float, id_: CredentialId = WX1, **facts: Any) -> None:
    """Put the newest event of a credential into the past."""
    happen(store, id_, **facts)
    event = store.history.of(id_)[0]
    event["at"] = store.now() - seconds
    client.lset(store.keys.history(id_), 0, json.dumps(event))


def keep(store: Store, *ids: CredentialId) -> None:
    store.schedule.add(ids)


@pytest.fixture
def cli(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner(env={"REDIS_URL": server.url, "WECHAT_APPID": None, "WECHAT_SECRET": None})


def lines(cli: CliRunner, *options: str) -> list[str]:
    result = cli.invoke(main, ["events", *options])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


# What is shown


def test_events_of_all_credentials_come_in_order_with_whose_they_are(
    cli: CliRunner, store: Store, client: redis.Redis
) -> None:
    keep(store, WX1, WX2, TICKET)
    store.notes.rename({"wx2": "官方旗舰店"})
    earlier(store, client, 30, WX2, outcome="alive")
    earlier(store, client, 20, TICKET, event="reported")
    earlier(store, client, 10, WX1, event="failed", error="WeChat refused (40164)", hint=HINT)
    first, second, third = lines(cli)

    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d  wx2 access_token \(官方旗舰店\): tested: ", first)
    assert second.endswith(f"wx1 jsapi_ticket: a service reports that WeChat refused {PRINT}")
    assert third.endswith(f"wx1 access_token: not refreshed: WeChat refused (40164): {HINT}")


def test_those_of_an_account_by_its_name(cli: CliRunner, store: Store) -> None:
    keep(store, WX1, WX2)
    store.notes.rename({"wx2": "shop"})
    happen(store, WX1, outcome="alive")
    happen(store, WX2, outcome="dead")

    [line] = lines(cli, "shop")
    assert "wx2 access_token (shop)" in line
    assert "no account here has the id or the name 'wx9'" in cli.invoke(main, ["events", "wx9"]).stderr


def test_since_and_limit_say_how_many(cli: CliRunner, store: Store, client: redis.Redis) -> None:
    keep(store, WX1, WX2)
    for seconds in range(120, 0, -1):
        earlier(store, client, 60 * seconds, WX1 if seconds % 2 else WX2, outcome="alive", error=f"n{seconds}")

    assert len(lines(cli)) == 50
    assert len(lines(cli, "--since", "3630s")) == 60
    assert len(lines(cli, "--since", "1d")) == 120
    assert len(lines(cli, "--limit", "3")) == 3
    assert [json.loads(line)["error"] for line in lines(cli, "--limit", "3", "--json")] == ["n3", "n2", "n1"]
    wrong = cli.invoke(main, ["events", "--since", "yesterday"])
    assert wrong.exit_code == 2
    assert "write a span such as 30m" in wrong.stderr


def test_json_is_an_object_a_line_with_what_the_history_has(cli: CliRunner, store: Store) -> None:
    keep(store, WX1)
    store.notes.rename({"wx1": "shop"})
    happen(store, event="failed", cause="stale", errcode=40164, error="WeChat refused (40164)", hint=HINT)
    [found] = map(json.loads, lines(cli, "--json"))

    assert abs(found.pop("at") - store.now()) < 60
    assert found == {
        "account": "wx1",
        "credential": "access_token",
        "name": "shop",
        "event": "failed",
        "cause": "stale",
        "errcode": 40164,
        "error": "WeChat refused (40164)",
        "hint": HINT,
        "fingerprint": PRINT,
    }


def test_where_there_is_nothing_it_says_so(cli: CliRunner, store: Store) -> None:
    nothing = cli.invoke(main, ["events"])
    assert (nothing.exit_code, nothing.stderr.count("\n")) == (1, 1)
    assert "no account is kept here yet" in nothing.stderr

    keep(store, WX1)
    assert lines(cli) == []


def test_without_redis_it_ends_with_one_sentence(cli: CliRunner) -> None:
    for options in ([], ["--follow"]):
        result = cli.invoke(main, ["events", *options], env={"REDIS_URL": "redis://127.0.0.1:1/0"})

        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "refused" in result.stderr


# Sentences

AT = 1795732275.0


def sentence(**facts: Any) -> str:
    return Happened(WX1, cast("Event", {"at": AT, "fingerprint": PRINT, **facts})).sentence()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"event": "refreshed", "cause": "stale", "outcome": "committed"}, f"refreshed (it runs out soon), {PRINT}"),
        ({"event": "refreshed", "cause": "dead", "outcome": "reported"}, "it is the one that a service reported"),
        ({"event": "refreshed", "cause": "early", "outcome": "in_doubt"}, "another fetch overlapped"),
        ({"event": "refreshed", "cause": "missing", "outcome": "refused"}, "fetched (there is none) and not kept"),
        ({"event": "refreshed", "outcome": "committed", "early": True}, "the one before died early, and not by us"),
        ({"event": "failed", "cause": "stale", "error": "no answer"}, "not refreshed (it runs out soon): no answer"),
        ({"event": "failed"}, "not refreshed: nobody knows why"),
        ({"event": "probed", "cause": "rejected", "outcome": "alive"}, f"{PRINT} works and stays"),
        ({"event": "probed", "outcome": "dead", "early": True}, "is dead and withheld, before its time"),
        ({"event": "probed", "outcome": "unknown", "error": "busy (-1)"}, "can't be tested: busy (-1)"),
        ({"event": "reported"}, f"a service reports that WeChat refused {PRINT}"),
        ({"event": "moved", "cause": "new_one", "to": "x"}, f"moved fingerprint={PRINT} cause=new_one to=x"),
        ({"event": "refreshed", "cause": "new_one", "outcome": "new_one"}, f"refreshed (new_one), {PRINT}"),
    ],
)
def test_an_event_is_a_sentence(facts: dict[str, Any], said: str) -> None:
    assert said in sentence(**facts)


def test_every_cause_is_said() -> None:
    for cause in Cause:
        assert f"({cause})" in sentence(event="refreshed", cause=cause.name.lower(), outcome="committed")


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_a_terminal_gets_whole_lines_below_each_other(width: int) -> None:
    paper = io.StringIO()
    facts = {"at": time.time(), "event": "failed", "cause": "stale", "error": "WeChat\x1b[2J refused", "hint": HINT}
    view = Terminal(Console(file=paper, width=width, force_terminal=True, color_system=None))
    view.event(Happened(CredentialId("wx0123456789abcdef"), cast("Event", facts), "官方旗舰店"))
    shown = paper.getvalue().splitlines()

    assert max(map(cell_len, shown)) <= width
    assert all(line.startswith(" " * 10) for line in shown[1:])
    assert HINT.replace(" ", "") in "".join(shown).replace(" ", "")
    assert "\x1b" not in paper.getvalue()


# Following


class Follower:
    """The command as somebody runs it in another terminal."""

    def __init__(self, url: str, folder: Path, *options: str) -> None:
        self.out, self.err = folder / "out", folder / "err"
        command = [sys.executable, "-m", "tokenworker.cli", "events", "--follow", *options]
        environ = {"REDIS_URL": url, "PATH": os.environ["PATH"]}
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, cwd=folder, env=environ)

    def shows(self, text: str) -> bool:
        return text in self.out.read_text()

    def says(self, text: str) -> bool:
        return text in self.err.read_text()


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[..., Follower]]:
    started: list[Follower] = []

    def start(url: str, *options: str) -> Follower:
        started.append(Follower(url, tmp_path, *options))
        return started[-1]

    yield start
    for follower in started:
        follower.process.kill()
        follower.process.wait()


def test_it_follows_through_the_end_of_redis_until_ctrl_c(
    own_server: RedisServer, follow: Callable[..., Follower]
) -> None:
    follower = follow(own_server.url)
    wait_for(lambda: follower.says("no account is kept here yet"))
    with own_server.client() as client:
        store = Store(client)
        keep(store, WX1)
        happen(store, outcome="alive")
        wait_for(lambda: follower.shows("works and stays"))
        own_server.kill()
        wait_for(lambda: follower.says("refused"))
        own_server.start()
        keep(store, WX1)
        happen(store, outcome="dead")
        wait_for(lambda: follower.shows("is dead and withheld"))
    follower.process.send_signal(signal.SIGINT)

    assert follower.process.wait(5) == 128 + signal.SIGINT
    assert follower.out.read_text().count("\n") == 2
    assert follower.err.read_text().splitlines()[1:2] == ["it goes on"]
    assert "Traceback" not in follower.err.read_text()


def test_what_was_seen_is_not_shown_again(store: Store, client: redis.Redis) -> None:
    keep(store, WX1)
    seen = Events(store, store.schedule.ids, store.now() - 60)
    for number in range(3):
        happen(store, error=f"a{number}")
    assert [found.event["error"] for found in seen.look()] == ["a0", "a1", "a2"]
    assert seen.look() == []

    for number in range(20):
        happen(store, error=f"b{number}")
    assert [found.event["error"] for found in seen.look()] == [f"b{number}" for number in range(20)]

    # As a replica that takes over without the last two: those before them are known.
    client.ltrim(store.keys.history(WX1), 2, -1)
    assert seen.look() == []
    happen(store, error="c")
    assert [found.event["error"] for found in seen.look()] == ["c"]


def test_a_credential_that_comes_later_is_followed_too(store: Store) -> None:
    keep(store, WX1)
    seen = Events(store, store.schedule.ids, store.now() - 60)
    seen.look()
    keep(store, WX2)
    happen(store, WX2, outcome="alive")

    assert [found.id for found in seen.look()] == [WX2]


def test_what_a_look_found_that_failed_comes_with_the_next(store: Store) -> None:
    ids = [CredentialId(f"wx{number}") for number in range(60)]
    fails = [True]

    def choose() -> Iterator[CredentialId]:
        # More than are asked for at once: some are read by then.
        yield from ids[:55]
        if fails:
            fails.clear()
            raise StoreUnavailable("Redis does not answer")
        yield from ids[55:]

    happen(store, ids[0], outcome="alive")
    seen = Events(store, choose, store.now() - 60)
    with pytest.raises(StoreUnavailable):
        seen.look()

    assert [found.id for found in seen.look()] == [ids[0]]


def test_who_reads_no_further_ends_it(own_server: RedisServer, tmp_path: Path) -> None:
    with own_server.client() as client:
        store = Store(client)
        keep(store, WX1)
        for _ in range(3):
            happen(store, outcome="alive")
    line = f"{sys.executable} -m tokenworker.cli events | head -1"
    environ = {"REDIS_URL": own_server.url, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["/bin/sh", "-c", line], capture_output=True, text=True, cwd=tmp_path, env=environ, check=True
    )

    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
