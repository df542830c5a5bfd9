"""What the sandbox keeps in a file, so that the next one knows the tokens of now."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from operator import add
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given, strategies as st
from support.processes import wait_for

from tokenworker.sandbox import (
    DEMO_AGENT,
    DEMO_AGENT_SECRET,
    DEMO_APPID,
    DEMO_CORPID,
    DEMO_SECRET,
    Platform,
    Rules,
    Sandbox,
    WeChatError,
)
from tokenworker.sandbox.errors import StateFileUnusable
from tokenworker.sandbox.state import PlatformState, fits
from tokenworker.sandbox.statefile import StateFile, keeping

CLAIM = {"grant_type": "client_credential", "appid": DEMO_APPID, "secret": DEMO_SECRET}
WECOM_CLAIM = {"corpid": DEMO_CORPID, "corpsecret": DEMO_AGENT_SECRET}
NOON = 1_800_000_000.0


@dataclass
class Client:
    """Whoever calls a sandbox over HTTP."""

    url: str

    def send(self, method: str, path: str, **options: Any) -> Any:
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, f"{self.url}/{path}", timeout=5, **options).json()

    def fetch(self, path: str, **query: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.send("GET", f"cgi-bin/{path}", params=query)
        return answer

    def stable(self) -> str:
        return str(self.send("POST", "cgi-bin/stable_token", json=CLAIM)["access_token"])

    def everything(self) -> dict[str, str]:
        """Fetch one credential of each kind."""
        classic, wecom = self.fetch("token", **CLAIM), self.fetch("gettoken", **WECOM_CLAIM)
        token, own = classic["access_token"], wecom["access_token"]
        tickets = {kind: self.fetch("ticket/getticket", access_token=token, type=kind) for kind in ("jsapi", "wx_card")}
        tickets["corp"] = self.fetch("get_jsapi_ticket", access_token=own)
        tickets["agent"] = self.fetch("ticket/get", access_token=own, type="agent_config")
        values = {kind: answer["ticket"] for kind, answer in tickets.items()}
        return {"classic": token, "stable": self.stable(), "wecom": own, **values}

    def verdict(self, value: str) -> str:
        return str(self.send("POST", "sandbox/verdict", json={"value": value})["verdict"])


class Process(Client):
    """`tokenworker sandbox` in a process of its own."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "tokenworker.cli", "sandbox", "--port=0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout
        found = re.search(r"http://\S+:\d+", self.process.stdout.readline())
        super().__init__(found[0] if found else "")

    def end(self, number: signal.Signals) -> str:
        self.process.send_signal(number)
        return self.process.communicate(timeout=10)[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.json"


@pytest.fixture
def start(file: Path) -> Iterator[Callable[..., Process]]:
    with ExitStack() as stack:

        def start(*options: str) -> Process:
            process = Process(f"--state={file}", *options)
            stack.callback(process.end, signal.SIGKILL)
            return process

        yield start


@contextmanager
def served(file: Path, rules: Rules | None = None, clock: Callable[[], float] = lambda: NOON) -> Iterator[Platform]:
    """Run a platform that keeps its state in a file, with the demo accounts."""
    platform = Platform(rules, clock)
    platform.add_account(DEMO_APPID, DEMO_SECRET)
    platform.add_application(DEMO_CORPID, DEMO_AGENT, DEMO_AGENT_SECRET)
    with keeping(platform, file):
        yield platform


def stable(platform: Platform, appid: str = DEMO_APPID, *, force: bool = False) -> str:
    return platform.mint_stable(appid, DEMO_SECRET, "client_credential", "", force_refresh=force).value


def classic(platform: Platform) -> str:
    return platform.mint_classic(DEMO_APPID, DEMO_SECRET, "client_credential", "").value


# A restart.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_that_was_handed_out_is_good_after_a_restart(start: Callable[..., Process], number: signal.Signals) -> None:
    first = start()
    before = first.everything()
    assert first.end(number) == ""
    second = start()

    assert {kind: second.verdict(value) for kind, value in before.items()} == dict.fromkeys(before, "current")
    again = second.everything()
    assert {kind for kind in before if again[kind] != before[kind]} == {"classic"}  # which each call makes anew
    assert second.verdict(before["classic"]) == "overlap"


def test_what_was_handed_out_last_is_good_after_a_kill_at_once(start: Callable[..., Process]) -> None:
    first = start()
    token = first.stable()
    first.end(signal.SIGKILL)

    assert start().verdict(token) == "current"


def test_what_was_handed_out_in_a_burst_is_good_after_a_kill_a_second_later(
    start: Callable[..., Process], file: Path
) -> None:
    first = start()
    before = first.everything()
    wait_for(lambda: all(value in file.read_text() for value in before.values()), timeout=3)
    first.end(signal.SIGKILL)
    second = start()

    assert {kind: second.verdict(value) for kind, value in before.items()} == dict.fromkeys(before, "current")


def test_counts_go_on_and_what_an_operator_ended_stays_ended(start: Callable[..., Process]) -> None:
    first = start()
    token = first.stable()
    first.send("POST", f"sandbox/accounts/{DEMO_APPID}/revoke", json={})
    first.end(signal.SIGTERM)
    second = start()
    seen = second.send("GET", f"sandbox/accounts/{DEMO_APPID}")

    assert second.verdict(token) == "superseded"
    assert seen["counts"]["minted"] == len(seen["mints"]) == 1


def test_without_a_file_nothing_is_kept(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        token = stable(sandbox.platform)
    with Sandbox() as sandbox:
        assert sandbox.verdict(token).verdict == "unknown"
    assert not list(tmp_path.iterdir())


# What is kept, on a clock of the test's.


def test_the_order_of_tokens_goes_on(file: Path) -> None:
    with served(file) as platform:
        tokens = [classic(platform), classic(platform)]
    with served(file) as platform:
        tokens.append(classic(platform))

        assert [platform.verdict(token).verdict for token in tokens] == ["superseded", "overlap", "current"]


def test_limits_go_on(file: Path) -> None:
    rules = Rules(classic_limit=2, force_interval=30, wecom_bad_call_limit=1)
    with served(file, rules) as platform:
        forced = [classic(platform), classic(platform), stable(platform, force=True)][-1]
        corp = platform.corp(DEMO_CORPID)
        assert corp
        corp.ban.note(NOON)
    with served(file, rules) as platform:
        with pytest.raises(WeChatError) as refused:
            classic(platform)

        assert refused.value.errcode == 45009
        assert stable(platform, force=True) == forced  # too soon for another
        corp = platform.corp(DEMO_CORPID)
        assert corp
        assert corp.ban.holds(NOON)


def test_a_credential_that_dies_with_another_still_does(file: Path) -> None:
    rules = Rules(ticket_dies_with_token=True)
    with served(file, rules) as platform:
        token = classic(platform)
        slot = platform.account(DEMO_APPID)
        assert slot
        ticket = slot.slots("jsapi_ticket")[0].fetch(NOON, token=platform.use(token, _host(platform, token)).issued)
    with served(file, rules) as platform:
        assert platform.verdict(ticket.value).works
        platform.revoke(name="token")

        assert not platform.verdict(ticket.value).works


def _host(platform: Platform, token: str) -> Any:
    found = platform.find(token)
    assert found
    return found.slot.host


def test_who_is_added_later_goes_on_too_even_after_two_restarts(file: Path) -> None:
    other = "wx00000000000000ff"
    with served(file) as platform:
        platform.add_account(other, DEMO_SECRET)
        token = stable(platform, other)
    with served(file) as platform:
        assert platform.verdict(token).verdict == "unknown"
        stable(platform)
    with served(file) as platform:
        platform.add_account(other, DEMO_SECRET)

        assert platform.verdict(token).verdict == "current"


def test_what_expired_is_written_for_one_life_more(file: Path) -> None:
    rules = Rules(life=60, overlap=5)
    with served(file, rules) as platform:
        token = stable(platform)
    for late, verdict in ((59, "current"), (61, "expired"), (119, "expired"), (121, "expired"), (121, "unknown")):
        with served(file, rules, partial(add, NOON, late)) as platform:
            assert platform.verdict(token).verdict == verdict
    assert json.loads(file.read_text())["state"]["credentials"] == []


def test_the_longest_life_is_no_hindrance(file: Path) -> None:
    with served(file, Rules(life=1e300)) as platform:
        token = stable(platform)
    with served(file, Rules(life=1e300)) as platform:
        assert platform.verdict(token).verdict == "current"


def test_who_forgets_all_tokens_forgets_those_of_who_is_not_here_yet(file: Path) -> None:
    with served(file) as platform:
        token = stable(platform)
    with keeping(empty := Platform(clock=lambda: NOON), file):
        empty.reset(tokens=True)
    with served(file) as platform:
        assert platform.verdict(token).verdict == "unknown"


# The file.


def test_the_file_is_for_its_owner_alone_and_holds_no_secret(file: Path) -> None:
    file.with_name(f"{file.name}.new").touch(mode=0o666)
    before = os.umask(0)
    try:
        with served(file) as platform:
            token = stable(platform)
    finally:
        os.umask(before)

    assert file.stat().st_mode & 0o777 == 0o600
    assert token in file.read_text()
    assert DEMO_SECRET not in file.read_text()
    assert DEMO_AGENT_SECRET not in file.read_text()


STRANGE = {
    "empty": b"",
    "cut": b'{"sandbox": 1, "state": {"creden',
    "text": b"# accounts\n",
    "no object": b"[]",
    "deep": b"[" * 100_000,
    "bytes": bytes(range(256)),
    "another version's": b'{"sandbox": 2, "state": {"credentials": [], "holders": {}}}',
    "another program's": b'{"pid": 1, "redis_url": ""}',
    "halves of characters": (
        b'{"sandbox": 1, "state": {"credentials": [], "holders": {"\\ud800": {"slots": {}, "ban": null}}}}'
    ),
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_a_file_that_is_none_of_ours_is_put_aside_and_that_is_said(
    file: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(text)
    with served(file) as platform:
        token = stable(platform)
    with served(file) as platform:
        assert platform.verdict(token).verdict == "current"

    assert file.with_name("sandbox.json.broken").read_bytes() == text
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith(f"{file} is no state file of this version: it is put aside as sandbox.json.broken")


def test_the_command_says_it_on_one_line(start: Callable[..., Process], file: Path) -> None:
    file.write_text("{")
    said = start().end(signal.SIGTERM)

    assert said.count("\n") == 1
    assert "is put aside as sandbox.json.broken" in said


def test_two_sandboxes_do_not_share_a_file(start: Callable[..., Process], file: Path) -> None:
    first = start()
    token = first.stable()
    second = start()

    assert second.process.wait(10) == 1
    assert second.end(signal.SIGTERM) == (
        f"another sandbox keeps its state in {file}: stop that one, or give this one another file\n"
    )
    assert first.verdict(token) == "current"


@pytest.mark.parametrize("how", ["directory", "no folder", "device"])
def test_a_file_that_cannot_be_one_is_one_sentence(tmp_path: Path, how: str) -> None:
    path = {"directory": tmp_path, "no folder": tmp_path / "nowhere" / "file", "device": Path("/dev/null")}[how]
    command = [sys.executable, "-m", "tokenworker.cli", "sandbox", "--port=0", "--state", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert str(path) in ended.stderr


def test_where_the_file_cannot_be_written_any_more_that_is_said_once_and_tried_again(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    new = file.with_name(f"{file.name}.new")
    platform = Platform(clock=lambda: NOON)
    with keeping(platform, file) as saver:
        new.mkdir()
        saver.try_to_save()
        saver.try_to_save()
        platform.add_account(DEMO_APPID, DEMO_SECRET)
        new.rmdir()
        token = stable(platform)

    assert [record.getMessage() for record in caplog.records] == [
        f"the state file {new} can't be written: Is a directory"
    ]
    assert token in file.read_text()


def test_a_link_to_the_file_stays_one(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(file)
    with served(link) as platform:
        stable(platform)

    assert link.is_symlink()
    assert file.is_file()


def test_the_file_is_free_again_when_its_sandbox_ended(file: Path) -> None:
    with StateFile(file).claimed(), pytest.raises(StateFileUnusable), StateFile(file).claimed():
        pass
    with StateFile(file).claimed():
        pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=3), some, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_whatever_stands_in_the_place_of_a_fact_is_refused_or_can_be_lived_with(data: st.DataObject) -> None:
    before = Platform(clock=lambda: NOON)
    before.add_account(DEMO_APPID, DEMO_SECRET)
    token = stable(before)
    state: Any = json.loads(json.dumps(before.state()))
    spot = state
    while isinstance(spot, dict | list) and spot:
        parent, key = spot, data.draw(st.sampled_from(sorted(spot) if isinstance(spot, dict) else range(len(spot))))
        spot = parent[key]
        if data.draw(st.booleans()):
            break
    parent[key] = data.draw(JSON)
    if fits(state, PlatformState):
        after = Platform(clock=lambda: NOON)
        after.resume(state)
        after.add_account(DEMO_APPID, DEMO_SECRET)
        after.verdict(token)
        assert stable(after)
        assert fits(json.loads(json.dumps(after.state())), PlatformState)
