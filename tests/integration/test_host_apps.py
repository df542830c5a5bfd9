"""Inside another Celery app: our tasks are themselves, whatever that app's defaults are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from support.processes import RedisServer, Stack, wait_for

from tokenworker.sandbox import DEMO_APPID, Sandbox

KEY = f"tokenworker:{{{DEMO_APPID}}}:access_token"

MODULES = ("tokenworker.worker.tasks", "tokenworker.worker.watchdog")

HOST = """
from celery import Celery
from kombu import Exchange, Queue

app = Celery("shop", broker={url!r}, backend={url!r}, include={modules!r})
{settings}

@app.task(name="shop.order")
def order():
    return "ordered"
"""


class Host:
    """Another app with settings of its own, and our tasks in it."""

    def __init__(self, stack: Stack, url: str) -> None:
        self.stack = stack
        self.url = url

    def write(self, settings: str) -> None:
        (self.stack.folder / "shop.py").write_text(HOST.format(url=self.url, modules=MODULES, settings=settings))

    def worker(self, *options: str, **environ: str) -> None:
        command = (
            "celery",
            "--app=shop",
            "worker",
            "--loglevel=INFO",
            "--without-mingle",
            "--hostname=shop@test",
            "-P",
            "threads",
        )
        process = self.stack.run(*command, *options, C_FORCE_ROOT="1", **environ)
        wait_for(lambda: " ready." in self.stack.logs() or process.poll() is not None)

    def call(self, code: str) -> str:
        """Run a line in a process that has the package, as the app's own services do."""
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            f"from shop import app\nfrom tokenworker.worker.tasks import *\n{code}",
        ]
        environ = self.stack.environ
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.stack.folder, env=environ, timeout=60
        )
        return run.stdout + run.stderr[-2000:]


@pytest.fixture
def host(stack: Stack, server: RedisServer) -> Host:
    return Host(stack, server.url)


@pytest.fixture
def caller(server: RedisServer) -> Iterator[Celery]:
    """An app elsewhere that knows names alone, and reads JSON."""
    with Celery("caller", broker=server.url, backend=server.url, set_as_current=False) as app:
        app.conf.accept_content = ["json"]
        yield app


def get(caller: Celery, name: str = "tokenworker.get_token", **options: Any) -> Any:
    return caller.send_task(name, queue="tokenworker", **options).get(timeout=10)


#: An app that loses a task of ours after it was loaded.
LOST = """
from celery.signals import celeryd_init

@celeryd_init.connect(weak=False)
def lose(**_):
    app.tasks.unregister("tokenworker.get_token")
"""

SETTINGS = [
    "",
    "app.conf.task_ignore_result = True",
    "app.conf.task_serializer = 'pickle'; app.conf.accept_content = ['pickle', 'json']",
    "app.conf.result_serializer = 'pickle'; app.conf.accept_content = ['pickle', 'json']",
    "app.conf.result_serializer = 'yaml'; app.conf.accept_content = ['yaml', 'json']",
    "app.conf.result_serializer = 'msgpack'; app.conf.accept_content = ['msgpack', 'application/json']",
    "app.conf.task_default_queue = 'shop'",
    "app.conf.task_queues = [Queue('celery'), Queue('tokenworker')]",
    "app.conf.task_queues = {'celery': {'exchange': 'celery'}, 'tokenworker': {'exchange': 'tokenworker'}}",
    "app.conf.task_queues = (Queue('celery', Exchange('x', type='topic'), routing_key='x.#'), Queue('tokenworker'))",
    "app.conf.task_routes = {'*': {'queue': 'shop'}}",
    "app.conf.task_routes = [{'tokenworker.*': {'queue': 'celery'}}]",
    "app.conf.task_routes = ('shop.routes.none',) if False else {'tokenworker.get_token': 'celery'}",
    "app.conf.imports = ['tokenworker.worker.tasks']",
    "app.conf.task_default_rate_limit = '1/h'",
    "app.conf.task_acks_late = True; app.conf.task_track_started = True",
    "app.conf.task_compression = 'gzip'",
    "app.conf.result_extended = True",
    "app.conf.task_protocol = 1",
    "app.conf.task_default_exchange_type = 'topic'; app.conf.task_default_exchange = 'other'",
    "app.config_from_object(dict(CELERY_RESULT_SERIALIZER='pickle', CELERY_ACCEPT_CONTENT=['pickle', 'json']))",
    "app.config_from_object(dict(CELERY_TASK_IGNORE_RESULT=True, CELERY_TASK_SERIALIZER='json'), namespace='CELERY')",
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_whatever_the_apps_defaults_are_callers_get_json_and_the_app_goes_on(
    host: Host, caller: Celery, client: redis.Redis, settings: str
) -> None:
    host.write(settings)
    host.worker("-Q", "celery,shop,tokenworker" if "task_queues" not in settings else "celery,tokenworker")
    call = caller.send_task("tokenworker.get_token", queue="tokenworker")
    token = call.get(timeout=10)["access_token"]

    assert client.get(KEY) == token.encode()
    assert 0 < client.ttl(f"celery-task-meta-{call.id}") <= 60
    in_the_app = "print(get_token.delay().get(timeout=10)['appid'], refresh_token.delay().get(timeout=10)['outcome'])"
    assert host.call(in_the_app) == f"{DEMO_APPID} fresh\n"


def test_the_apps_own_results_stay_as_the_app_wants_them(host: Host) -> None:
    host.write("app.conf.result_serializer = 'pickle'; app.conf.accept_content = ['pickle', 'json']")
    host.worker("-Q", "celery,tokenworker")
    code = (
        "from shop import order\n"
        "result = order.delay()\n"
        "print(result.get(timeout=10), app.backend.get(app.backend.get_key_for_task(result.id))[:1])"
    )

    assert host.call(code) == "ordered b'\\x80'\n"


@pytest.mark.parametrize(
    "settings", ["", "app.conf.result_serializer = 'pickle'; app.conf.accept_content = ['pickle', 'json']"]
)
def test_an_error_is_a_sentence_for_callers_elsewhere_and_has_facts_in_the_app(
    host: Host, caller: Celery, settings: str
) -> None:
    host.write(settings)
    host.worker("-Q", "celery,tokenworker")
    with pytest.raises(Exception, match="'wxnope' is not among the 1 configured accounts") as caught:
        get(caller, kwargs={"appid": "wxnope"})
    in_the_app = (
        "from tokenworker.errors import UnknownAccount\n"
        "try: get_token.delay('wxnope').get(timeout=10)\n"
        "except UnknownAccount as error: print(error.appid, error.configured)"
    )

    assert not str(caught.value).startswith("(")
    assert host.call(in_the_app) == "wxnope 1\n"


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_a_call_in_the_app_leaves_no_subscription_behind(host: Host, serializer: str) -> None:
    host.write(f"app.conf.result_serializer = {serializer!r}; app.conf.accept_content = ['json', 'pickle']")
    host.worker("-Q", "celery,tokenworker")
    code = (
        "import gc\n"
        "for _ in range(20): get_token.delay().get(timeout=10)\n"
        "gc.collect()\n"
        "print(len(app.backend.result_consumer.subscribed_to))"
    )

    assert int(host.call(code)) <= 1


def test_results_go_through_the_broker_where_the_app_wants_that(host: Host) -> None:
    host.write("app.conf.result_backend = 'rpc://'")
    host.worker("-Q", "celery,tokenworker")

    assert host.call("print(get_token.delay().get(timeout=10)['appid'])") == f"{DEMO_APPID}\n"


def test_results_go_to_a_database_where_the_app_wants_that(host: Host) -> None:
    host.write(f"app.conf.result_backend = 'db+sqlite:///{host.stack.folder}/results.db'")
    host.worker("-Q", "celery,tokenworker")

    assert host.call("print(get_token.delay().get(timeout=10)['appid'])") == f"{DEMO_APPID}\n"


def test_without_a_result_backend_the_token_is_kept_all_the_same_and_the_log_says_what_is_missing(
    host: Host, client: redis.Redis
) -> None:
    host.write("app.conf.result_backend = None")
    host.worker("-Q", "celery,tokenworker")

    wait_for(lambda: client.get(KEY))
    assert "there is no result backend: who calls tokenworker.get_token waits in vain" in host.stack.logs()


def test_eager_calls_answer_in_the_process_of_the_caller(host: Host) -> None:
    host.write("app.conf.task_always_eager = True")

    assert host.call("print(get_token.delay().get()['appid'])") == f"{DEMO_APPID}\n"


@pytest.mark.parametrize(
    ("settings", "queues", "sentence"),
    [
        ("", "celery", "this worker takes from celery and not from tokenworker"),
        ("app.conf.task_default_queue = 'shop'", "", "this worker takes from shop and not from tokenworker"),
        ("app.conf.task_queues = [Queue('a'), Queue('b')]", "", "this worker takes from a,b and not from tokenworker"),
        ("app.conf.accept_content = ['pickle']", "tokenworker", "accept_content is ['pickle'], and tokenworker's"),
        ("app.conf.result_accept_content = ['yaml']", "tokenworker", "result_accept_content is ['yaml']"),
        ("app.conf.task_always_eager = True", "tokenworker", "task_always_eager runs each task where it is called"),
        (LOST, "tokenworker", "this worker does not know tokenworker.get_token: add 'tokenworker.worker.tasks'"),
    ],
)
def test_a_worker_that_can_not_do_our_work_says_so(host: Host, settings: str, queues: str, sentence: str) -> None:
    host.write(settings)
    host.worker(*(["-Q", queues] if queues else []))

    assert sentence in host.stack.logs()


@pytest.mark.parametrize("setting", ["app.conf.timezone = 'Asia/Shanghai'", "app.conf.enable_utc = False"])
def test_the_tick_leaves_no_line_in_the_logs_of_an_app(host: Host, client: redis.Redis, setting: str) -> None:
    entry = "{'task': 'tokenworker.refresh_due_tokens', 'schedule': 0.1, 'options': {'queue': 'tokenworker'}}"
    host.write(f"{setting}; app.conf.beat_schedule = {{'tick': {entry}}}")
    host.worker("-Q", "celery,tokenworker")
    host.stack.run("celery", "--app=shop", "beat", "--loglevel=INFO", "--schedule=beat.db")
    code = "print(app.send_task('shop.order').get(timeout=10))"
    wait_for(lambda: "beat: Starting" in host.stack.logs())
    wait_for(lambda: client.get(KEY))
    assert host.call(code) == "ordered\n"

    assert "shop.order" in host.stack.logs()
    assert "Task tokenworker.refresh_due_tokens" not in host.stack.logs()
    assert "Sending due task" not in host.stack.logs()


def test_our_own_worker_stops_when_it_is_told_to_take_from_elsewhere(stack: Stack) -> None:
    process = stack.run("celery", "--app=tokenworker", "worker", "-Q", "default")

    assert process.wait(20) != 0
    assert "this worker takes from default and not from tokenworker" in stack.logs()
    assert "Traceback" not in stack.logs()


def test_our_own_worker_and_beat_leave_the_app_of_their_folder_alone(
    stack: Stack, server: RedisServer, client: redis.Redis
) -> None:
    (stack.folder / "celeryconfig.py").write_text(
        "task_default_queue = 'bills'\n"
        "beat_schedule = {'bills': {'task': 'bills.send', 'schedule': 0.1, 'options': {'queue': 'bills'}}}\n"
    )
    with Celery("bills", broker=server.url, set_as_current=False) as bills:
        bills.send_task("bills.send", queue="bills")
    stack.worker()
    stack.beat()

    wait_for(lambda: client.get(KEY))
    wait_for(lambda: stack.logs().count("celeryconfig.py in this folder is another app's and is not read") == 2)
    assert client.llen("bills") == 1


def test_broker_url_in_the_environment_is_the_broker_of_worker_beat_and_commands(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox, client: redis.Redis, tmp_path: Path
) -> None:
    elsewhere = server.url.replace("/0", "/5")
    stack = make_stack(server, sandbox, BROKER_URL=elsewhere)
    stack.worker()
    wait_for(lambda: client.get(KEY))
    command = [sys.executable, "-m", "tokenworker.cli", "refresh", "--timeout", "10"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=stack.environ, cwd=tmp_path)

    assert '"outcome": "fresh"' in run.stdout
