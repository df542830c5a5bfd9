"""The queue and the results at the master that Sentinels name."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from shutil import which
from urllib.parse import quote

import pytest
import redis
import trustme
from support.processes import RedisServer, Stack, free_port, wait_for, wait_for_beat
from support.queue_sentinels import SERVICE, Sentinels

from tokenworker.sandbox import Sandbox

PASSWORD, HOP_PASSWORD = "p@ss/1", "s:entinel?"

#: There since a tick came through.
TICKED = "tokenworker:ticked"


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    """Passwords at the servers, and others at the Sentinels."""
    sentinels = Sentinels(
        tmp_path,
        options=["--requirepass", PASSWORD, "--masterauth", PASSWORD],
        lines=[f"sentinel auth-pass {SERVICE} {PASSWORD}", f"requirepass {HOP_PASSWORD}"],
        login={"password": PASSWORD},
        hop={"password": HOP_PASSWORD},
    )
    with closing(sentinels):
        sentinels.start()
        yield sentinels


def command(stack: Stack, *words: str) -> str:
    """Run a command to its end, and return what it says."""
    run = subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        check=False,
        env=stack.environ,
        cwd=stack.folder,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert not {PASSWORD, HOP_PASSWORD} & set((run.stdout + run.stderr).split("'"))
    return run.stdout


def page(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
            return str(answer.read(), "utf-8")
    except OSError:
        return ""


def test_worker_beat_flower_and_commands_work_before_and_after_the_master_dies(
    make_stack: Callable[..., Stack], sentinels: Sentinels, server: RedisServer, client: redis.Redis, sandbox: Sandbox
) -> None:
    url = f"sentinel://:{quote(PASSWORD, safe='')}@{sentinels.hosts}/{SERVICE}?sentinel_password={quote(HOP_PASSWORD)}"
    stack = make_stack(server, sandbox, CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND=url)
    worker, beat, port = stack.worker(), stack.beat(), free_port()
    flower = stack.run("celery", "--app=tokenworker", "flower", "--address=127.0.0.1", f"--port={port}")
    wait_for_beat(client)

    assert "w0@test: OK" in command(stack, "celery", "--app=tokenworker", "inspect", "ping")
    assert "a task was sent, run and answered" in command(stack, "tokenworker.cli", "check")
    assert '"outcome"' in command(stack, "tokenworker.cli", "refresh")
    wait_for(lambda: "w0@test" in page(port, "workers"), timeout=20)
    assert "tokenworker" in page(port, "broker").partition("<tbody>")[2]

    killed = sentinels.master()
    assert killed
    killed.kill()
    wait_for(lambda: sentinels.master() not in {None, killed}, timeout=20)
    wait_for_beat(client)
    assert "a task was sent, run and answered" in command(stack, "tokenworker.cli", "check")
    assert (worker.poll(), beat.poll(), flower.poll()) == (None, None, None)
    assert not [secret for secret in (PASSWORD, HOP_PASSWORD, quote(PASSWORD, safe="")) if secret in stack.logs()]


def test_a_frozen_sentinel_and_a_frozen_master_hold_the_queue_up_for_seconds_only(
    make_stack: Callable[..., Stack], sentinels: Sentinels, server: RedisServer, client: redis.Redis, sandbox: Sandbox
) -> None:
    url = f"sentinel://:{quote(PASSWORD, safe='')}@{sentinels.hosts}/{SERVICE}?sentinel_password={quote(HOP_PASSWORD)}"
    stack = make_stack(server, sandbox, CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND=url)
    stack.worker()
    stack.beat()
    wait_for_beat(client)
    sentinels.freeze()
    client.delete(TICKED)

    wait_for(lambda: client.get(TICKED), timeout=40)


@pytest.fixture
def certificates(tmp_path: Path) -> dict[str, str]:
    """The files of an authority of our own and of a certificate, by redis-py's names."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    files = {name: str(tmp_path / f"{name}.pem") for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")}
    authority.cert_pem.write_to_path(files["ssl_ca_certs"])
    issued.cert_chain_pems[0].write_to_path(files["ssl_certfile"])
    issued.private_key_pem.write_to_path(files["ssl_keyfile"])
    return files


def speaks_tls(program: str) -> bool:
    """Return whether a server misses no more than its certificate when it is told to use TLS."""
    command = [program, "--port", "0", "--tls-port", str(free_port())]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return "No tls-cert-file" in run.stdout


@pytest.fixture
def with_tls(tmp_path: Path, certificates: dict[str, str]) -> Iterator[Sentinels]:
    """Servers and Sentinels that speak TLS alone, and want a certificate of their clients."""
    program = which("redis-server")
    if not program or not speaks_tls(program):
        pytest.skip("no redis-server with TLS is on the PATH")
    tls = {
        "port": "0",
        "tls-port": "PORT",
        "tls-replication": "yes",
        "tls-ca-cert-file": certificates["ssl_ca_certs"],
        "tls-cert-file": certificates["ssl_certfile"],
        "tls-key-file": certificates["ssl_keyfile"],
    }
    client: dict[str, str | bool] = {"ssl": True, **certificates}
    sentinels = Sentinels(
        tmp_path,
        options=[word for name, value in tls.items() for word in (f"--{name}", value)],
        lines=[f"{name} {value}" for name, value in tls.items()],
        login=client,
        hop=client,
        program=Path(program),
    )
    with closing(sentinels):
        sentinels.start()
        yield sentinels


def test_every_hop_is_by_tls_with_an_own_authority_and_certificates_of_clients(
    make_stack: Callable[..., Stack],
    with_tls: Sentinels,
    certificates: dict[str, str],
    server: RedisServer,
    client: redis.Redis,
    sandbox: Sandbox,
) -> None:
    url = f"sentinels://{with_tls.hosts}/{SERVICE}?" + "&".join(f"{name}={file}" for name, file in certificates.items())
    stack = make_stack(server, sandbox, CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND=url)
    stack.worker()
    stack.beat()
    port = free_port()
    stack.run("celery", "--app=tokenworker", "flower", "--address=127.0.0.1", f"--port={port}")
    wait_for_beat(client)

    assert "a task was sent, run and answered" in command(stack, "tokenworker.cli", "check")
    wait_for(lambda: "w0@test" in page(port, "workers"), timeout=20)
    assert "tokenworker" in page(port, "broker").partition("<tbody>")[2]


def test_a_certificate_of_an_unknown_authority_is_refused(
    make_stack: Callable[..., Stack], with_tls: Sentinels, server: RedisServer, sandbox: Sandbox
) -> None:
    url = f"sentinels://{with_tls.hosts}/{SERVICE}"
    stack = make_stack(server, sandbox, CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND=url)

    assert "CERTIFICATE_VERIFY_FAILED" in refused(stack)


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
    make_stack: Callable[..., Stack],
    sentinels: Sentinels,
    server: RedisServer,
    sandbox: Sandbox,
    form: str,
    sentence: str,
) -> None:
    facts = {"hosts": sentinels.hosts, "first": sentinels.ports[0], "server": server.port, "service": SERVICE}
    url = form.format(hop=quote(HOP_PASSWORD), **facts)
    stack = make_stack(server, sandbox, CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND=url)

    assert sentence in refused(stack)


def refused(stack: Stack) -> str:
    """Run `check` where the queue can't be used, and return what it says."""
    command = [sys.executable, "-m", "tokenworker.cli", "check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=stack.environ, cwd=stack.folder)
    assert run.returncode == 1
    assert "Traceback" not in run.stdout + run.stderr
    assert not [word for word in (PASSWORD, HOP_PASSWORD, quote(HOP_PASSWORD)) if word in run.stdout + run.stderr]
    return " ".join(run.stdout.split())
