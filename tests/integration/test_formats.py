"""Published copies: byte for byte as the SDKs keep tokens, written with the token, gone with it."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import redis
from rich.console import Console
from support.processes import RedisServer
from support.targets import lease_of, look

from tokenworker.accounts.account import Account
from tokenworker.cli.terminal import Terminal
from tokenworker.credential import Credential, CredentialId
from tokenworker.durations import Durations
from tokenworker.errors import ConfigError, NetworkError
from tokenworker.publish.formats import FORMATS, fault
from tokenworker.refresh.causes import Demand
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Sandbox
from tokenworker.secret import Secret
from tokenworker.settings.config import Config
from tokenworker.store.connect import connect
from tokenworker.store.store import Store
from tokenworker.worker.runtime import Runtime
from tokenworker.worker.status import Status, survey
from tokenworker.worker.watchdog import Watchdog

APPID = "wx0123456789abcdef"
SECRET = "0123456789abcdef0123456789abcdef"
TOKEN = '97_aB-"\\/_' + "x" * 502
#: The same as JSON; as bytes between quotes it is what PHP writes, since it is ASCII.
JSON = r"97_aB-\"\\/_" + "x" * 502

NOW = 1_763_800_000.25

#: Of each entry of publish the keys and values, written down from the SDKs' sources; MD5s are md5sum's.
COPIES = {
    "YG-WECHAT-TOKEN": {"YG-WECHAT-TOKEN": TOKEN},
    "shop:token": {"shop:token": TOKEN},
    "wechatpy": {
        "wechatpy:wx0123456789abcdef_access_token": f'"{JSON}"',
        "wechatpy:wx0123456789abcdef_access_token_expires_at": "1763807200",
    },
    "wechatpy:shop": {
        "shop:wx0123456789abcdef_access_token": f'"{JSON}"',
        "shop:wx0123456789abcdef_access_token_expires_at": "1763807200",
    },
    "wxjava": {"wx:access_token:wx0123456789abcdef": TOKEN},
    "wxjava:shop:mp": {"shop:mp:access_token:wx0123456789abcdef": TOKEN},
    "wxjava-miniapp": {"wa:access_token:wx0123456789abcdef": TOKEN},
    "easywechat": {"official_account.access_token.wx0123456789abcdef": f's:512:"{TOKEN}";'},
    "easywechat:shop:": {"shop:official_account.access_token.wx0123456789abcdef": f's:512:"{TOKEN}";'},
    "easywechat-5": {
        "easywechat.kernel.access_token.63a7f48fe14d3f4d55882d4d65f3335b": (
            f'a:2:{{s:12:"access_token";s:512:"{TOKEN}";s:10:"expires_in";i:7200;}}'
        )
    },
    "easywechat-6-key-contains-secret": {
        "official_account.access_token.wx0123456789abcdef.0123456789abcdef0123456789abcdef.0": f's:512:"{TOKEN}";',
        "official_account.access_token.wx0123456789abcdef.0123456789abcdef0123456789abcdef.1": f's:512:"{TOKEN}";',
    },
    "easywechat-6-miniapp-key-contains-secret": {
        "mini_app.access_token.wx0123456789abcdef.0123456789abcdef0123456789abcdef.0": f's:512:"{TOKEN}";',
        "mini_app.access_token.wx0123456789abcdef.0123456789abcdef0123456789abcdef.1": f's:512:"{TOKEN}";',
    },
    "silenceper": {"gowechat_officialaccount__access_token_wx0123456789abcdef": TOKEN},
    "silenceper-stable": {"gowechat_officialaccount__stable_access_token_wx0123456789abcdef": TOKEN},
    "silenceper-miniprogram": {"gowechat_miniprogram__access_token_wx0123456789abcdef": TOKEN},
    "silenceper-miniprogram-stable": {"gowechat_miniprogram__stable_access_token_wx0123456789abcdef": TOKEN},
    "powerwechat": {
        "powerwechat.access_token.9dd2ec3e8fe48143541c4ddbfd61b06a": f'{{"access_token":"{JSON}","expires_in":7200}}'
    },
    "co-wechat-api": {
        "co-wechat-api:access_token:wx0123456789abcdef": f'{{"accessToken":"{JSON}","expireTime":1763807190250}}'
    },
    "node-easywechat": {"node-easywechat:access_token:wx0123456789abcdef": f'"{JSON}"'},
}

#: The formats that know WeChat's access tokens; the others are for WeCom.
OF_TOKENS = [name for name, known in FORMATS.items() if known.wechat]

ACCOUNT = Account(APPID, Secret(SECRET))


def test_every_format_is_written_down_here() -> None:
    assert len(TOKEN) == 512
    assert {entry.partition(":")[0] for entry in COPIES} == {"YG-WECHAT-TOKEN", "shop", *OF_TOKENS}


@pytest.mark.parametrize("entry", COPIES)
def test_copies_are_what_the_sdk_reads_byte_for_byte(entry: str) -> None:
    copies = replace(ACCOUNT, publish=(entry,)).copies("access_token", Credential(TOKEN, NOW + 7200), NOW)

    assert {copy.key: copy.value for copy in copies} == COPIES[entry]


def test_a_slash_in_the_secret_is_escaped_in_the_credentials_as_php_does() -> None:
    account = Account(APPID, Secret("a/b"), publish=("easywechat-5",))

    assert [copy.key for copy in account.blank_copies] == [
        "easywechat.kernel.access_token.ce203b2813246c2490ee6b972617e865"
    ]


@pytest.mark.parametrize("entry", COPIES)
def test_only_formats_that_say_so_have_the_secret_in_their_key(entry: str) -> None:
    keys = str([copy.key for copy in replace(ACCOUNT, publish=(entry,)).blank_copies])

    assert (SECRET in keys) == ("key-contains-secret" in entry)


def test_neither_token_nor_secret_is_shown() -> None:
    copies = replace(ACCOUNT, publish=tuple(COPIES)).copies("access_token", Credential(TOKEN, NOW), NOW)

    assert TOKEN not in repr(copies)
    assert SECRET not in repr(copies)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("easywechat", TOKEN),
        ("easywechat-6-key-contains-secret", TOKEN),
        ("easywechat-5", f"{TOKEN} 7200"),
    ],
)
def test_php_itself_reads_them(entry: str, expected: str) -> None:
    if not shutil.which("php"):
        pytest.skip("php is not here: apt-get install php-cli")
    code = (
        '$it = unserialize(stream_get_contents(STDIN), ["allowed_classes" => false]);'
        'echo is_array($it) ? $it["access_token"] . " " . $it["expires_in"] : $it;'
    )
    for value in COPIES[entry].values():
        done = subprocess.run(["php", "-r", code], input=value, capture_output=True, text=True, check=True)  # noqa: S607
        assert done.stdout == expected


# Entries of publish.


@pytest.mark.parametrize("entry", [*COPIES, "wechat", "wechat:token", "access_token", "token-for-wxjava", "java"])
def test_formats_and_plain_keys_are_told_apart(entry: str) -> None:
    assert fault(entry) == ""


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("wechatpi", "wechatpy"),
        ("WeChatPy", "wechatpy"),
        ("wx-java:shop", "wxjava"),
        ("wxjava-mini", "wxjava-miniapp"),
        ("easywechat-6", "easywechat"),
        ("silencer", "silenceper"),
        ("powerwecaht", "powerwechat"),
        ("node-easy-wechat", "node-easywechat"),
    ],
)
def test_what_looks_like_a_misspelt_format_is_a_fault_with_a_suggestion(entry: str, meant: str) -> None:
    assert f"{entry!r}, which looks like" in fault(entry)
    assert meant in fault(entry)


@pytest.mark.parametrize("entry", ["silenceper:shop", "powerwechat:", "wxjava:", "easywechat:"])
def test_a_prefix_that_is_missing_or_has_no_place_is_a_fault(entry: str) -> None:
    name = entry.partition(":")[0]

    assert "prefix" in fault(entry)
    assert fault(entry).endswith(f"{name!r}")


def test_the_environment_names_plain_keys_only() -> None:
    environ = {"WECHAT_APPID": APPID, "WECHAT_SECRET": SECRET}

    for key in ("wechatpi", "wxjav:shop"):
        (account,) = Config().accounts(environ | {"WECHAT_TOKEN_KEY": key}).values()
        assert [copy.key for copy in account.blank_copies] == [key]
    with pytest.raises(ConfigError, match="WECHAT_TOKEN_KEY names 'wxjava:shop', an SDK's format"):
        Config().accounts(environ | {"WECHAT_TOKEN_KEY": "wxjava:shop"})


def write_account(path: Path, *publish: str, appid: str = DEMO_APPID) -> None:
    names = ", ".join(f'"{name}"' for name in publish)
    path.write_text(f'[[account]]\nappid = "{appid}"\nsecret = "{DEMO_SECRET}"\npublish = [{names}]\n')


@pytest.mark.parametrize(
    ("publish", "words"),
    [
        (("wxjava", f"wx:access_token:{DEMO_APPID}"), f"wx:access_token:{DEMO_APPID} stands twice"),
        (("easywechat", f"official_account.access_token.{DEMO_APPID}"), "stands twice"),
        (("wxjava:tokenworker",), "'wxjava:tokenworker' of publish or WECHAT_TOKEN_KEY is one of tokenworker's own"),
        (("easywechat-6-key-contains-secret:tokenworker:",), "is one of tokenworker's own"),
        (
            ("easywechat-6-key-contains-secret", f"official_account.access_token.{DEMO_APPID}.{DEMO_SECRET}.0"),
            "stands twice",
        ),
    ],
)
def test_no_two_copies_have_one_key_and_none_has_ours(tmp_path: Path, publish: tuple[str, ...], words: str) -> None:
    write_account(tmp_path / "accounts.toml", *publish)
    with pytest.raises(ConfigError, match=words):
        Config(accounts_file=tmp_path / "accounts.toml").accounts({})


def test_a_fault_does_not_show_a_key_with_a_secret(tmp_path: Path) -> None:
    write_account(tmp_path / "accounts.toml", "easywechat-6-key-contains-secret:tokenworker:")
    with pytest.raises(ConfigError) as caught:
        Config(accounts_file=tmp_path / "accounts.toml").accounts({})

    assert DEMO_SECRET not in str(caught.value)


def test_a_format_of_accounts_without_an_appid_is_not_taken_for_the_same_key(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(2 * f'[[account]]\nappid = ""\nsecret = "{DEMO_SECRET}"\npublish = ["wxjava"]\n')
    with pytest.raises(ConfigError) as caught:
        Config(accounts_file=file).accounts({})

    assert len(caught.value.faults) == 2


def test_two_accounts_may_have_the_same_format(tmp_path: Path) -> None:
    write_account(tmp_path / "a.toml", *FORMATS)
    write_account(tmp_path / "b.toml", *FORMATS, appid="wx00000000000000bb")
    file = tmp_path / "accounts.toml"
    file.write_text((tmp_path / "a.toml").read_text() + (tmp_path / "b.toml").read_text())

    assert len(Config(accounts_file=file).accounts({})) == 2


# On real parts: copies live with the token, and follow their list.


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.toml"
    write_account(path, "KEY", *FORMATS)
    return path


def runtime_for(url: str, sandbox: Sandbox, accounts: Path) -> Runtime:
    durations = replace(Durations(), second=1 / 60, overlap=5.0, fetch_timeout=1.0)
    return Runtime.from_config(
        Config(redis_url=url, api_urls=(sandbox.url,), durations=durations, accounts_file=accounts)
    )


@pytest.fixture
def held(server: RedisServer, sandbox: Sandbox, accounts: Path) -> Runtime:
    return runtime_for(server.url, sandbox, accounts)


def refresh(held: Runtime, *, force: bool = False) -> None:
    held.keeper.refresh(held.target(), Demand(force=force))


def status(held: Runtime) -> list[Status]:
    return survey(held.store, held.durations)


def others_keys(client: redis.Redis) -> set[str]:
    keys = {str(key, "ascii") for key in cast("list[bytes]", client.keys("*"))}
    return {key for key in keys if not key.startswith("tokenworker:")}


def value_of(client: redis.Redis, key: str) -> str:
    return str(cast(bytes, client.get(key)), "ascii")


def expected_keys(held: Runtime) -> set[str]:
    return {copy.key for copy in held.registry.account().blank_copies}


def life(client: redis.Redis, key: str) -> int:
    return int(client.pttl(key))


OURS = f"tokenworker:{{{DEMO_APPID}}}:access_token"


def assert_same_end(client: redis.Redis) -> None:
    ends = [client.pexpiretime(key) for key in [OURS, *others_keys(client)]]
    # Before 7.2 the clock of Redis goes on within a script.
    assert max(ends) - min(ends) <= 3


def test_every_copy_is_written_with_the_token_and_lives_exactly_as_long(held: Runtime, client: redis.Redis) -> None:
    refresh(held)

    assert others_keys(client) == expected_keys(held)
    assert len(others_keys(client)) == 1 + len(OF_TOKENS) + 3
    assert look(held.store, DEMO_APPID).publish_digest == held.target().publish_digest
    assert_same_end(client)
    assert 19_000 < life(client, OURS) <= 20_000
    token = value_of(client, OURS)
    assert all(token in value_of(client, key) for key in others_keys(client) if not key.endswith("_expires_at"))


def test_a_new_token_replaces_every_copy(held: Runtime, client: redis.Redis) -> None:
    refresh(held)
    old = value_of(client, OURS)
    refresh(held, force=True)

    assert value_of(client, OURS) != old
    assert not any(old in value_of(client, key) for key in others_keys(client))


def test_copies_of_a_token_found_dead_go_with_it(held: Runtime, client: redis.Redis, sandbox: Sandbox) -> None:
    refresh(held)
    dead = look(held.store, DEMO_APPID).fingerprint
    sandbox.fault("reset", path="stable_token")
    sandbox.revoke()
    with pytest.raises(NetworkError):
        held.keeper.refresh(held.target(), Demand(rejected=dead))

    assert not client.exists(OURS)
    assert not others_keys(client)


def test_copies_and_all_else_of_an_account_go_with_it(held: Runtime, client: redis.Redis, accounts: Path) -> None:
    refresh(held)
    write_account(accounts, "OTHER", appid="wx00000000000000bb")
    held.reconciler.reconcile()
    held.reconciler.reconcile()

    left = cast("list[bytes]", client.keys("*"))
    assert b"KEY" not in left
    assert [key for key in left if DEMO_APPID.encode() in key] == [f"{OURS}:state".encode()]
    assert client.hget(f"{OURS}:state", "removed") == b"1"


def test_a_key_that_somebody_else_has_written_since_stays(held: Runtime, client: redis.Redis, accounts: Path) -> None:
    refresh(held)
    client.set("KEY", "an SDK's own token")
    write_account(accounts, appid="wx00000000000000bb")
    held.reconciler.reconcile()
    held.reconciler.reconcile()

    assert others_keys(client) == {"KEY"}


def test_a_changed_list_takes_effect_at_the_next_look_without_a_fetch(
    held: Runtime, client: redis.Redis, accounts: Path, sandbox: Sandbox
) -> None:
    refresh(held)
    write_account(accounts, "NEW", "wechatpy:shop")
    held.reconciler.reconcile()
    assert held.reconciler.claim(8) == [held.target()]
    refresh(held)

    assert others_keys(client) == expected_keys(held)
    assert client.get("NEW") == client.get(OURS)
    assert_same_end(client)
    assert value_of(client, f"shop:{DEMO_APPID}_access_token") == f'"{value_of(client, OURS)}"'
    assert sandbox.counts().fetches == 1

    write_account(accounts)
    held.reconciler.reconcile()
    refresh(held)
    assert others_keys(client) == set()
    assert sandbox.counts().fetches == 1


def test_a_changed_list_takes_effect_while_an_account_rests(
    held: Runtime, client: redis.Redis, accounts: Path, sandbox: Sandbox
) -> None:
    refresh(held)
    sandbox.fault("errcode", errcode=45009)
    with pytest.raises(Exception, match="45009"):
        refresh(held, force=True)
    write_account(accounts, "NEW")
    held.reconciler.reconcile()
    refresh(held)

    assert others_keys(client) == {"NEW"}


def test_a_key_that_moves_to_another_account_keeps_its_new_token(store: Store, client: redis.Redis) -> None:
    def commit(appid: str, text: str, *publish: str) -> None:
        account = Account(appid, Secret(SECRET), publish=publish)
        lease = lease_of(store, appid)
        assert lease
        token = Credential(text, lease.taken_at + 60)
        store.records.commit(lease, token, refresh_at=0, copies=account.copies("access_token", token, lease.taken_at))

    commit("wx1", "a", "KEY")
    commit("wx2", "b", "KEY")
    commit("wx1", "a")

    assert client.get("KEY") == b"b"


def test_a_copy_that_vanishes_is_written_again_without_a_fetch(
    held: Runtime, client: redis.Redis, sandbox: Sandbox
) -> None:
    watchdog = Watchdog(held)
    watchdog.look()
    client.delete("KEY", f"wx:access_token:{DEMO_APPID}")
    watchdog.look()

    assert others_keys(client) == expected_keys(held)
    assert_same_end(client)
    assert sandbox.counts().fetches == 1


def test_a_list_that_changed_while_no_worker_ran_is_followed_without_a_fetch(
    held: Runtime, client: redis.Redis, server: RedisServer, sandbox: Sandbox, accounts: Path
) -> None:
    refresh(held)
    write_account(accounts, "NEW")
    Watchdog(runtime_for(server.url, sandbox, accounts)).look()

    assert others_keys(client) == {"NEW"}
    assert sandbox.counts().fetches == 1


def test_copies_of_a_token_that_is_known_to_be_dead_or_not_ours_are_not_written_again(
    held: Runtime, client: redis.Redis
) -> None:
    refresh(held)
    client.delete("KEY")
    client.set(OURS, "somebody else's", px=60_000)
    held.reconciler.mend_copies()

    assert not client.exists("KEY")


def test_what_is_written_again_has_the_bytes_of_before(held: Runtime, client: redis.Redis) -> None:
    refresh(held)
    keys = sorted(others_keys(client))
    before = {key: value_of(client, key) for key in keys}
    client.delete(*keys)
    time.sleep(1.1)
    held.reconciler.mend_copies()

    # Moments are known to the ms only.
    exact = {key for key in keys if "expires_at" not in key and "co-wechat-api" not in key}
    assert {key: value_of(client, key) for key in exact} == {key: before[key] for key in exact}
    for key in set(keys) - exact:
        numbers = [int(re.findall(r"\d{10,}", value)[-1]) for value in (before[key], value_of(client, key))]
        assert abs(numbers[0] - numbers[1]) <= 1


# Copies that can't be written.


@pytest.fixture
def limited(own_server: RedisServer, sandbox: Sandbox, accounts: Path) -> Runtime:
    """A worker whose Redis user may touch our own keys and those of WxJava, and nothing else."""
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "worker", "on", ">pw", "~tokenworker:*", "~wx:*", "+@all")
    write_account(accounts, "KEY", "wxjava")
    return runtime_for(own_server.url.replace("//", "//worker:pw@"), sandbox, accounts)


def test_a_copy_that_may_not_be_written_does_not_block_the_token_nor_other_copies(
    limited: Runtime, own_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    refresh(limited)
    with own_server.client() as client:
        assert client.get(OURS)
        assert others_keys(client) == {f"wx:access_token:{DEMO_APPID}"}

    (row,) = status(limited)
    assert row["state"] == "live"
    # Valkey and Redis say in different words that the user may not touch the key.
    assert row["publish_error"].startswith("KEY: ERR ")
    assert row["publish_error"] in caplog.text
    console = Console(width=400, record=True)
    Terminal(console).table([row], None)
    assert f"can't publish {row['publish_error']}" in console.export_text()


def test_a_line_is_written_when_nothing_but_a_copy_fails(
    limited: Runtime, accounts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_account(accounts, "wxjava")
    limited.reconciler.reconcile()
    with Terminal(Console(width=400)).live() as show:
        refresh(limited)
        show(status(limited), None)
        assert "can't publish" not in capsys.readouterr().out
        write_account(accounts, "wxjava", "KEY")
        limited.reconciler.reconcile()
        refresh(limited)
        show(status(limited), None)

    assert "can't publish KEY: " in capsys.readouterr().out


def test_copies_that_may_be_written_are_mended_beside_one_that_may_not(
    limited: Runtime, own_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    refresh(limited)
    caplog.clear()
    with own_server.client() as client:
        client.flushdb()
        refresh(limited)
        client.delete(f"wx:access_token:{DEMO_APPID}")
        caplog.clear()
        limited.reconciler.mend_copies()
        assert others_keys(client) == {f"wx:access_token:{DEMO_APPID}"}
    assert caplog.text == ""


def test_the_error_goes_when_the_copy_can_be_written(limited: Runtime, own_server: RedisServer) -> None:
    refresh(limited)
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "worker", "~KEY")
        limited.reconciler.mend_copies()
        assert client.get("KEY") == client.get(OURS)

    assert status(limited)[0]["publish_error"] == ""


def test_an_account_goes_though_its_copies_may_not_be_touched(
    limited: Runtime, own_server: RedisServer, accounts: Path
) -> None:
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "worker", "~KEY")
        refresh(limited)
        client.execute_command("ACL", "SETUSER", "worker", "resetkeys", "~tokenworker:*")
        write_account(accounts, appid="wx00000000000000bb")
        limited.reconciler.reconcile()
        limited.reconciler.reconcile()

        assert others_keys(client) == {"KEY", f"wx:access_token:{DEMO_APPID}"}
        assert client.keys(f"tokenworker:*{DEMO_APPID}*") == [f"{OURS}:state".encode()]


def test_a_copy_of_any_type_is_overwritten(store: Store, client: redis.Redis) -> None:
    client.rpush("KEY", "a list")
    lease = lease_of(store, APPID)
    assert lease
    token = Credential("token", lease.taken_at + 60)
    copies = replace(ACCOUNT, publish=("KEY",)).copies("access_token", token, lease.taken_at)

    assert store.records.commit(lease, token, refresh_at=0, copies=copies)[:2] == ("committed", "")
    assert client.get("KEY") == b"token"


def test_a_copy_made_of_another_token_is_not_written(store: Store, client: redis.Redis) -> None:
    lease = lease_of(store, APPID)
    assert lease
    store.records.commit(lease, Credential("new", lease.taken_at + 60), refresh_at=0)
    old = Credential("old", lease.taken_at + 60)
    copies = replace(ACCOUNT, publish=("KEY",)).copies("access_token", old, 0)

    assert store.records.publish(lease.id, old, copies, "x") == ""
    assert not client.exists("KEY")


def test_a_store_without_rights_to_anything_still_says_so(own_server: RedisServer) -> None:
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "nobody", "on", ">pw", "+@all")
    store = Store(connect(own_server.url.replace("//", "//nobody:pw@")))

    assert store.bulk.incomplete({CredentialId(APPID): ["KEY"]}) == [CredentialId(APPID)]
