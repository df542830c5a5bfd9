"""The queue and the results at the master that Sentinels name, and all else at another Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
import redis
from support.certificates import Certificates
from support.flower import Flower
from support.processes import TICKED, RedisServer, Stack, wait_for, wait_for_beat
from support.sentinels import SERVICE, SentinelSet
from support.usage import command

from tokenworker.sandbox import Sandbox

PASSWORD, HOP_PASSWORD = "p@ss/1", "s:entinel?"


@pytest.fixture
def stack_on(make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox) -> Callable[[str], Stack]:
    """Return a function that makes a stack with the queue and the results at a URL."""
    return lambda url: make_stack(server, sandbox, CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND=url)


# Passwords at the servers, and others at the Sentinels


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSet]:
    folder = tmp_path_factory.mktemp("sentinels") / "set"
    with SentinelSet(folder, password=PASSWORD, sentinel_password=HOP_PASSWORD) as sentinels:
        yield sentinels


def test_a_frozen_sentinel_and_a_frozen_master_hold_the_queue_up_for_seconds_only(
    stack_on: Callable[[str], Stack], sentinels: SentinelSet, client: redis.Redis
) -> None:
    stack = stack_on(sentinels.url)
    stack.worker()
    stack.beat()
    wait_for_beat(client)
    frozen = [sentinels.freeze_master(), sentinels.sentinels[0]]
    sentinels.freeze(frozen[1])
    client.delete(TICKED)

    # Celery leaves a master that was silent for 15 s, and looks every 5 s, or later when something else holds it up.
    wait_for(lambda: client.get(TICKED), timeout=50)
    for node in frozen:
        sentinels.wake(node)
    sentinels.wait_until_whole()


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ("sentinel://{hosts}/{service}", "they want a login, sentinel_username and sentinel_password in the URL"),
        ("sentinel://{hosts}/other?sentinel_password={hop}", "they watch none of that name, or it is down"),
        ("sentinel://127.0.0.1:{server}/{service}", "at least one of them is no Sentinel"),
        ("sentinel://127.0.0.1:1/{service}", "Connection refused"),
        ("sentinel://{hosts}/{service}?sentinel_password={hop}", "Authentication required"),
        ("redis://:{hop}@127.0.0.1:{first}/0", "this broker is a Sentinel, which keeps nothing: write sentinel://"),
    ],
)
def test_what_is_wrong_with_the_way_to_the_queue_is_a_sentence(
    stack_on: Callable[[str], Stack], sentinels: SentinelSet, server: RedisServer, form: str, sentence: str
) -> None:
    facts = {"hosts": sentinels.hosts, "first": sentinels.sentinels[0].port, "server": server.port, "service": SERVICE}

    assert sentence in refused(stack_on(form.format(hop=quote(HOP_PASSWORD), **facts)))


def refused(stack: Stack) -> str:
    """Run `check` where the queue can't be used, and return what it says."""
    run = command(stack, "check")
    assert run.returncode == 1
    assert "Traceback" not in run.stdout + run.stderr
    assert not [word for word in (PASSWORD, HOP_PASSWORD, quote(HOP_PASSWORD)) if word in run.stdout + run.stderr]
    return " ".join(run.stdout.split())


# TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates") / "ours", "localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def with_tls(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[SentinelSet]:
    """Servers and Sentinels that speak TLS alone, and want a certificate of their clients."""
    with SentinelSet(tmp_path_factory.mktemp("with_tls") / "set", certificates=certificates) as sentinels:
        yield sentinels


def test_every_hop_is_by_tls_with_an_own_authority_and_certificates_of_clients(
    stack_on: Callable[[str], Stack], with_tls: SentinelSet, client: redis.Redis
) -> None:
    stack = stack_on(with_tls.url)
    stack.worker()
    stack.beat()
    flower = Flower(stack)
    wait_for_beat(client)

    assert "a task was sent, run and answered" in command(stack, "check").stdout
    flower.finds_worker_and_queue()


def test_a_certificate_of_an_unknown_authority_is_refused(
    stack_on: Callable[[str], Stack], with_tls: SentinelSet
) -> None:
    assert "CERTIFICATE_VERIFY_FAILED" in refused(stack_on(with_tls.url.partition("?")[0]))
