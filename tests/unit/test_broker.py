"""Celery's own variables: we use the broker that a worker uses, and say when that is a surprise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tokenworker.errors import ConfigError
from tokenworker.settings.config import Config, broker_notes
from tokenworker.settings.urls import NO_CELERY
from tokenworker.worker.app.settings import MARK, settings

CANARY = "c0ffee11c0ffee22c0ffee33c0ffee44"
OURS = f"redis://:{CANARY}@ours/0"
OTHER = f"redis://:{CANARY}@other/3"
SHELL = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("environ", "broker", "backend"),
    [
        ({"BROKER_URL": OTHER}, OTHER, OURS),
        ({"RESULT_BACKEND": OTHER}, OURS, OTHER),
        ({"BROKER_URL": OTHER, "CELERY_BROKER_URL": OTHER}, OTHER, OURS),
        ({"BROKER_URL": "  ", "CELERY_BROKER_URL": OTHER}, OTHER, OURS),
        ({"BROKER_URL": "amqp://rabbit//", "RESULT_BACKEND": "rpc://"}, "amqp://rabbit//", "rpc://"),
    ],
)
def test_the_variables_of_celerys_command_line_win(environ: dict[str, str], broker: str, backend: str) -> None:
    config = Config.from_env({"REDIS_URL": OURS, **environ})

    assert (config.broker_url, config.result_backend.removesuffix("?protocol=2")) == (broker, backend)
    assert config.redis_url == OURS


@pytest.mark.parametrize(
    "url",
    [
        "rpc://",
        "rpc",
        "disabled",
        "db+sqlite:///results",
        "cache+memory://",
        "redis+socket:///run/redis.sock?virtual_host=0",
        "sentinel://s1/0;sentinel://s2/0",
        "shop.results:Backend",
        "shop.results.Backend+redis://h/0",
    ],
)
def test_results_may_be_wherever_celery_can_keep_them(url: str) -> None:
    assert Config.from_env({"CELERY_RESULT_BACKEND": url}).result_backend == url


@pytest.mark.parametrize("command", ["worker", "beat", "flower"])
@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ({"CELERY_RESULT_BACKEND": "mongodb://h"}, "results can't be kept: ImproperlyConfigured: You need to install"),
        ({"CELERY_RESULT_BACKEND": "shop.results"}, "No module named 'shop': pip install shop"),
        ({"CELERY_BROKER_URL": "nope://h"}, "the queue can't be used: KeyError: 'No such transport: nope'"),
    ],
)
def test_a_library_that_is_not_here_ends_our_celery_app_with_a_sentence(
    command: str, place: dict[str, str], sentence: str
) -> None:
    celery = [sys.executable, "-m", "celery", "--app=tokenworker", command]
    run = subprocess.run(celery, capture_output=True, text=True, check=False, env=SHELL | place, timeout=60)

    assert run.returncode == 1
    assert sentence in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


@pytest.mark.parametrize(
    "environ",
    [
        {"BROKER_URL": "redis://b/1"},
        {"CELERY_BROKER_URL": "redis://b/1"},
        {"BROKER_URL": "redis://b/1", "CELERY_BROKER_URL": "redis://c/2"},
        {"RESULT_BACKEND": "redis://r/1"},
        {"CELERY_RESULT_BACKEND": "redis://r/1", "BROKER_URL": "redis://b/1"},
        {},
    ],
)
def test_we_see_what_celerys_command_line_sees(environ: dict[str, str]) -> None:
    code = (
        "import sys\n"
        "import celery.bin.celery as cli\n"
        "from tokenworker.settings.config import Config\n"
        "@cli.celery.command('show')\n"
        "@cli.click.pass_context\n"
        "def show(context):\n"
        "    conf, config = context.obj.app.conf, Config.from_env()\n"
        "    print(conf.broker_url == config.broker_url, conf.result_backend == config.result_backend)\n"
        "sys.argv[1:] = ['--app=tokenworker', 'show']\n"
        "cli.main()\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=SHELL | environ)

    assert (run.stdout, run.stderr) == ("True True\n", "")


@pytest.mark.parametrize("names", [("BROKER_URL", "CELERY_BROKER_URL"), ("RESULT_BACKEND", "CELERY_RESULT_BACKEND")])
def test_two_variables_that_disagree_are_refused_without_showing_a_url(names: tuple[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_env({names[0]: OURS, names[1]: OTHER})

    (fault,) = caught.value.faults
    assert fault.startswith(f"{names[0]} and {names[1]} lead to different places")
    assert CANARY not in fault


@pytest.mark.parametrize(
    ("environ", "beginnings"),
    [
        ({}, []),
        ({"CELERY_BROKER_URL": OTHER, "CELERY_RESULT_BACKEND": OTHER}, []),
        ({"BROKER_URL": OURS, "RESULT_BACKEND": OURS}, []),
        ({"BROKER_URL": OTHER, "CELERY_BROKER_URL": OTHER}, []),
        ({"BROKER_URL": OTHER}, ["BROKER_URL is set, and Celery prefers it: it leads elsewhere than REDIS_URL"]),
        ({"RESULT_BACKEND": OTHER}, ["RESULT_BACKEND is set"]),
        ({"BROKER_URL": OTHER, "RESULT_BACKEND": OTHER}, ["BROKER_URL", "RESULT_BACKEND"]),
        ({"CELERY_BROKER_READ_URL": OTHER}, ["CELERY_BROKER_READ_URL is set"]),
        ({"CELERY_BROKER_WRITE_URL": OTHER}, ["CELERY_BROKER_WRITE_URL is set"]),
        (
            {"CELERY_BROKER_WRITE_URL": OURS, "CELERY_BROKER_URL": OTHER},
            ["CELERY_BROKER_WRITE_URL is set, and Celery prefers it: it leads elsewhere than CELERY_BROKER_URL"],
        ),
    ],
)
def test_a_variable_that_leads_celery_elsewhere_is_worth_a_note(environ: dict[str, str], beginnings: list[str]) -> None:
    notes = broker_notes({"REDIS_URL": OURS, **environ})

    assert len(notes) == len(beginnings)
    for note, beginning in zip(notes, beginnings, strict=True):
        assert note.startswith(beginning)
        assert CANARY not in note


# Sentinels and clusters.

SENTINELS = f"sentinel://me:{CANARY}@s1:26379,[::1]/shop-1/3?sentinel_username=u&sentinel_password=p%40w"
FOR_CELERY = f"sentinel://me:{CANARY}@s1:26379/3;sentinel://me:{CANARY}@[::1]:26379/3"
#: What a user's own celeryconfig.py may say to a URL with Sentinels in Celery's words.
SERVICE = 'broker_transport_options = {**broker_transport_options, "master_name": "mine"}'


def celerys(environ: dict[str, str]) -> dict[str, Any]:
    return settings(Config.from_env(environ))


@pytest.mark.parametrize(
    "environ", [{"REDIS_URL": SENTINELS}, {"CELERY_BROKER_URL": SENTINELS, "CELERY_RESULT_BACKEND": SENTINELS}]
)
def test_sentinels_reach_celery_in_its_own_words(environ: dict[str, str]) -> None:
    conf = celerys(environ)

    assert conf["broker_url"] == FOR_CELERY
    # What Celery shows of its settings has only the first password taken out.
    assert conf["result_backend"] == f"sentinel://me:{CANARY}@s1:26379/3;sentinel://[::1]:26379/3"
    for options in (conf["broker_transport_options"], conf["result_backend_transport_options"]):
        assert options["master_name"] == "shop-1"
        assert options["sentinel_kwargs"]["username"] == "u"
        assert options["sentinel_kwargs"]["password"] == "p@w"
    assert conf["broker_transport_options"]["visibility_timeout"] == 600
    assert CANARY not in repr(Config.from_env(environ))


def test_with_tls_each_hop_has_the_certificates_and_checks_the_others() -> None:
    conf = celerys({"REDIS_URL": "sentinels://s1,s2/shop?ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem"})

    files = {"ssl_ca_certs": "/ca.pem", "ssl_certfile": "/c.pem", "ssl_keyfile": "/k.pem", "ssl_cert_reqs": "required"}
    assert conf["broker_use_ssl"] == conf["redis_backend_use_ssl"] == files
    for name in ("broker_transport_options", "result_backend_transport_options"):
        assert {"ssl": True, **files}.items() <= conf[name]["sentinel_kwargs"].items()


def test_what_the_users_file_says_of_the_transport_is_completed(tmp_path: Path) -> None:
    (tmp_path / "celeryconfig.py").write_text(f"{MARK}\nbroker_transport_options = {{'visibility_timeout': 60}}\n")
    options = celerys({"REDIS_URL": SENTINELS})["broker_transport_options"]

    assert (options["visibility_timeout"], options["master_name"]) == (60, "shop-1")


def test_sentinels_in_celerys_words_get_their_service_from_the_users_file_or_are_a_fault(tmp_path: Path) -> None:
    environ = {"REDIS_URL": OURS, "CELERY_BROKER_URL": FOR_CELERY}
    with pytest.raises(ConfigError, match="CELERY_BROKER_URL names Sentinels, but not whom to ask them for"):
        celerys(environ)
    (tmp_path / "celeryconfig.py").write_text(f"{MARK}\n{SERVICE}\n")

    assert celerys(environ)["broker_transport_options"]["master_name"] == "mine"


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"BROKER_URL": SENTINELS},
            "BROKER_URL is read by Celery's command line alone, word for word: call it CELERY_",
        ),
        ({"BROKER_URL": "rediss://h/0"}, "BROKER_URL is read by Celery's command line alone, word for word"),
        ({"CELERY_BROKER_URL": "sentinel://s1,s2"}, "CELERY_BROKER_URL names no service: write for example sentinel"),
        ({"CELERY_BROKER_URL": "sentinels://s1/0"}, "CELERY_BROKER_URL names no service: write for example sentinels"),
        ({"CELERY_RESULT_BACKEND": "sentinel://s1/shop?db=x"}, "CELERY_RESULT_BACKEND has a db that is no number"),
        (
            {"CELERY_RESULT_BACKEND": "cluster://n1"},
            "CELERY_RESULT_BACKEND is a Redis Cluster, where Celery can't keep",
        ),
        (
            {"REDIS_URL": "cluster://n1,n2"},
            f"REDIS_URL is a Redis Cluster, {NO_CELERY}: set CELERY_BROKER_URL and CELERY_RESULT_BACKEND too",
        ),
        (
            {"REDIS_URL": "cluster://n1,n2", "CELERY_BROKER_URL": "amqp://rabbit//"},
            f"REDIS_URL is a Redis Cluster, {NO_CELERY}: set CELERY_RESULT_BACKEND too",
        ),
    ],
)
def test_where_celery_can_keep_nothing_one_sentence_says_so(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_env({"REDIS_URL": OURS, **environ})

    (fault,) = caught.value.faults
    assert fault.startswith(sentence)
    assert CANARY not in fault


def test_beside_a_cluster_celery_keeps_its_own_elsewhere() -> None:
    places = {"CELERY_BROKER_URL": "amqp://rabbit//", "CELERY_RESULT_BACKEND": "rpc://"}
    conf = celerys({"REDIS_URL": "clusters://n1,n2?ssl_ca_certs=/ca.pem", **places})

    assert (conf["broker_url"], conf["result_backend"]) == ("amqp://rabbit//", "rpc://")
    assert "broker_use_ssl" not in conf


@pytest.mark.parametrize(
    ("given", "read"),
    [(SENTINELS, FOR_CELERY), ("rediss://h/0", "rediss://h/0?ssl_cert_reqs=required"), ("redis://h/0", "redis://h/0")],
)
def test_celery_which_reads_its_variables_itself_finds_our_words_for_them(given: str, read: str) -> None:
    code = (
        "from tokenworker.celery import app\n"
        "from tokenworker.settings.config import Config, broker_notes\n"
        "print(app.conf.broker_url, Config.from_env().broker_url, broker_notes())\n"
        "print(app.conf.broker_transport_options.get('master_name'), Config.from_env().celery.keys())\n"
    )
    environ = SHELL | {"CELERY_BROKER_URL": given, "REDIS_URL": "redis://h/1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environ)

    told = "shop-1 dict_keys(['broker_transport_options'])" if given == SENTINELS else "None dict_keys([])"
    assert (run.stdout, run.stderr) == (f"{read} {read} []\n{told}\n", "")
