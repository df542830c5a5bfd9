"""What services on asyncio read with: the same, but for the waiting."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import redis
from support.credentials import put
from support.processes import RedisServer, Stack, wait_for
from support.readers import APPID, STATE, Clock, calls

from tokenworker import AsyncTokenReader, Credential, Durations, StoreUnavailable, TokenUnavailable, WrongArgument
from tokenworker.credential import CredentialId, fingerprint
from tokenworker.sandbox import DEMO_APPID, Sandbox
from tokenworker.store.store import Store

LONGEST = 0.6
TASKS = 8
ID = CredentialId(APPID)


@asynccontextmanager
async def frozen(server: RedisServer) -> AsyncIterator[None]:
    server.send_signal(signal.SIGSTOP)
    yield
    server.send_signal(signal.SIGCONT)


async def timed(read: Awaitable[Credential]) -> tuple[float, str]:
    began = time.monotonic()
    try:
        text = (await read).access_token
    except TokenUnavailable:
        text = "none"
    return time.monotonic() - began, text


async def at_once(work: Callable[[], Awaitable[list[tuple[float, str]]]]) -> list[tuple[float, str]]:
    return [read for reads in await asyncio.gather(*(work() for _ in range(TASKS))) for read in reads]


def test_a_reader_gets_the_live_token_and_keeps_it_for_a_second(store: Store, server: RedisServer) -> None:
    async def read() -> None:
        clock = Clock()
        async with AsyncTokenReader(server.url, clock=clock) as reader:
            token = await reader.get_token(APPID)
            assert token.expires_in(store.now()) == pytest.approx(100, abs=0.5)
            put(store, "newer")
            clock.now = 0.999
            assert await reader.get_token(APPID) is token
            clock.now = 1.0
            assert (await reader.get_token(APPID)).access_token == "newer"

    put(store)
    asyncio.run(read())


def test_every_credential_is_read_signed_with_and_reported(store: Store, server: RedisServer) -> None:
    async def read() -> None:
        async with AsyncTokenReader(server.url, durations=Durations(reader_patience=0.2)) as reader:
            assert (await reader.get_credential("ww1/7")).value == "token"
            assert (await reader.get_ticket("ww1/7", "agent")).ticket == "ticket"
            signed = await reader.sign_url("ww1/7", "https://shop.example/", ticket="agent")
            assert signed.keys() == {"appId", "timestamp", "nonceStr", "signature"}
            assert signed["appId"] == "ww1"
            await reader.reject("ww1/7", "ticket", "agent_ticket")
            with pytest.raises(TokenUnavailable, match="no agent_ticket for ww1/7: WeChat refused it"):
                await reader.get_ticket("ww1/7", "agent")
            with pytest.raises(WrongArgument, match="write 'agent'"):
                await reader.get_ticket("ww1/7", "agent_ticket")

    put(store, account="ww1/7")
    put(store, "ticket", account="ww1/7", name="agent_ticket")
    asyncio.run(read())


def test_a_read_under_way_does_not_bring_back_what_was_refused(own_server: RedisServer) -> None:
    async def read() -> None:
        async with AsyncTokenReader(own_server.url, durations=Durations(reader_copy=0, reader_patience=0.3)) as reader:
            async with frozen(own_server):
                under_way = asyncio.create_task(reader.get_token(APPID))
                await asyncio.sleep(0.1)
                report = asyncio.create_task(reader.reject(APPID, "token"))
                await asyncio.sleep(0.1)
            await report
            with pytest.raises(TokenUnavailable, match="WeChat refused it"):
                await reader.get_token(APPID)
            with pytest.raises(TokenUnavailable):
                await under_way

    with own_server.client() as client:
        put(client)
    asyncio.run(read())


def test_it_says_why_there_is_no_token(server: RedisServer, client: redis.Redis) -> None:
    async def read() -> None:
        async with AsyncTokenReader(server.url) as reader:
            with pytest.raises(TokenUnavailable, match="add it") as caught:
                await reader.get_token(APPID)
        assert caught.value.errcode == 40164

    client.hset(STATE, mapping={"error": "WeChat answered 40164", "errcode": "40164", "hint": "add it"})
    asyncio.run(read())


def test_a_frozen_redis_holds_up_no_task_for_long(own_server: RedisServer) -> None:
    async def read() -> None:
        async with AsyncTokenReader(own_server.url, durations=Durations(reader_copy=0.3)) as reader:
            await reader.get_token(APPID)

            async def again() -> list[tuple[float, str]]:
                reads, end = [], time.monotonic() + 2
                while time.monotonic() < end:
                    reads.append(await timed(reader.get_token(APPID)))
                    await asyncio.sleep(0.002)
                return reads

            async with frozen(own_server):
                reads = await at_once(again)
        assert {found for _, found in reads} == {"token"}
        assert max(reads)[0] < LONGEST
        assert 1 <= len([took for took, _ in reads if took > 0.2]) <= 2 / 0.7 + 2

    with own_server.client() as client:
        put(Store(client))
    asyncio.run(read())


def test_without_redis_and_without_a_copy_it_says_so_quickly(own_server: RedisServer) -> None:
    async def read() -> None:
        async with frozen(own_server), AsyncTokenReader(own_server.url) as reader:
            reads = await at_once(lambda: at_once_one(reader))
        assert {found for _, found in reads} == {"none"}
        assert max(reads)[0] < LONGEST

    async def at_once_one(reader: AsyncTokenReader) -> list[tuple[float, str]]:
        return [await timed(reader.get_token(APPID))]

    asyncio.run(read())


def test_tasks_without_a_copy_wait_for_the_one_that_asks(
    store: Store, server: RedisServer, client: redis.Redis
) -> None:
    async def read() -> None:
        async with AsyncTokenReader(server.url) as reader:
            tokens = await asyncio.gather(*(reader.get_token(APPID) for _ in range(TASKS)))
        assert {token.access_token for token in tokens} == {"token"}

    put(store)
    before = calls(client, "get")
    asyncio.run(read())
    assert calls(client, "get") - before == 2


def test_a_task_that_is_cancelled_leaves_its_turn_to_others(own_server: RedisServer) -> None:
    async def read() -> None:
        async with AsyncTokenReader(own_server.url) as reader:
            async with frozen(own_server):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await reader.get_token(APPID)
            took, found = await timed(reader.get_token(APPID))
        assert found == "token"
        assert took < 0.2

    with own_server.client() as client:
        put(Store(client))
    asyncio.run(read())


def test_an_event_loop_may_end_and_another_begin(store: Store, server: RedisServer, client: redis.Redis) -> None:
    reader = AsyncTokenReader(server.url, durations=Durations(reader_copy=0))
    put(store)
    before = client.info("clients")["connected_clients"]
    for _ in range(3):
        assert asyncio.run(reader.get_token(APPID)).access_token == "token"
    assert not reader._flights
    asyncio.run(reader.aclose())

    wait_for(lambda: client.info("clients")["connected_clients"] == before)


def test_a_loop_that_is_closed_while_it_reads_does_no_harm(own_server: RedisServer) -> None:
    reader = AsyncTokenReader(own_server.url, durations=Durations(reader_copy=0))
    with own_server.client() as client:
        put(client)
    own_server.send_signal(signal.SIGSTOP)
    loop = asyncio.new_event_loop()
    read = loop.create_task(reader.get_token(APPID))
    loop.run_until_complete(asyncio.sleep(0.1))
    read.cancel()
    loop.run_until_complete(asyncio.gather(read, return_exceptions=True))
    # Its thread reads on, and finds no loop to tell.
    loop.close()
    own_server.send_signal(signal.SIGCONT)

    assert asyncio.run(reader.get_token(APPID)).access_token == "token"
    assert not reader._flights
    asyncio.run(reader.aclose())


def test_two_event_loops_share_a_reader(store: Store, server: RedisServer) -> None:
    reader = AsyncTokenReader(server.url, durations=Durations(reader_copy=0))
    found: list[str] = []

    async def read() -> None:
        found.extend([(await reader.get_token(APPID)).access_token for _ in range(100)])

    put(store)
    threads = [threading.Thread(target=lambda: asyncio.run(read())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == ["token"] * 400


def test_after_a_report_it_waits_for_another_token(store: Store, server: RedisServer) -> None:
    async def report() -> tuple[float, str]:
        async with AsyncTokenReader(server.url) as reader:
            token = await reader.get_token(APPID)
            await reader.reject(APPID, token.access_token)
            assert store.records.look(ID).rejected == fingerprint("token")
            timer = threading.Timer(0.3, put, (store, "newer"))
            timer.start()
            outcome = await timed(reader.get_token(APPID))
            timer.join()
            return outcome

    put(store)
    took, found = asyncio.run(report())
    assert found == "newer"
    assert 0.2 < took < 0.8


def test_a_report_that_reaches_nobody_is_an_error(own_server: RedisServer) -> None:
    async def report() -> None:
        async with AsyncTokenReader(own_server.url) as reader:
            with pytest.raises(StoreUnavailable):
                await reader.reject(APPID, "token")

    own_server.kill()
    asyncio.run(report())


def test_it_sends_for_a_token_that_is_missing(
    stack: Stack, server: RedisServer, client: redis.Redis, sandbox: Sandbox
) -> None:
    async def read() -> str:
        async with AsyncTokenReader(server.url, celery=server.url) as reader:
            return (await reader.get_token(DEMO_APPID)).access_token

    stack.worker()
    key = f"tokenworker:{{{DEMO_APPID}}}:access_token"
    wait_for(lambda: client.get(key))
    client.delete(key)
    assert sandbox.verdict(asyncio.run(read())).works
