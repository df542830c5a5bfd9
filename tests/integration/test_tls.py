"""TLS on the way to Redis: an authority of one's own, and certificates of clients, in each form of REDIS_URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.certificates import Certificates, TlsServer, program_with_tls
from support.clusters import ClusterSet
from support.processes import Stack, wait_for
from support.sentinels import SERVICE, SentinelSet
from support.usage import by_async_reader, by_reader, command, faults, useless_ways

from tokenworker import TokenReader
from tokenworker.errors import StoreUnavailable, TokenUnavailable
from tokenworker.sandbox import DEMO_APPID, Sandbox
from tokenworker.store.connect import connect
from tokenworker.store.store import Store

KEY = f"tokenworker:{{{DEMO_APPID}}}:access_token"
HERE = ("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates") / "ours", *HERE)


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """What another authority issued."""
    return Certificates(tmp_path_factory.mktemp("certificates") / "theirs", *HERE)


def started(server: TlsServer) -> Iterator[TlsServer]:
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def plain(tmp_path: Path, certificates: Certificates) -> Iterator[TlsServer]:
    """A server that wants no certificate of its clients."""
    yield from started(TlsServer(tmp_path / "plain", certificates))


@pytest.fixture
def strict(tmp_path: Path, certificates: Certificates) -> Iterator[TlsServer]:
    """A server that wants one."""
    yield from started(TlsServer(tmp_path / "strict", certificates, clients=True))


def refusals(url: str) -> dict[str, str]:
    """Return what each way to Redis says of a URL that does not lead there; "" where it does."""
    return {
        "store": of_store(url),
        "reader": of_reader(by_reader, url),
        "async reader": of_reader(by_async_reader, url),
    }


def of_store(url: str) -> str:
    try:
        with closing(Store(connect(url))) as store:
            store.now()
    except StoreUnavailable as error:
        return str(error)
    return ""


def of_reader(read: Callable[[str], str], url: str) -> str:
    try:
        read(url)
    except (StoreUnavailable, TokenUnavailable) as error:
        return "" if "nobody keeps one for this account" in str(error) else str(error)
    return ""


NOTHING = {"store": "", "reader": "", "async reader": ""}


# One server


def test_an_authority_of_ones_own_has_to_be_named(plain: TlsServer, certificates: Certificates) -> None:
    assert refusals(f"{plain.url}?{certificates.query()}") == NOTHING
    for way, refusal in refusals(plain.url).items():
        assert "certificate verify failed" in refusal, way


def test_the_certificate_of_another_authority_is_refused(plain: TlsServer, strangers: Certificates) -> None:
    for way, refusal in refusals(f"{plain.url}?{strangers.query()}").items():
        assert "certificate verify failed" in refusal, way


def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    elsewhere = Certificates(tmp_path / "certificates", "redis.example.com")
    server = TlsServer(tmp_path / "server", elsewhere)
    server.start()
    for way, refusal in refusals(f"{server.url}?{elsewhere.query()}").items():
        assert "IP address mismatch" in refusal, way
    server.kill()


def test_a_server_that_wants_a_certificate_gets_one(strict: TlsServer, certificates: Certificates) -> None:
    assert refusals(f"{strict.url}?{certificates.query(client=True)}") == NOTHING
    for way, refusal in refusals(f"{strict.url}?{certificates.query()}").items():
        assert "certificate required" in refusal or "does not answer" in refusal, way


def test_the_certificate_of_a_stranger_is_refused(
    strict: TlsServer, certificates: Certificates, strangers: Certificates
) -> None:
    certificate, key = strangers.client
    url = f"{strict.url}?{certificates.query()}&ssl_certfile={certificate}&ssl_keyfile={key}"

    assert all("does not answer" in refusal for refusal in refusals(url).values())


@pytest.mark.timeout(90)
def test_worker_beat_tasks_readers_and_commands_show_their_certificate(
    make_stack: Callable[..., Stack], strict: TlsServer, certificates: Certificates, sandbox: Sandbox
) -> None:
    url = f"{strict.url}?{certificates.query(client=True)}"
    stack = make_stack(strict, sandbox, REDIS_URL=url)
    stack.worker()
    stack.beat()
    wait_for(lambda: "tokenworker:ticked" in keys(url), timeout=20)
    check = command(stack, "check")

    assert useless_ways(stack, url, sandbox) == {}
    assert faults(check) == []
    stack.environ["REDIS_URL"] = f"{strict.url}?{certificates.query()}"
    check = command(stack, "check")
    assert check.returncode == 1
    assert "FAULT Redis" in check.stdout


def keys(url: str) -> str:
    client = connect(url)
    with closing(client):
        return str(client.keys("*"))  # type: ignore[union-attr]


# Sentinels


@pytest.fixture
def sentinels(tmp_path: Path, certificates: Certificates) -> Iterator[SentinelSet]:
    """Servers and Sentinels that speak TLS alone, to each other too, and want a certificate of all."""
    with SentinelSet(tmp_path / "set", certificates=certificates) as sentinels:
        yield sentinels


@pytest.mark.timeout(90)
def test_sentinels_and_the_master_that_they_name_are_reached_by_tls(
    make_stack: Callable[..., Stack], sentinels: SentinelSet, certificates: Certificates, sandbox: Sandbox
) -> None:
    assert refusals(sentinels.url) == NOTHING
    assert all(refusals(f"sentinels://{sentinels.hosts}/{SERVICE}?{certificates.query()}").values())
    assert all(refusals(f"sentinel://{sentinels.hosts}/{SERVICE}").values())

    sentinels.failover()
    wait_for(lambda: refusals(sentinels.url) == NOTHING, timeout=20)
    told = command(make_stack(sentinels, sandbox, TOKENWORKER_REPLICAS="0"), "check").stdout
    assert f"3 of 3 name 127.0.0.1:{sentinels.master().port}" in told
    assert "FAULT Redis" not in told


# A cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[ClusterSet]:
    folder = tmp_path_factory.mktemp("cluster") / "set"
    with ClusterSet(folder, tls=certificates.settings(clients=True), program=program_with_tls()) as cluster:
        yield cluster


def test_every_node_of_a_cluster_is_reached_by_tls(cluster: ClusterSet, certificates: Certificates) -> None:
    url = f"{cluster.tls_url}?{certificates.query(client=True)}"
    with cluster.client() as client:
        for account in ("wx1", "wx2", "wx3", "wx4", "wx5", "wx6"):
            client.set(f"tokenworker:{{{account}}}:access_token", f"token-of-{account}", px=60_000)

    assert refusals(url) == NOTHING
    assert read_all(url) == {f"token-of-wx{number}" for number in range(1, 7)}
    assert all(refusals(f"{cluster.tls_url}?{certificates.query()}").values())
    assert all(refusals(cluster.tls_url).values())


def read_all(url: str) -> set[str]:
    with TokenReader(url, timeout=2) as reader:
        return {reader.get_token(f"wx{number}").access_token for number in range(1, 7)}
