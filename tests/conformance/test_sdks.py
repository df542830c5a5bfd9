"""Real SDKs find our tokens in their own caches and never fetch; `install` in this folder installs them."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import redis
from conversation import SDKS, SILENCEPER, Conversation, wxjava, wxjava_class
from support.processes import RedisServer
from support.targets import look, token_of

from tokenworker.accounts.account import Account
from tokenworker.credential import CredentialId
from tokenworker.durations import Durations
from tokenworker.refresh.fetcher import Fetcher
from tokenworker.refresh.keeper import Keeper
from tokenworker.sandbox import Rules, Sandbox
from tokenworker.secret import Secret
from tokenworker.store.store import Store
from tokenworker.wechat.source import WeChat
from tokenworker.wechat.transport import Transport

pytestmark = pytest.mark.conformance

#: An appid whose accounts are refreshed late: at 0.6 s with the figures below.
APPID = "wx0000000000000f1c"
SECRET = "0123456789abcdef0123456789abcdef"

#: wechatpy takes no token that has less than 60 s left; so a token of 120 s is replaced each 0.6 s.
RULES = Rules(life=120, overlap=119.5)
DURATIONS = replace(Durations(), second=119.4 / 295, overlap=119.5, report_interval=0.1, transient_wait=0.1)


@dataclass(frozen=True)
class Sdk:
    """How an SDK is run, and what must be there for that."""

    format: str
    command: tuple[str, ...]
    needs: Path


def _wechatpy(version: str) -> Sdk:
    python = SDKS / f"wechatpy-{version}" / "bin" / "python"
    return Sdk("wechatpy", (str(python), "wechatpy_app.py"), python)


def _node(name: str) -> Sdk:
    return Sdk(name, ("node", f"{name}.js"), SDKS / "node" / "node_modules" / name)


def _wxjava(program: str, format_: str, client: str) -> Sdk:
    return Sdk(format_, wxjava("wechat", program, client), wxjava_class("wechat", program))


INSTALLABLE = {
    "wechatpy 1.8.18": _wechatpy("1.8.18"),
    "wechatpy 2.0.0a26": _wechatpy("2.0.0a26"),
    "co-wechat-api 3.11.0": _node("co-wechat-api"),
    "node-easywechat 3.6.2": _node("node-easywechat"),
    "silenceper 2.1.10": Sdk("silenceper", (str(SILENCEPER), "copies"), SILENCEPER),
    "WxJava 4.7.0 on jedis": _wxjava("OfficialAccount", "wxjava", "jedis"),
    "WxJava 4.7.0 on template": _wxjava("OfficialAccount", "wxjava", "template"),
    "WxJava 4.7.0 on redisson": _wxjava("OfficialAccount", "wxjava", "redisson"),
    "WxJava 4.7.0 for mini programs on template": _wxjava("MiniProgram", "wxjava-miniapp", "template"),
}


@pytest.fixture(params=INSTALLABLE)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    sdk = INSTALLABLE[request.param]
    if not shutil.which(sdk.command[0]) or not sdk.needs.exists():
        pytest.skip(f"{request.param} is not here: run tests/conformance/install, with npm, go and mvn on the PATH")
    return sdk


@pytest.fixture
def rules() -> Rules:
    return RULES


@pytest.fixture
def sandbox(rules: Rules) -> Iterator[Sandbox]:
    with Sandbox(rules, {APPID: SECRET}) as sandbox:
        yield sandbox


@pytest.fixture
def account(sdk: Sdk) -> Account:
    return Account(APPID, Secret(SECRET), publish=(sdk.format,))


@pytest.fixture
def keeper(store: Store, sandbox: Sandbox) -> Keeper:
    source = WeChat(Transport(), {"wechat": (sandbox.url,)}, DURATIONS.fetch_timeout)
    return Keeper(store, Fetcher(store, source, DURATIONS), DURATIONS)


@pytest.fixture
def run(sdk: Sdk, server: RedisServer, sandbox: Sandbox) -> Iterator[Callable[[str], Conversation]]:
    """Return a function that starts an application on the SDK, its own refresh on or off."""
    with ExitStack() as exits:

        def start(own_refresh: str) -> Conversation:
            return exits.enter_context(Conversation(*sdk.command, server.url, sandbox.url, APPID, SECRET, own_refresh))

        yield start


@contextmanager
def kept_fresh(keeper: Keeper, account: Account) -> Iterator[None]:
    """Do in a thread what workers do."""
    over = threading.Event()

    def refresh() -> None:
        while not over.wait(0.02):
            keeper.refresh(token_of(account))

    keeper.refresh(token_of(account))
    thread = threading.Thread(target=refresh)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_it_lives_on_our_tokens(
    keeper: Keeper, account: Account, sandbox: Sandbox, run: Callable[[str], Conversation]
) -> None:
    """With its own refresh on, as it comes: were it not content with what it finds, it would fetch."""
    with kept_fresh(keeper, account):
        app = run("on")
        answers = [app.ask()]
        while len(sandbox.mints(APPID)) <= 6:
            answers.append(app.ask())
            time.sleep(0.01)

    assert set(answers) == {"0"}
    assert sandbox.counts(APPID, "token").fetches == 0
    assert {mint.endpoint for mint in sandbox.mints(APPID)} == {"stable_token"}


def test_with_its_own_refresh_off_it_waits_for_ours_after_a_revocation(
    keeper: Keeper,
    account: Account,
    sandbox: Sandbox,
    run: Callable[[str], Conversation],
    store: Store,
) -> None:
    keeper.refresh(token_of(account))
    app = run("off")
    assert app.ask() == "0"
    revoked = look(store, APPID).fingerprint
    sandbox.revoke(APPID)
    assert app.ask() == "40001"
    store.records.reject(CredentialId(APPID), revoked)
    keeper.refresh(token_of(account))

    assert [app.ask() for _ in range(3)] == ["0"] * 3
    assert sandbox.counts(APPID, "token").fetches == 0
    assert len(sandbox.mints(APPID)) == 2


def test_with_its_own_refresh_off_it_can_not_fetch_even_when_there_is_no_token(
    sandbox: Sandbox, run: Callable[[str], Conversation]
) -> None:
    assert run("off").ask() != "0"
    assert sandbox.mints(APPID) == []


# Of a shorter life some take 200 s or even 1500 s off, and have a negative one to keep.
@pytest.mark.parametrize("rules", [Rules(life=7200)], ids=["as at WeChat"])
def test_without_our_copy_it_fetches_so_that_what_is_counted_here_counts(
    keeper: Keeper, account: Account, sandbox: Sandbox, run: Callable[[str], Conversation]
) -> None:
    keeper.refresh(token_of(replace(account, publish=())))

    assert run("on").ask() == "0"
    assert sandbox.counts(APPID, "token").minted == 1


# Of EasyWeChat for PHP there is no package here, but the caches that it stands on.

CACHES = {
    "symfony": ("php-symfony-cache php-psr-simple-cache", "Symfony/Component/Cache/autoload.php"),
    "laravel": ("php-illuminate-cache php-illuminate-redis", "Illuminate/Redis/autoload.php"),
}


@pytest.fixture(params=CACHES)
def which(request: pytest.FixtureRequest) -> str:
    packages, file = CACHES[request.param]
    loaded = shutil.which("php") and subprocess.run(["php", "-m"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    if not loaded or "redis" not in loaded or not Path("/usr/share/php", file).exists():
        pytest.skip(f"its cache is not here: apt-get install php-cli php-redis {packages}")
    return str(request.param)


@pytest.mark.parametrize("given", ["", "shop"])
def test_the_caches_under_easywechat_read_our_copies(
    which: str, given: str, keeper: Keeper, server: RedisServer, client: redis.Redis
) -> None:
    # Symfony puts a colon after its namespace, and so did Laravel after its prefix to version 10.
    before = f"{given}:" if given else ""
    names = ("easywechat", "easywechat-5", "easywechat-6-key-contains-secret")
    publish = tuple(f"{name}:{before}" if before else name for name in names)
    account = Account(APPID, Secret(SECRET), publish=publish)
    keeper.refresh(token_of(account))
    token = str(client.get(f"tokenworker:{{{APPID}}}:access_token"), "ascii")  # type: ignore[arg-type]
    keys = [copy.key.removeprefix(before) for copy in account.blank_copies]
    with Conversation("php", "cache.php", which, "127.0.0.1", str(server.port), given) as app:
        read = [json.loads(app.ask(key)) for key in keys]

    assert read == [token, {"access_token": token, "expires_in": int(RULES.life)}, token, token]
