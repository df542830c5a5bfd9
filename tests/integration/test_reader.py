"""What services in Python read with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from celery import Celery
from support.clock import WallClock
from support.credentials import put
from support.processes import RedisServer, Stack, wait_for
from support.readers import APPID, STATE, TOKEN, Clock, Firewall, calls, in_a_child

from tokenworker import Credential, Durations, StoreUnavailable, TokenReader, TokenUnavailable, WrongArgument
from tokenworker.credential import CredentialId, fingerprint
from tokenworker.reading.questions import glance_at
from tokenworker.sandbox import DEMO_APPID, Sandbox
from tokenworker.store.connect import connect, exchange as exchange_of
from tokenworker.store.exchange import Patience
from tokenworker.store.keys import Keys
from tokenworker.store.store import Store

#: No read may take longer, whatever Redis does.
LONGEST = 0.6
THREADS = 8
ID = CredentialId(APPID)
#: A WeCom application: its corpid, and the agent's number.
AGENT = "ww1/1000002"
TICKET_ID = CredentialId(APPID, "jsapi_ticket")
TICKET = f"tokenworker:{{{APPID}}}:jsapi_ticket"
NOWHERE = "redis://127.0.0.1:1/0"


@contextmanager
def frozen(server: RedisServer) -> Iterator[None]:
    server.send_signal(signal.SIGSTOP)
    yield
    server.send_signal(signal.SIGCONT)


def timed(read: Callable[[], Credential]) -> tuple[float, str]:
    began = time.monotonic()
    try:
        text = read().value
    except TokenUnavailable:
        text = "none"
    return time.monotonic() - began, text


def in_threads(work: Callable[[], list[tuple[float, str]]]) -> list[tuple[float, str]]:
    with ThreadPoolExecutor(THREADS) as pool:
        return [read for future in [pool.submit(work) for _ in range(THREADS)] for read in future.result()]


def user_url(server: RedisServer, *rights: str) -> str:
    """Make a user who may do nothing but what is said."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "service", "on", ">pass", "resetkeys", "-@all", *rights)
    return server.url.replace("//", "//service:pass@")


# Reading


def test_a_reader_gets_the_live_token(store: Store, server: RedisServer) -> None:
    put(store)
    with TokenReader(server.url) as reader:
        token = reader.get_token(APPID)

    assert token.access_token == "token"
    assert "token" not in repr(token).replace("Credential", "")


@pytest.mark.parametrize("options", ["", "?protocol=2", "?protocol=3", "?decode_responses=True"])
def test_a_token_comes_with_its_end_by_redis_clock(store: Store, server: RedisServer, options: str) -> None:
    put(store, life=100)
    with TokenReader(server.url + options, durations=Durations(reader_copy=0)) as reader:
        token = reader.get_token(APPID)

        assert token.expires_in(store.now()) == pytest.approx(100, abs=0.5)
        assert reader.get_token(APPID) is token


def test_asked_again_within_a_second_it_answers_without_the_network(store: Store, server: RedisServer) -> None:
    put(store)
    clock = Clock()
    with TokenReader(server.url, clock=clock) as reader:
        reader.get_token(APPID)
        put(store, "newer")
        clock.now = 0.999
        assert reader.get_token(APPID).access_token == "token"
        clock.now = 1.0
        assert reader.get_token(APPID).access_token == "newer"


def test_its_copy_ends_with_the_token(store: Store, server: RedisServer) -> None:
    put(store, life=0.3)
    with TokenReader(server.url, durations=Durations(reader_copy=60)) as reader:
        reader.get_token(APPID)
        time.sleep(0.32)
        with pytest.raises(TokenUnavailable, match="expired"):
            reader.get_token(APPID)


def test_it_waits_for_the_next_one_of_what_ended_just_now(store: Store, server: RedisServer) -> None:
    """WeCom makes a new token when the one before has ended, and not sooner: in between there is none."""
    put(store, life=0.2, ends_at=store.now() + 0.2)
    time.sleep(0.25)
    later = threading.Timer(0.3, put, (store, "next"))
    with TokenReader(server.url) as reader:
        later.start()
        assert reader.get_token(APPID).access_token == "next"
    later.join()


def test_it_does_not_wait_for_what_ended_long_ago(store: Store, server: RedisServer) -> None:
    put(store, life=0.2, ends_at=store.now() + 0.2)
    time.sleep(0.25)
    with TokenReader(server.url, durations=Durations(reader_patience=0.01)) as reader:
        began = time.monotonic()
        with pytest.raises(TokenUnavailable, match="expired"):
            reader.get_token(APPID)
        assert time.monotonic() - began < 1


def test_a_token_that_changes_between_the_commands_gets_no_longer_life_than_it_has() -> None:
    """The life is that of the token before or of the same; a token is never given a later one's."""
    commands = [command[0] for command in glance_at(Keys(), ID)]

    assert commands.index("PTTL") < commands.index("GET")


def test_what_was_packed_before_goes_out_as_all_else(store: Store, server: RedisServer) -> None:
    put(store, "ключ 密钥")
    commands, exchange = glance_at(Keys("Präfix"), ID), exchange_of(connect(server.url), Patience())

    assert exchange.ask(commands) == exchange.ask(list(commands)) == [-2, None, None]
    commands = glance_at(Keys(), ID)
    assert exchange.ask(commands)[1:] == exchange.ask(list(commands))[1:] == ["ключ 密钥".encode(), None]
    exchange.close()


def test_it_reads_through_a_socket_file(store: Store, server: RedisServer) -> None:
    put(store)
    with TokenReader(f"unix://{server.folder}/redis.sock") as reader:
        assert reader.get_token(APPID).access_token == "token"


def test_the_prefix_is_a_setting(server: RedisServer, client: redis.Redis) -> None:
    put(Store(client, "other"))
    with TokenReader(server.url, prefix="other") as reader:
        assert reader.get_token(APPID).access_token == "token"


def test_reading_needs_neither_celery_nor_requests() -> None:
    code = (
        "import sys, tokenworker\n"
        "tokenworker.TokenReader('redis://127.0.0.1:1/0'), tokenworker.AsyncTokenReader('redis://127.0.0.1:1/0')\n"
        "print([name for name in ('celery', 'kombu', 'requests', 'urllib3', 'httpx', 'tornado', 'rich')"
        " if name in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_importing_the_package_imports_nothing_of_other_people() -> None:
    code = "import sys, tokenworker; print([name for name in ('redis', 'asyncio', 'typing') if name in sys.modules])"
    command = [
        sys.executable,
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r}); {code}",
    ]

    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_wall_clock_that_is_off_by_a_day_changes_nothing(store: Store, server: RedisServer, tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    code = (
        "import time\n"
        "from tokenworker import TokenReader\n"
        f"reader = TokenReader({server.url!r})\n"
        f"print(time.time(), reader.get_token({APPID!r}).access_token)\n"
        "time.sleep(1.01)\n"
        f"print(time.time(), reader.get_token({APPID!r}).access_token)"
    )
    put(store)
    for hours in (-24, 24):
        clock.go_ahead(hours * 3600)
        environ = os.environ | clock.environ
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
        first, second = (line.split() for line in run.stdout.splitlines())

        assert float(first[0]) - time.time() == pytest.approx(hours * 3600, abs=60)
        assert first[1] == second[1] == "token"


# Every credential


def test_a_credential_is_read_by_its_name_and_apart_from_the_others(store: Store, server: RedisServer) -> None:
    put(store)
    put(store, "ticket", name="jsapi_ticket")
    put(store, "another", account=AGENT)
    with TokenReader(server.url) as reader:
        assert reader.get_credential(APPID).value == "token"
        assert reader.get_credential(APPID, "jsapi_ticket").value == "ticket"
        assert reader.get_credential(AGENT, name="access_token").access_token == "another"


@pytest.mark.parametrize(
    ("type_", "name"), [("jsapi", "jsapi_ticket"), ("wx_card", "wx_card_ticket"), ("agent", "agent_ticket")]
)
def test_a_ticket_is_read_by_its_type(store: Store, server: RedisServer, type_: str, name: str) -> None:
    put(store, f"a-{name}", name=name)
    with TokenReader(server.url) as reader:
        assert reader.get_ticket(APPID, type_).ticket == f"a-{name}"
        with pytest.raises(TokenUnavailable):
            reader.get_token(APPID)


def test_without_a_type_a_ticket_is_the_one_for_pages(store: Store, server: RedisServer) -> None:
    put(store, "ticket", name="jsapi_ticket")
    with TokenReader(server.url) as reader:
        assert reader.get_ticket(APPID).ticket == "ticket"


def test_a_type_of_ticket_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with TokenReader(NOWHERE) as reader, pytest.raises(WrongArgument) as caught:
        reader.get_ticket(APPID, "jsapi_ticket")

    assert str(caught.value) == "'jsapi_ticket' is no type of ticket: write 'jsapi'"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda reader: reader.get_token(None), "account was given as nothing: give the id of the account as a text"),
        (lambda reader: reader.get_credential(APPID, 1), "name was given as a number: give the name of a credential"),
        (lambda reader: reader.get_ticket(APPID, None), "type was given as nothing: give the type of a ticket"),
        (lambda reader: reader.reject(APPID, None), "value was given as nothing: give the credential that WeChat"),
        (lambda reader: reader.reject(APPID, b"token"), "value was given as bytes: give the credential that WeChat"),
        (lambda _: TokenReader(cast("str", None)), "redis_url was given as nothing: give the URL of Redis as a text"),
        (
            lambda _: TokenReader(cast("str", b"redis://h")),
            "redis_url was given as bytes: give the URL of Redis as a text",
        ),
    ],
)
def test_what_is_no_text_is_told_by_what_to_give_instead(call: Callable[[Any], object], words: str) -> None:
    with TokenReader(NOWHERE) as reader, pytest.raises(WrongArgument) as caught:
        call(reader)

    assert str(caught.value).startswith(words)


def test_a_page_that_is_no_text_is_told_too(store: Store, server: RedisServer) -> None:
    put(store, "ticket", name="jsapi_ticket")
    with TokenReader(server.url) as reader, pytest.raises(WrongArgument, match="url was given as nothing"):
        reader.sign_url(APPID, None)  # type: ignore[arg-type]


def test_a_blank_behind_the_url_is_no_part_of_it(store: Store, server: RedisServer) -> None:
    put(store)
    with TokenReader(f" {server.url}\n") as reader:
        assert reader.get_token(APPID).access_token == "token"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("access_token", "no access_token for wx1: nobody keeps one for this account here; is it in the accounts"),
        ("jsapi_ticket", "no jsapi_ticket for wx1: nobody keeps one for this account here; is it in the accounts"),
    ],
)
def test_what_is_missing_is_named(server: RedisServer, name: str, words: str) -> None:
    with TokenReader(server.url) as reader, pytest.raises(TokenUnavailable) as caught:
        reader.get_credential(APPID, name)

    assert str(caught.value).startswith(words)


def test_what_is_missing_is_named_while_redis_is_away_too() -> None:
    with TokenReader(NOWHERE) as reader, pytest.raises(TokenUnavailable, match="no agent_ticket for wx1: Redis does"):
        reader.get_ticket(APPID, "agent")


def test_what_stands_in_place_of_a_ticket_is_no_ticket(server: RedisServer, client: redis.Redis) -> None:
    client.set(TICKET, "two words", px=100_000)
    with TokenReader(server.url) as reader, pytest.raises(TokenUnavailable, match="is nothing of WeChat"):
        reader.get_ticket(APPID)


def test_a_page_is_signed_with_the_ticket_of_its_account(store: Store, server: RedisServer) -> None:
    put(store, "ticket", name="jsapi_ticket", account=AGENT)
    put(store, "agents", name="agent_ticket", account=AGENT)
    with TokenReader(server.url) as reader:
        for type_, text in (("jsapi", "ticket"), ("agent", "agents")):
            signed = reader.sign_url(AGENT, "https://shop.example/?a=b#c", ticket=type_)
            given = {name: signed.pop(name) for name in ("appId", "timestamp", "nonceStr", "signature")}
            words = (
                f"jsapi_ticket={text}&noncestr={given['nonceStr']}&timestamp={given['timestamp']}"
                "&url=https://shop.example/?a=b"
            )

            assert signed == {}
            assert given["appId"] == "ww1"
            assert given["signature"] == sha1(words.encode(), usedforsecurity=False).hexdigest()


def test_a_reported_ticket_is_looked_at_next_and_the_token_is_not(store: Store, server: RedisServer) -> None:
    put(store)
    put(store, "ticket", name="jsapi_ticket")
    with TokenReader(server.url) as reader:
        reader.reject(APPID, "ticket", "jsapi_ticket")
        assert reader.get_token(APPID).access_token == "token"

    assert store.records.look(TICKET_ID).rejected == fingerprint("ticket")
    assert store.records.look(ID).rejected == ""
    assert store.schedule.claim(2, 60) == [TICKET_ID]


def test_a_reported_ticket_is_good_again_once_a_worker_fetched_it_again(store: Store, server: RedisServer) -> None:
    """Nobody can probe one: that WeChat still hands it out is all that there is to know."""
    put(store, "ticket", name="jsapi_ticket")
    with TokenReader(server.url) as reader:
        reader.get_ticket(APPID)
        reader.reject(APPID, "ticket", "jsapi_ticket")
        facts = {"probed_alive": fingerprint("ticket"), "trusted_until": store.now() + 60}
        timer = threading.Timer(0.3, put, (store, "ticket"), {"name": "jsapi_ticket", **facts})
        timer.start()
        took, found = timed(lambda: reader.get_ticket(APPID))
        timer.join()

        assert found == "ticket"
        assert 0.2 < took < 0.8
        assert timed(lambda: reader.get_ticket(APPID))[0] < 0.1


def test_a_token_that_was_fetched_again_is_not_good_again_by_that(store: Store, server: RedisServer) -> None:
    """WeChat may have handed out the dead one once more: a probe tells."""
    put(store)
    with TokenReader(server.url, durations=Durations(reader_patience=0.3)) as reader:
        reader.reject(APPID, "token")
        put(store)
        with pytest.raises(TokenUnavailable, match="no worker has tested or replaced it"):
            reader.get_token(APPID)


def test_of_a_reported_ticket_that_no_worker_fetches_it_says_that(store: Store, server: RedisServer) -> None:
    put(store, "ticket", name="jsapi_ticket")
    with TokenReader(server.url, durations=Durations(reader_patience=0.3)) as reader:
        reader.reject(APPID, "ticket", "jsapi_ticket")
        with pytest.raises(TokenUnavailable, match=r"no jsapi_ticket for wx1: .*no worker has tested or replaced it"):
            reader.get_ticket(APPID)


def test_a_ticket_can_be_used_a_while_past_its_counted_end(own_server: RedisServer) -> None:
    clock = Clock()
    with own_server.client() as client, TokenReader(own_server.url, clock=clock) as reader:
        put(client, "ticket", life=7200 + 300, name="jsapi_ticket")
        reader.get_ticket(APPID)
        own_server.kill()
        clock.now = 7469.0
        assert reader.get_ticket(APPID).ticket == "ticket"


# Redis is away


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_while_redis_is_away_it_goes_on_until_30_seconds_before_the_end(own_server: RedisServer, fault: str) -> None:
    with own_server.client() as client:
        put(Store(client))
    clock = Clock()
    with TokenReader(own_server.url, clock=clock) as reader:
        reader.get_token(APPID)
        if fault == "killed":
            own_server.kill()
        else:
            own_server.send_signal(signal.SIGSTOP)
        clock.now = 69.0
        began = time.monotonic()
        assert reader.get_token(APPID).access_token == "token"
        assert time.monotonic() - began < LONGEST
        clock.now = 70.5
        with pytest.raises(TokenUnavailable, match="does not answer"):
            reader.get_token(APPID)


def test_a_life_that_was_cut_is_cut_for_the_copy_too(own_server: RedisServer) -> None:
    clock = Clock()
    with own_server.client() as client, TokenReader(own_server.url, clock=clock) as reader:
        put(Store(client))
        before = reader.get_token(APPID)
        client.pexpire(TOKEN, 40_000)
        clock.now = 1.0
        after = reader.get_token(APPID)
        assert before.expires_at - after.expires_at == pytest.approx(60, abs=1)
        own_server.kill()
        clock.now = 10.9
        assert reader.get_token(APPID) is after
        clock.now = 12.0
        with pytest.raises(TokenUnavailable):
            reader.get_token(APPID)


def test_a_life_longer_than_any_of_wechats_credentials_is_not_believed(own_server: RedisServer) -> None:
    """The clock of Redis's host went back by a day, and so all its keys live a day longer."""
    clock = Clock()
    with own_server.client() as client, TokenReader(own_server.url, clock=clock) as reader:
        put(Store(client), life=7200 + 86_400)
        reader.get_token(APPID)
    own_server.kill()
    clock.now = 7469.0
    assert reader.get_token(APPID).access_token == "token"
    clock.now = 7471.0
    with pytest.raises(TokenUnavailable):
        reader.get_token(APPID)


def test_without_redis_and_without_a_copy_it_says_so_quickly(own_server: RedisServer) -> None:
    own_server.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    with TokenReader(own_server.url) as reader, pytest.raises(TokenUnavailable, match=APPID):
        reader.get_token(APPID)

    assert time.monotonic() - began < LONGEST


def test_a_frozen_redis_costs_one_read_a_second_its_timeout_and_the_others_nothing(own_server: RedisServer) -> None:
    with own_server.client() as client:
        tokens = {f"wx{number}": f"token-{number}" for number in range(4)}
        for appid, text in tokens.items():
            put(Store(client), text, account=appid)
    with TokenReader(own_server.url, durations=Durations(reader_copy=0.5)) as reader:
        for appid in tokens:
            reader.get_token(appid)
        end = time.monotonic() + 3

        def read() -> list[tuple[float, str]]:
            reads = []
            while time.monotonic() < end:
                for appid, text in tokens.items():
                    took, found = timed(lambda appid=appid: reader.get_token(appid))  # type: ignore[misc]
                    assert found == text
                    reads.append((took, found))
                time.sleep(0.002)
            return reads

        with frozen(own_server):
            reads = in_threads(read)
    slow = [took for took, _ in reads if took > 0.3]
    print(f"{len(reads)} reads, {len(slow)} slow ones, the slowest took {max(reads)[0]:.3f} s")
    assert max(reads)[0] < LONGEST
    # Every account may be asked for when it begins; from then on one thread tries for all, each 0.9 s.
    assert 1 <= len(slow) <= len(tokens) + 3 / 0.9 + 1


def test_without_a_copy_no_thread_waits_longer_than_the_timeout(own_server: RedisServer) -> None:
    with frozen(own_server), TokenReader(own_server.url) as reader:
        reads = in_threads(lambda: [timed(lambda: reader.get_token(APPID)) for _ in range(20)])

    assert {found for _, found in reads} == {"none"}
    assert max(reads)[0] < LONGEST
    assert len([took for took, _ in reads if took > 0.1]) <= THREADS


def test_it_asks_again_when_redis_is_back(own_server: RedisServer) -> None:
    with own_server.client() as client, TokenReader(own_server.url, durations=Durations(reader_copy=0.2)) as reader:
        put(Store(client))
        reader.get_token(APPID)
        with frozen(own_server):
            time.sleep(0.2)
            reader.get_token(APPID)
        put(Store(client), "newer")
        wait_for(lambda: reader.get_token(APPID).access_token == "newer", timeout=1)


def test_a_restart_of_redis_between_two_reads_goes_unnoticed(own_server: RedisServer) -> None:
    with TokenReader(own_server.url, durations=Durations(reader_copy=0)) as reader:
        for text in ("token", "newer"):
            with own_server.client() as client:
                client.flushall()
                put(Store(client), text)
            assert reader.get_token(APPID).access_token == text
            own_server.kill()
            own_server.start()


def test_a_connection_that_rested_long_is_not_used_again(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Firewalls forget connections that rest, and tell nobody."""
    client = own_server.client()
    monkeypatch.setattr("tokenworker.store.connect.MAX_IDLE", 1)
    with client, TokenReader(own_server.url, durations=Durations(reader_copy=0)) as reader:
        put(Store(client))

        def connections() -> set[str]:
            reader.get_token(APPID)
            return {it["id"] for it in client.client_list() if it["cmd"] not in ("client", "client|list")}

        first = connections()
        assert connections() & first
        time.sleep(1.05)
        assert not connections() & first


# Threads and forks


def test_when_the_copy_runs_out_one_thread_asks(store: Store, server: RedisServer, client: redis.Redis) -> None:
    put(store)
    with TokenReader(server.url, durations=Durations(reader_copy=0.2)) as reader:
        before, end = calls(client, "get"), time.monotonic() + 1

        def read() -> list[tuple[float, str]]:
            reads = []
            while time.monotonic() < end:
                reads.append(timed(lambda: reader.get_token(APPID)))
                time.sleep(0.0005)
            return reads

        reads = in_threads(read)
    asked = calls(client, "get") - before
    print(f"{len(reads)} reads, {asked} of them asked Redis, the slowest took {max(reads)[0]:.3f} s")
    assert {found for _, found in reads} == {"token"}
    assert asked <= 7


def test_threads_without_a_copy_wait_for_the_one_that_asks(
    store: Store, server: RedisServer, client: redis.Redis
) -> None:
    put(store)
    before = calls(client, "get")
    barrier = threading.Barrier(THREADS)
    with TokenReader(server.url) as reader:

        def read() -> list[tuple[float, str]]:
            barrier.wait()
            return [timed(lambda: reader.get_token(APPID))]

        assert {found for _, found in in_threads(read)} == {"token"}
    # A token that is new to the reader takes a second question.
    assert calls(client, "get") - before == 2


def test_while_another_thread_asks_an_old_copy_will_not_do(own_server: RedisServer) -> None:
    """A token that was in Redis an hour ago may have been replaced, and be dead."""
    clock = Clock()
    with own_server.client() as client, TokenReader(own_server.url, clock=clock) as reader:
        put(Store(client), life=7200)
        reader.get_token(APPID)
        put(Store(client), "newer", life=7200)
        clock.now = 3600.0
        with ThreadPoolExecutor(THREADS) as pool, frozen(own_server):
            reads = [pool.submit(reader.get_token, APPID) for _ in range(THREADS)]
            time.sleep(0.1)
        assert {read.result().access_token for read in reads} == {"newer"}


def test_a_child_uses_no_connection_of_its_parent(store: Store, server: RedisServer) -> None:
    put(store)
    with TokenReader(server.url, durations=Durations(reader_copy=0)) as reader:
        reader.get_token(APPID)
        end = time.monotonic() + 1

        def read() -> list[tuple[float, str]]:
            reads = []
            while time.monotonic() < end:
                reads.append(timed(lambda: reader.get_token(APPID)))
            return reads

        def read_in_a_child() -> bool:
            return all(reader.get_token(APPID).access_token == "token" for _ in range(100))

        with ThreadPoolExecutor(THREADS) as pool:
            futures = [pool.submit(read) for _ in range(THREADS)]
            for _ in range(5):
                in_a_child(read_in_a_child)
            reads = [one for future in futures for one in future.result()]
    assert {found for _, found in reads} == {"token"}
    assert max(reads)[0] < LONGEST


def test_a_child_does_not_wait_for_a_thread_that_it_does_not_have(own_server: RedisServer) -> None:
    with own_server.client() as client, TokenReader(own_server.url) as reader:
        put(Store(client))
        reader.get_token(APPID)
        time.sleep(1)
        with frozen(own_server):
            thread = threading.Thread(target=lambda: reader.get_token(APPID))
            thread.start()
            time.sleep(0.1)
            assert own_server.process
            pid = own_server.process.pid

            def read() -> bool:
                os.kill(pid, signal.SIGCONT)
                put(Store(client), "newer")
                return reader.get_token(APPID).access_token == "newer"

            in_a_child(read)
        thread.join()


# No token


def test_it_says_why_there_is_no_token(store: Store, server: RedisServer) -> None:
    taken = store.records.lease(ID, 5)
    assert taken
    lease, _ = taken
    store.records.fail(lease, retry_at=store.now() + 30, error="WeChat answered 40164", errcode=40164, hint="add it")
    with TokenReader(server.url) as reader, pytest.raises(TokenUnavailable, match="add it") as caught:
        reader.get_token(APPID)

    assert caught.value.errcode == 40164
    assert caught.value.since == pytest.approx(time.time(), abs=5)
    assert caught.value.retry_in == pytest.approx(30, abs=1)


def test_nonsense_in_the_state_does_not_hide_that_there_is_no_token(server: RedisServer, client: redis.Redis) -> None:
    client.hset(STATE, "error", b"\xff")
    client.hset(STATE, mapping={"errcode": "many", "retry_at": "inf", "failed_at": "9" * 400, "fetched_at": "?"})
    with TokenReader(server.url) as reader, pytest.raises(TokenUnavailable) as caught:
        reader.get_token(APPID)

    assert (caught.value.errcode, caught.value.since, caught.value.retry_in) == (None, None, None)


def test_of_an_account_that_nobody_keeps_it_says_that(server: RedisServer, client: redis.Redis) -> None:
    with TokenReader(server.url) as reader, pytest.raises(TokenUnavailable, match="nobody keeps one"):
        reader.get_token("wx9")

    assert client.keys("*") == []


def test_a_token_that_is_gone_from_redis_works_on_for_the_overlap(
    store: Store, server: RedisServer, client: redis.Redis
) -> None:
    put(store, life=7200)
    clock = Clock()
    with TokenReader(server.url, clock=clock) as reader:
        reader.get_token(APPID)
        client.flushall()
        clock.now = 269.0
        assert reader.get_token(APPID).access_token == "token"
        clock.now = 271.0
        with pytest.raises(TokenUnavailable, match="nobody keeps one"):
            reader.get_token(APPID)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ('{"access_token": "t", "expires_in": 7200}', "is nothing of WeChat"),
        ('"quoted"', "is nothing of WeChat"),
        ("two words", "is nothing of WeChat"),
        ("line\n", "is nothing of WeChat"),
        ("", "is nothing of WeChat"),
        (b"\xff\xfe", "is nothing of WeChat"),
        ("x" * 2049, "is nothing of WeChat"),
    ],
)
def test_what_is_no_token_is_not_handed_out(
    server: RedisServer, client: redis.Redis, value: str | bytes, complaint: str
) -> None:
    client.set(TOKEN, value, px=100_000)
    with TokenReader(server.url) as reader, pytest.raises(TokenUnavailable, match=complaint):
        reader.get_token(APPID)


def test_a_token_that_never_expires_is_not_handed_out(server: RedisServer, client: redis.Redis) -> None:
    client.set(TOKEN, "left-behind")
    with TokenReader(server.url) as reader, pytest.raises(TokenUnavailable, match="never expires"):
        reader.get_token(APPID)


def test_a_wrong_type_is_named_and_a_copy_bridges_it(store: Store, server: RedisServer, client: redis.Redis) -> None:
    put(store)
    clock = Clock()
    with TokenReader(server.url, clock=clock) as reader:
        reader.get_token(APPID)
        client.delete(TOKEN)
        client.hset(TOKEN, "a", "hash")
        clock.now = 1.0
        assert reader.get_token(APPID).access_token == "token"
    with TokenReader(server.url) as reader, pytest.raises(TokenUnavailable, match="WRONGTYPE"):
        reader.get_token(APPID)


def test_a_service_needs_no_more_than_three_commands_on_its_own_account(own_server: RedisServer) -> None:
    with own_server.client() as client:
        put(Store(client))
        put(Store(client), account="wx2")
    url = user_url(own_server, "+get", "+pttl", "+time", f"~tokenworker:{{{APPID}}}:*")
    with TokenReader(url) as reader:
        assert reader.get_token(APPID).access_token == "token"
        with pytest.raises(TokenUnavailable, match=r"does not let us read tokenworker:\{wx2\}.*permission"):
            reader.get_token("wx2")
        with pytest.raises(StoreUnavailable, match="permission"):
            reader.reject(APPID, "token")
    with (
        TokenReader(own_server.url.replace("//", "//service:wrong@")) as reader,
        pytest.raises(TokenUnavailable) as caught,
    ):
        reader.get_token(APPID)
    assert "wrong" not in str(caught.value).replace("WRONGPASS", "")


def test_with_the_rights_that_the_readme_names_a_service_may_report(own_server: RedisServer) -> None:
    reports = ("+hmget", "+eval", "+exists", "+hget", "+hset", "+zadd", "~tokenworker:due")
    url = user_url(own_server, "+get", "+pttl", "+time", f"~tokenworker:{{{APPID}}}:*", *reports)
    with own_server.client() as client, TokenReader(url) as reader:
        put(Store(client))
        reader.reject(APPID, "token")
        assert Store(client).schedule.claim(1, 60) == [ID]


def test_with_these_rights_it_may_also_have_the_workers_look_at_an_older_token(own_server: RedisServer) -> None:
    rights = ("+get", "+pttl", "+time", "+hget", "+hmget", "+eval", "+exists", "+hset", "+zadd", "~tokenworker:due")
    url = user_url(own_server, *rights, f"~tokenworker:{{{APPID}}}:*")
    with own_server.client() as client, TokenReader(url, durations=Durations(reader_copy=0)) as reader:
        store = Store(client)
        put(store, "older")
        saved = client.dump(STATE)
        assert isinstance(saved, bytes)
        time.sleep(0.01)
        put(store, "newer")
        reader.get_token(APPID)
        client.restore(STATE, 0, saved, replace=True)
        client.set(TOKEN, "older", px=90_000)

        assert reader.get_token(APPID).access_token == "newer"
        assert store.records.look(ID).in_doubt == 1
        assert store.schedule.claim(1, 60) == [ID]


def test_without_a_right_to_the_state_it_still_says_that_there_is_no_token(own_server: RedisServer) -> None:
    url = user_url(own_server, "+get", "+pttl", "+time", "~tokenworker:*")
    with TokenReader(url) as reader, pytest.raises(TokenUnavailable, match="nobody keeps one"):
        reader.get_token(APPID)


# Reports


def test_a_reported_token_is_looked_at_next(store: Store, server: RedisServer) -> None:
    put(store)
    with TokenReader(server.url) as reader:
        reader.reject(APPID, "another")
        assert store.records.look(ID).rejected == ""
        reader.reject(APPID, "token")

    assert store.records.look(ID).rejected == fingerprint("token")
    assert store.schedule.claim(1, 60) == [ID]


def test_a_report_about_another_programs_token_is_looked_at_too(
    store: Store, server: RedisServer, client: redis.Redis
) -> None:
    put(store)
    client.set(TOKEN, "theirs", px=100_000)
    with TokenReader(server.url) as reader:
        reader.reject(APPID, "theirs")

    assert store.schedule.claim(1, 60) == [ID]


def test_after_a_report_it_waits_for_another_token(store: Store, server: RedisServer) -> None:
    put(store)
    with TokenReader(server.url) as reader:
        token = reader.get_token(APPID)
        reader.reject(APPID, token.access_token)
        timer = threading.Timer(0.3, put, (store, "newer"))
        timer.start()
        took, found = timed(lambda: reader.get_token(APPID))
        timer.join()

    assert found == "newer"
    assert 0.2 < took < 0.8


def test_after_a_report_the_old_token_is_good_again_if_the_worker_says_so(
    store: Store, server: RedisServer, client: redis.Redis
) -> None:
    put(store)
    with TokenReader(server.url) as reader:
        reader.reject(APPID, "token")
        client.hset(STATE, mapping={"probed_alive": fingerprint("token"), "probed_at": str(store.now())})
        took, found = timed(lambda: reader.get_token(APPID))

    assert found == "token"
    assert took < 0.2


def test_a_token_that_the_worker_found_good_is_preferred_to_another_that_was_there_just_now(
    store: Store, server: RedisServer, client: redis.Redis
) -> None:
    put(store)
    with TokenReader(server.url, durations=Durations(reader_copy=0)) as reader:
        reader.reject(APPID, "token")
        client.set(TOKEN, "theirs", px=60_000)
        assert reader.get_token(APPID).access_token == "theirs"
        put(store)
        assert reader.get_token(APPID).access_token == "theirs"
        client.hset(STATE, mapping={"probed_alive": fingerprint("token"), "probed_at": str(store.now())})

        assert reader.get_token(APPID).access_token == "token"


def test_a_test_of_long_ago_proves_nothing(store: Store, server: RedisServer, client: redis.Redis) -> None:
    put(store)
    with TokenReader(server.url, durations=Durations(reader_patience=0.2)) as reader:
        reader.reject(APPID, "token")
        client.hset(STATE, mapping={"probed_alive": fingerprint("token"), "probed_at": str(store.now() - 31)})
        with pytest.raises(TokenUnavailable, match="WeChat refused it"):
            reader.get_token(APPID)


def test_it_does_not_wait_for_ever_nor_hold_a_report_against_a_token_for_ever(
    store: Store, server: RedisServer
) -> None:
    put(store)
    with TokenReader(server.url, durations=Durations(reader_patience=0.3)) as reader:
        reader.reject(APPID, "token")
        took, found = timed(lambda: reader.get_token(APPID))
        assert found == "none"
        assert 0.2 < took < 0.8
        assert reader.get_token(APPID).access_token == "token"


def bury(store: Store, text: str = "token") -> None:
    """Find a token dead, as a worker does."""
    taken = store.records.lease(ID, 5)
    assert taken
    lease, _ = taken
    name = fingerprint(text)
    store.records.withhold(lease, Credential(text, 0), probed=name, probed_at=lease.taken_at)


def test_a_token_that_a_worker_found_dead_is_handed_out_to_nobody(store: Store, server: RedisServer) -> None:
    put(store)
    quick = Durations(reader_copy=0, reader_patience=0.3)
    with TokenReader(server.url, durations=quick) as reader:
        reader.get_token(APPID)
        bury(store)
        with pytest.raises(TokenUnavailable, match="WeChat refused it, and another one is on its way"):
            reader.get_token(APPID)


def test_after_a_death_readers_wait_for_the_next_token_without_being_told(store: Store, server: RedisServer) -> None:
    put(store)
    with TokenReader(server.url, durations=Durations(reader_copy=0)) as reader, ThreadPoolExecutor(1) as pool:
        reader.get_token(APPID)
        bury(store)
        waiting = pool.submit(timed, lambda: reader.get_token(APPID))
        time.sleep(0.2)
        put(store, "newer")
        seconds, text = waiting.result()

    assert text == "newer"
    assert 0.15 < seconds < 1


def test_of_a_death_that_nobody_mends_it_says_why_at_once(
    store: Store, server: RedisServer, client: redis.Redis
) -> None:
    put(store)
    with TokenReader(server.url, durations=Durations(reader_copy=0)) as reader:
        reader.get_token(APPID)
        bury(store)
        retry_at = store.now() + 60
        client.hset(STATE, mapping={"error": "40125", "errcode": 40125, "hint": "do this", "retry_at": retry_at})
        began = time.monotonic()
        with pytest.raises(TokenUnavailable, match=r"40125 \(do this\)") as caught:
            reader.get_token(APPID)

    assert time.monotonic() - began < 0.5
    assert caught.value.errcode == 40125


def test_while_wechat_may_replace_a_token_each_read_looks(
    store: Store, server: RedisServer, client: redis.Redis
) -> None:
    put(store)
    with TokenReader(server.url, clock=Clock()) as reader:
        reader.get_token(APPID)
        reads = calls(client, "get")
        reader.get_token(APPID)
        assert calls(client, "get") == reads, "a fresh copy"

    client.hset(STATE, "in_doubt_since", f"{store.now():.3f}")
    with TokenReader(server.url, clock=Clock()) as reader:
        reader.get_token(APPID)
        reads = calls(client, "get")
        for _ in range(3):
            assert reader.get_token(APPID).access_token == "token"
        assert calls(client, "get") == reads + 3

        put(store, "newer")
        assert reader.get_token(APPID).access_token == "newer"
        reads = calls(client, "get")
        reader.get_token(APPID)
        assert calls(client, "get") == reads, "a fresh copy once more"


def test_a_newer_copy_is_not_given_up_for_an_older_token_and_the_workers_hear_of_it(
    store: Store, server: RedisServer, client: redis.Redis
) -> None:
    """Redis went back in time: a failover, say, to a replica that was behind."""
    put(store, "older")
    saved = {key: client.dump(key) for key in (TOKEN, STATE)}
    time.sleep(0.01)
    put(store, "newer")
    with TokenReader(server.url, durations=Durations(reader_copy=0)) as reader:
        assert reader.get_token(APPID).access_token == "newer"
        for key, value in saved.items():
            assert isinstance(value, bytes)
            client.restore(key, 90_000 if key == TOKEN else 0, value, replace=True)

        assert reader.get_token(APPID).access_token == "newer"
        since = store.records.look(ID).in_doubt_since
        time.sleep(0.01)
        assert reader.get_token(APPID).access_token == "newer"
        assert store.records.look(ID).in_doubt == 1
        assert store.records.look(ID).in_doubt_since == since, "each read would put off what follows"
        assert client.zscore("tokenworker:due", str(ID)) == 0
        put(store, "newest")
        put(store, "newest")
        assert reader.get_token(APPID).access_token == "newest"


def test_a_token_that_follows_on_an_emptied_redis_is_newer_whatever_its_number(
    store: Store, server: RedisServer, client: redis.Redis
) -> None:
    for text in ("first", "second", "third"):
        put(store, text)
    with TokenReader(server.url, durations=Durations(reader_copy=0)) as reader:
        assert reader.get_token(APPID).access_token == "third"
        client.flushall()
        time.sleep(0.01)
        put(store, "fourth")

        assert reader.get_token(APPID).access_token == "fourth"


def test_a_connection_that_is_reset_in_use_costs_no_read(store: Store, server: RedisServer) -> None:
    """Firewalls forget connections, and answer what comes on them with a reset."""
    put(store)
    put(store, "another", account="wx2")
    with Firewall(server.port) as firewall, TokenReader(firewall.url, timeout=5) as reader:
        assert reader.get_token(APPID)
        firewall.forget()
        began = time.monotonic()

        assert reader.get_token("wx2").access_token == "another"
        assert time.monotonic() - began < 1


def test_a_read_that_is_interrupted_between_two_answers_spoils_no_later_one(
    store: Store, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(connection: Any) -> None:
        connection.read_response()
        raise KeyboardInterrupt

    put(store)
    put(store, "another", account="wx2")
    with TokenReader(server.url) as reader:
        with monkeypatch.context() as patch:
            patch.setattr("tokenworker.store.exchange._answer", interrupted)
            with pytest.raises(KeyboardInterrupt):
                reader.get_token(APPID)

        assert reader.get_token("wx2").access_token == "another"
        assert reader.get_token(APPID).access_token == "token"


def test_a_late_report_about_an_older_token_costs_nobody_anything(store: Store, server: RedisServer) -> None:
    put(store, "older")
    put(store, "token")
    with TokenReader(server.url) as reader:
        reader.get_token(APPID)
        reader.reject(APPID, "older")
        took, found = timed(lambda: reader.get_token(APPID))

    assert found == "token"
    assert took < 0.2

    assert store.schedule.claim(1, 60) == []


def test_a_report_that_reaches_nobody_is_an_error_and_the_token_is_not_used_again(own_server: RedisServer) -> None:
    with own_server.client() as client:
        put(Store(client))
    with TokenReader(own_server.url) as reader:
        reader.get_token(APPID)
        own_server.kill()
        with pytest.raises(StoreUnavailable):
            reader.reject(APPID, "token")
        with pytest.raises(TokenUnavailable, match="does not answer"):
            reader.get_token(APPID)


# With a Celery app


@pytest.fixture
def app(server: RedisServer) -> Iterator[Celery]:
    """An app that knows nothing of tokenworker, and has no result backend."""
    with Celery("service", broker=server.url, set_as_current=False) as app:
        yield app


def lose_token(client: redis.Redis) -> None:
    """Remove the token behind the worker's back."""
    key = f"tokenworker:{{{DEMO_APPID}}}:access_token"
    wait_for(lambda: client.get(key))
    client.delete(key)


@pytest.mark.parametrize("through", ["app", "broker's URL"])
def test_it_sends_for_a_token_that_is_missing(
    stack: Stack, server: RedisServer, client: redis.Redis, sandbox: Sandbox, app: Celery, through: str
) -> None:
    stack.worker()
    lose_token(client)
    with TokenReader(server.url, celery=app if through == "app" else server.url) as reader:
        took, found = timed(lambda: reader.get_token(DEMO_APPID))

    assert sandbox.verdict(found).works
    assert took < 2


def test_it_sends_for_another_token_after_a_report(
    stack: Stack, server: RedisServer, client: redis.Redis, sandbox: Sandbox, app: Celery
) -> None:
    stack.worker()
    wait_for(lambda: client.get(f"tokenworker:{{{DEMO_APPID}}}:access_token"))
    with TokenReader(server.url, celery=app) as reader:
        token = reader.get_token(DEMO_APPID)
        sandbox.revoke()
        reader.reject(DEMO_APPID, token.access_token)
        took, found = timed(lambda: reader.get_token(DEMO_APPID))

    assert sandbox.verdict(found).works
    assert took < 2


def test_a_false_report_costs_one_test_and_no_token(
    stack: Stack, server: RedisServer, client: redis.Redis, sandbox: Sandbox, app: Celery
) -> None:
    stack.worker()
    wait_for(lambda: client.get(f"tokenworker:{{{DEMO_APPID}}}:access_token"))
    with TokenReader(server.url, celery=app) as reader:
        token = reader.get_token(DEMO_APPID)
        reader.reject(DEMO_APPID, token.access_token)
        took, found = timed(lambda: reader.get_token(DEMO_APPID))

    assert found == token.access_token
    assert took < 2
    assert sandbox.counts().fetches == 1


def test_a_reader_that_may_not_write_reports_through_the_task(
    make_stack: Callable[..., Stack], own_server: RedisServer, sandbox: Sandbox
) -> None:
    make_stack(own_server, sandbox).worker()
    url = user_url(own_server, "+get", "+pttl", "+time", "~tokenworker:*")
    with TokenReader(url, celery=own_server.url) as reader:
        token = reader.get_token(DEMO_APPID)
        sandbox.revoke()
        reader.reject(DEMO_APPID, token.access_token)
        assert sandbox.verdict(reader.get_token(DEMO_APPID).access_token).works


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("config set maxmemory 1", "its memory is full: raise maxmemory, or find out what fills it"),
        ("replicaof 127.0.0.1 1", "it is a replica, which takes no writes: name its master in REDIS_URL"),
        ("config set min-replicas-to-write 1", "it has fewer replicas than min-replicas-to-write"),
    ],
)
@pytest.mark.parametrize("through", ["our connections", "an app"])
def test_a_report_that_redis_takes_in_no_way_says_once_why(
    own_server: RedisServer, command: str, reason: str, through: str
) -> None:
    own_app = Celery("theirs", broker=own_server.url, set_as_current=False)
    with (
        own_server.client() as client,
        TokenReader(own_server.url, celery=own_server.url if through == "our connections" else own_app) as reader,
    ):
        put(client)
        client.execute_command(*command.split())
        with pytest.raises(StoreUnavailable) as raised:
            reader.reject(APPID, "token")

    assert raised.value.reason.startswith(f"Redis refuses: {reason}")
    assert raised.value.reason.count("Redis refuses") == 1


@pytest.mark.parametrize(
    ("broker", "said"),
    [
        ("redis://shop:a-password@{}", "Redis refuses: look at user and password in REDIS_URL (AuthenticationError: "),
        ("redis://:a-password@127.0.0.1:1", "Redis does not answer (ConnectionError: Error 111 connecting to "),
        ("amqp://shop:a-password@127.0.0.1:1//", "ConnectionRefusedError: Connection refused"),
        ("nothing://shop:a-password@127.0.0.1", "KeyError"),
    ],
)
def test_a_report_that_neither_redis_nor_the_broker_takes_says_why_of_both(
    own_server: RedisServer, broker: str, said: str
) -> None:
    place = own_server.url.removeprefix("redis://")
    with own_server.client() as client, TokenReader(own_server.url, celery=broker.format(place)) as reader:
        put(client)
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable) as raised:
            reader.reject(APPID, "token")

    first, second = raised.value.reason.split("; and ")
    assert first.startswith("Redis refuses: its memory is full: raise maxmemory")
    assert second.startswith(f"the task tokenworker.refresh_token can't be sent: {said}")
    assert "a-password" not in raised.value.reason


def test_inside_a_task_it_works_too(stack: Stack, server: RedisServer, client: redis.Redis, app: Celery) -> None:
    (stack.folder / "theirs.py").write_text(
        "from celery import Celery\n"
        "from tokenworker import TokenReader\n"
        f"app = Celery('theirs', broker={server.url!r}, backend={server.url!r})\n"
        "app.conf.task_default_queue = 'theirs'\n"
        f"reader = TokenReader({server.url!r}, celery=app)\n"
        "@app.task(name='theirs.work')\n"
        f"def work(): return reader.get_token({DEMO_APPID!r}).fingerprint\n"
    )
    stack.worker()
    stack.run("celery", "--app=theirs", "worker", "-P", "prefork", "-c", "1", "--loglevel=INFO")
    lose_token(client)
    sent = app.send_task("theirs.work", queue="theirs")
    result = wait_for(lambda: client.get(f"celery-task-meta-{sent.id}"), timeout=20)

    value = client.get(f"tokenworker:{{{DEMO_APPID}}}:access_token")
    assert isinstance(value, bytes)
    assert fingerprint(value.decode()) in str(result)


def test_many_threads_send_one_task(server: RedisServer, client: redis.Redis, app: Celery) -> None:
    with TokenReader(server.url, celery=app, durations=Durations(reader_patience=0.5)) as reader:
        reads = in_threads(lambda: [timed(lambda: reader.get_token(APPID))])

    assert {found for _, found in reads} == {"none"}
    assert client.llen("tokenworker") == 1


def test_for_a_ticket_it_sends_the_task_for_any_credential(
    server: RedisServer, client: redis.Redis, app: Celery
) -> None:
    quick = Durations(reader_patience=0.2)
    with TokenReader(server.url, celery=app, durations=quick) as reader, pytest.raises(TokenUnavailable):
        reader.get_ticket(APPID, "wx_card")
    message = json.loads(client.lrange("tokenworker", 0, -1)[0])
    _, arguments, _ = json.loads(b64decode(message["body"]))

    assert message["headers"]["task"] == "tokenworker.refresh_token"
    assert arguments == {"appid": APPID, "name": "wx_card_ticket", "rejected": None}


def test_it_does_not_wait_for_what_it_waited_for_in_vain_just_now(server: RedisServer, app: Celery) -> None:
    with TokenReader(server.url, celery=app, durations=Durations(reader_patience=0.5)) as reader:
        first, _ = timed(lambda: reader.get_token(APPID))
        second, _ = timed(lambda: reader.get_token(APPID))

    assert first > 0.45
    assert second < 0.2


def test_it_does_not_wait_when_the_next_fetch_is_farther_away(store: Store, server: RedisServer, app: Celery) -> None:
    taken = store.records.lease(ID, 5)
    assert taken
    lease, _ = taken
    store.records.fail(lease, retry_at=store.now() + 60, error="WeChat answered 40125", errcode=40125)
    with TokenReader(server.url, celery=app) as reader:
        began = time.monotonic()
        with pytest.raises(TokenUnavailable, match="40125"):
            reader.get_token(APPID)

    assert time.monotonic() - began < 1


def test_a_broker_that_hangs_or_is_away_is_named(own_server: RedisServer, server: RedisServer) -> None:
    with TokenReader(server.url, celery=own_server.url) as reader:
        began = time.monotonic()
        with frozen(own_server), pytest.raises(TokenUnavailable, match="broker does not take"):
            reader.get_token(APPID)
        assert time.monotonic() - began < 3
        own_server.kill()
        with pytest.raises(TokenUnavailable, match=r"can't be sent|does not take"):
            reader.get_token(APPID)
