"""The account registry: what it notices of its files, and what it does not believe at once."""

from __future__ import annotations

import logging
import os
import resource
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.opened import opened_here

from tokenworker.accounts.account import Account
from tokenworker.accounts.loaded import Loaded
from tokenworker.accounts.registry import AccountRegistry, Changes
from tokenworker.errors import ConfigError, UnknownAccount
from tokenworker.secret import Secret
from tokenworker.settings.config import Config, Start

CANARY = "c0ffee11c0ffee22c0ffee33c0ffee44"
OTHER = "deadbeefdeadbeefdeadbeefdeadbeef"


def text(*appids: str, secret: str = f'secret = "{CANARY}"') -> str:
    return "".join(f'[[account]]\nappid = "{appid}"\n{secret}\n' for appid in appids)


def settle() -> None:
    """Let the clock that stamps files tick, as long as 10 ms, so that a file of the same length looks another."""
    time.sleep(0.011)


def open_registry(file: Path, **environ: str) -> AccountRegistry:
    return looked_at(Config(accounts_file=file).registry(environ))


def looked_at(registry: AccountRegistry) -> AccountRegistry:
    """The first look is never the same as before; from the second on, only changes count."""
    assert registry.reload() == Changes(reread=True)
    return registry


def appids(accounts: tuple[Account, ...]) -> list[str]:
    return [account.appid for account in accounts]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "accounts.toml"


@pytest.fixture
def registry(file: Path) -> AccountRegistry:
    """A registry with the accounts a and b."""
    file.write_text(text("a", "b"))
    return open_registry(file)


# Handing out accounts.


def test_a_book_hands_out_accounts_by_appid(registry: AccountRegistry) -> None:
    assert registry.account("b") == Account("b", Secret(CANARY))
    assert list(registry.accounts) == ["a", "b"]
    assert len(registry) == 2


def test_the_only_account_needs_no_appid(file: Path) -> None:
    file.write_text(text("a"))

    assert open_registry(file).account().appid == "a"


def test_without_appid_several_accounts_are_an_error(registry: AccountRegistry) -> None:
    with pytest.raises(UnknownAccount, match="2 accounts are configured: say which appid you mean"):
        registry.account()


@pytest.mark.parametrize("appid", ["c", "", "A", "a ", "{a}", "wx0123456789abcdef", "我们的 公众号", "c" * 29])
def test_an_appid_that_is_not_configured_is_an_error_that_names_it(appid: str, registry: AccountRegistry) -> None:
    with pytest.raises(UnknownAccount) as caught:
        registry.account(appid)
    assert caught.value.appid == appid
    assert str(caught.value).startswith(f"{appid!r} is not among the 2 configured accounts: add it")


@pytest.mark.parametrize(
    "given",
    [
        "81_" + "a-_9Z" * 27,
        CANARY,
        CANARY.upper(),
        f"wx:{CANARY}",
        f"店 {CANARY} 店",
        f"https://api.weixin.qq.com/?access_token={CANARY * 4}",
        "c" * 30,
        "店" * 65,
    ],
)
def test_what_may_be_a_secret_is_not_named(given: str, registry: AccountRegistry) -> None:
    with pytest.raises(UnknownAccount) as caught:
        registry.account(given)

    assert given not in repr(caught.value) + repr(vars(caught.value)) + repr(caught.value.args)
    assert CANARY not in repr(caught.value.args).lower()
    assert str(caught.value) == (
        f"what was given as appid ({len(given)} characters) is not shown, since it may be a token or an AppSecret:"
        " give the appid or the name of one of the 2 configured accounts; a token goes into rejected"
    )
    assert (caught.value.appid, caught.value.configured) == (None, 2)


def test_a_book_hands_out_accounts_by_name_too(file: Path) -> None:
    file.write_text(text("a", secret=f'secret = "{CANARY}"\nname = "店"') + text("b"), encoding="utf-8")
    registry = open_registry(file)

    assert registry.account("店").appid == "a"
    assert registry.account("a").name == "店"
    for nobody in ("", "店 ", "shop"):
        with pytest.raises(UnknownAccount):
            registry.account(nobody)


def test_a_new_name_counts_from_the_next_look_on(file: Path) -> None:
    file.write_text(text("a", secret=f'secret = "{CANARY}"\nname = "shop"') + text("b"))
    registry = open_registry(file)
    file.write_text(text("a") + text("b", secret=f'secret = "{CANARY}"\nname = "shop"'))
    registry.reload()

    assert registry.account("shop").appid == "b"


def test_a_book_does_not_open_on_a_broken_file(file: Path) -> None:
    file.write_text(text("a", "a"))

    with pytest.raises(ConfigError, match="twice"):
        open_registry(file)


def test_a_book_also_holds_the_account_of_the_environment(file: Path) -> None:
    file.write_text(text("a"))
    registry = open_registry(file, WECHAT_APPID="single", WECHAT_SECRET=CANARY)
    file.write_text(text("a", "b"))
    registry.reload()

    assert list(registry.accounts) == ["single", "a", "b"]


def test_a_book_without_any_file_never_changes() -> None:
    registry = looked_at(Config().registry({"WECHAT_APPID": "single", "WECHAT_SECRET": CANARY}))

    assert registry.reload() == Changes()
    assert registry.account().appid == "single"


# Noticing changes.


def rewrite(file: Path, content: str) -> None:
    file.write_text(content)


def replace(file: Path, content: str) -> None:
    """Write a new file and rename it over the old one, as editors and Ansible do."""
    new = file.with_suffix(".new")
    new.write_text(content)
    new.rename(file)


def remove_and_write(file: Path, content: str) -> None:
    file.unlink()
    file.write_text(content)


def copy_with_times(file: Path, content: str) -> None:
    """Copy another file over it, with the times that the old one had, as `cp -p` and archives do."""
    times = file.stat()
    other = file.with_suffix(".other")
    other.write_text(content)
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    shutil.copy2(other, file)


WAYS = [rewrite, replace, remove_and_write, copy_with_times]


@pytest.mark.parametrize("way", WAYS)
def test_a_changed_file_is_read_again(way: Callable[[Path, str], None], file: Path, registry: AccountRegistry) -> None:
    way(file, text("a", "c", "b"))

    assert registry.reload() == Changes(reread=True, changed=(Account("c", Secret(CANARY)),))
    assert list(registry.accounts) == ["a", "c", "b"]


@pytest.mark.parametrize("way", WAYS)
def test_a_new_secret_of_the_same_length_is_a_change(
    way: Callable[[Path, str], None], file: Path, registry: AccountRegistry
) -> None:
    settle()
    way(file, text("a", "b", secret=f'secret = "{OTHER}"'))

    assert appids(registry.reload().changed) == ["a", "b"]
    assert registry.account("a").secret.reveal() == OTHER


def test_any_other_field_is_a_change_too(file: Path, registry: AccountRegistry) -> None:
    file.write_text(text("a") + text("b") + 'publish = ["K"]\n')

    assert appids(registry.reload().changed) == ["b"]
    assert registry.account("b").publish == ("K",)


def test_a_file_that_did_not_change_is_not_read_again(registry: AccountRegistry) -> None:
    before = registry.accounts

    assert [registry.reload() for _ in range(3)] == [Changes()] * 3
    assert registry.accounts is before


def test_each_change_is_told_once(file: Path, registry: AccountRegistry) -> None:
    file.write_text(text("a", "b", "c"))

    assert [appids(registry.reload().changed) for _ in range(3)] == [["c"], [], []]


def test_a_touched_file_changes_nothing(file: Path, registry: AccountRegistry) -> None:
    settle()
    file.touch()

    assert registry.reload() == Changes(reread=True)


def test_a_swapped_symbolic_link_to_a_folder_is_a_change(tmp_path: Path) -> None:
    """Kubernetes swaps `..data`, two links behind the file's name."""
    for version, names in {"..1": ["a"], "..2": ["a", "b"]}.items():
        (tmp_path / version).mkdir()
        (tmp_path / version / "accounts.toml").write_text(text(*names))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "accounts.toml").symlink_to("..data/accounts.toml")
    registry = open_registry(tmp_path / "accounts.toml")
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")

    assert appids(registry.reload().changed) == ["b"]


@pytest.mark.parametrize("way", WAYS)
def test_a_new_secret_in_a_secret_file_is_a_change(
    way: Callable[[Path, str], None], file: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(CANARY)
    file.write_text(text("a") + text("b", secret=f'secret_file = "{tmp_path}/secret"'))
    registry = open_registry(file)
    settle()
    way(tmp_path / "secret", OTHER)

    assert appids(registry.reload().changed) == ["b"]
    assert registry.reload() == Changes()
    assert registry.account("b").secret.reveal() == OTHER


def test_a_secret_file_named_later_is_watched_too(file: Path, tmp_path: Path, registry: AccountRegistry) -> None:
    (tmp_path / "secret").write_text(CANARY)
    file.write_text(text("a") + text("b", secret=f'secret_file = "{tmp_path}/secret"'))
    settle()
    registry.reload()
    assert registry.reload() == Changes()
    (tmp_path / "secret").write_text(OTHER)

    assert appids(registry.reload().changed) == ["b"]


def test_the_secret_file_of_the_environment_is_watched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    settle()
    registry = looked_at(Config().registry({"WECHAT_APPID": "single", "WECHAT_SECRET_FILE": str(secret)}))
    secret.write_text(OTHER)

    assert appids(registry.reload().changed) == ["single"]


class Meddled(Config):
    """Settings whose files change the moment after they were read, until there are five accounts."""

    def load(self, environ: Mapping[str, str] | None = None) -> Loaded:
        loaded = super().load(environ)
        accounts = loaded.accounts
        secret_file = accounts["a"].secret_file
        if len(accounts) < 5 and self.accounts_file and secret_file:
            replace(self.accounts_file, self.accounts_file.read_text() + text(f"late{len(accounts)}"))
            replace(Path(secret_file), f"{len(accounts):032}")
        return loaded


def test_a_change_that_falls_into_the_reading_is_not_missed(file: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(CANARY)
    file.write_text(text("a", secret=f'secret_file = "{tmp_path}/secret"'))
    registry = Meddled(accounts_file=file).registry({})
    while registry.reload() != Changes():
        pass

    assert list(registry.accounts) == ["a", "late1", "late2", "late3", "late4"]
    assert registry.account("a").secret.reveal() == f"{4:032}"


# Broken files.

BROKEN = [
    "",
    "[[account]",
    f'[[account]]\nappid = "a"\nsecret = {CANARY}',
    text("a", "a"),
    text("a", "b") + f'sercet = "{CANARY}"',
    text("a", secret='secret_file = "/nowhere/secret"'),
]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_keeps_the_accounts_and_says_so(content: str, file: Path, registry: AccountRegistry) -> None:
    before = registry.accounts
    file.write_text(content)

    assert registry.reload() == Changes(reread=True)
    assert registry.accounts == before
    assert registry.error
    assert str(file) in registry.error
    assert CANARY not in registry.error


def test_a_file_that_vanished_keeps_the_accounts(file: Path, registry: AccountRegistry) -> None:
    file.unlink()
    registry.reload()

    assert list(registry.accounts) == ["a", "b"]
    assert registry.error
    assert "No such file" in registry.error


@pytest.mark.parametrize("content", BROKEN)
def test_a_repaired_file_clears_the_error(content: str, file: Path, registry: AccountRegistry) -> None:
    file.write_text(content)
    registry.reload()
    file.write_text(text("a", "b", "c"))

    assert appids(registry.reload().changed) == ["c"]
    assert registry.error is None
    assert registry.reload() == Changes()


def test_a_file_that_is_repaired_elsewhere_clears_the_error(
    file: Path, tmp_path: Path, registry: AccountRegistry
) -> None:
    file.write_text(text("a") + text("b", secret=f'secret_file = "{tmp_path}/secret"'))
    registry.reload()
    assert registry.error
    (tmp_path / "secret").write_text(OTHER)

    assert appids(registry.reload().changed) == ["b"]
    assert registry.error is None


def test_a_file_that_comes_back_as_it_was_clears_the_error(tmp_path: Path) -> None:
    """A volume that was away for a while brings the very same files back."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "accounts.toml").write_text(text("a"))
    registry = open_registry(tmp_path / "volume" / "accounts.toml")
    (tmp_path / "volume").rename(tmp_path / "away")
    registry.reload()
    assert registry.error
    (tmp_path / "away").rename(tmp_path / "volume")

    assert registry.reload() == Changes(reread=True)
    assert registry.error is None


def test_a_fault_is_logged_once_however_often_one_looks(
    file: Path, registry: AccountRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("[[account]")
    for _ in range(3):
        registry.reload()
    file.write_text("account = 1")
    registry.reload()

    logged = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == 2
    assert logged[-1] == registry.error


def test_a_broken_file_is_not_read_again_until_it_changes(
    file: Path, tmp_path: Path, registry: AccountRegistry
) -> None:
    file.write_text("[[account]")
    registry.reload()
    with opened_here(tmp_path) as opened:
        assert [registry.reload() for _ in range(3)] == [Changes()] * 3
    assert opened == []
    assert registry.error

    file.write_text("[[account]]")
    with opened_here(tmp_path) as opened:
        assert registry.reload() == Changes(reread=True)
    assert opened == [str(file)]


@pytest.mark.parametrize("content", BROKEN[1:])
def test_nothing_is_read_while_a_fault_stays_whatever_it_is(
    content: str, file: Path, tmp_path: Path, registry: AccountRegistry
) -> None:
    (tmp_path / "sound").write_text(CANARY)
    file.write_text(content + text("c", secret=f'secret_file = "{tmp_path}/sound"'))
    registry.reload()
    with opened_here(tmp_path) as opened:
        registry.reload()

    assert registry.error
    assert opened == []


def test_a_secret_file_that_may_be_read_at_last_clears_the_error(
    file: Path, tmp_path: Path, registry: AccountRegistry
) -> None:
    (tmp_path / "secret").mkdir()
    file.write_text(text("a") + text("b", secret=f'secret_file = "{tmp_path}/secret"'))
    registry.reload()
    assert registry.reload() == Changes()
    assert registry.error
    (tmp_path / "secret").rmdir()
    (tmp_path / "secret").write_text(OTHER)

    assert appids(registry.reload().changed) == ["b"]
    assert registry.error is None


def test_a_fault_that_is_none_of_the_files_passes_by_itself(file: Path, registry: AccountRegistry) -> None:
    file.write_text(text("a", "b", "c"))
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, usual[1]))
    try:
        registry.reload()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert registry.error
    assert "Too many open files" in registry.error

    assert appids(registry.reload().changed) == ["c"]
    assert registry.error is None


def test_of_many_faults_some_are_told_and_how_many_there_are(file: Path, registry: AccountRegistry) -> None:
    file.write_text(text(*(f"a{number}" for number in range(25)), secret=""))
    registry.reload()

    assert registry.error
    assert registry.error.count("secret is missing") == 20
    assert registry.error.endswith("; and 5 more, which `tokenworker check` lists")


# Thousands of secret files.


def with_secrets(folder: Path, count: int) -> list[Path]:
    """Write an accounts file with so many secret files, and return those."""
    secrets = [folder / f"secret{number}" for number in range(count)]
    for secret in secrets:
        secret.write_text(CANARY)
    tables = [text(f"a{number}", secret=f'secret_file = "{secret}"') for number, secret in enumerate(secrets)]
    (folder / "accounts.toml").write_text("".join(tables))
    return secrets


def looks_until_noticed(registry: AccountRegistry) -> int:
    return next(look for look in range(1, 100) if registry.reload().changed)


def test_of_a_thousand_secret_files_each_is_looked_at_each_time(file: Path, tmp_path: Path) -> None:
    secrets = with_secrets(tmp_path, 1000)
    registry = open_registry(file)
    for secret in (secrets[0], secrets[500], secrets[-1]):
        replace(secret, OTHER)

        assert looks_until_noticed(registry) == 1


def test_of_more_a_thousand_are_looked_at_each_time(file: Path, tmp_path: Path) -> None:
    secrets = with_secrets(tmp_path, 2500)
    registry = open_registry(file)
    for number in (0, 2499, 999, 1000, 1700, 0):
        replace(secrets[number], secrets[number].read_text()[::-1])
        for _ in range(number % 3):
            # Wherever the round is just now.
            if registry.reload().changed:
                replace(secrets[number], secrets[number].read_text()[::-1])

        assert looks_until_noticed(registry) <= 3
        assert registry.account(f"a{number}").secret.reveal() == secrets[number].read_text()


def test_the_accounts_file_is_looked_at_each_time_however_many_there_are(file: Path, tmp_path: Path) -> None:
    with_secrets(tmp_path, 1500)
    registry = open_registry(file)
    for number in range(4):
        replace(file, file.read_text() + text(f"new{number}"))

        assert looks_until_noticed(registry) == 1


# Beginning with what was read.


def test_a_start_reads_each_file_once(file: Path, tmp_path: Path) -> None:
    (secret,) = with_secrets(tmp_path, 1)
    with opened_here(tmp_path) as opened:
        start = Start.from_env({"TOKENWORKER_ACCOUNTS": str(file)})
        registry = looked_at(start.config.registry({}, start.loaded))

    assert opened == [str(file), str(secret)]
    assert list(registry.accounts) == ["a0"]


def test_what_changed_since_it_was_read_is_noticed(file: Path) -> None:
    file.write_text(text("a"))
    start = Start.from_env({"TOKENWORKER_ACCOUNTS": str(file)})
    file.write_text(text("a", "b"))
    registry = start.config.registry({}, start.loaded)

    assert appids(registry.reload().changed) == ["b"]


def test_accounts_that_did_not_change_stay_the_same_objects(file: Path, registry: AccountRegistry) -> None:
    before = registry.account("a")
    file.write_text(text("a", "b", "c"))
    registry.reload()

    assert registry.account("a") is before
    assert registry.loaded.accounts is registry.accounts


# Removed accounts.


def test_an_account_that_is_still_gone_at_the_second_look_is_removed(file: Path, registry: AccountRegistry) -> None:
    file.write_text(text("a"))

    assert [appids(registry.reload().removed) for _ in range(3)] == [[], ["b"], []]


def test_a_removed_account_is_unknown_at_once(file: Path, registry: AccountRegistry) -> None:
    file.write_text(text("a"))
    registry.reload()

    with pytest.raises(UnknownAccount):
        registry.account("b")


def test_an_account_that_is_back_at_the_second_look_is_not_removed(file: Path, registry: AccountRegistry) -> None:
    file.write_text(text("a"))
    registry.reload()
    file.write_text(text("a", "b"))

    assert registry.reload() == Changes(reread=True, changed=(Account("b", Secret(CANARY)),))
    assert registry.reload() == Changes()


def test_nobody_is_removed_while_the_file_still_grows(file: Path, registry: AccountRegistry) -> None:
    removed = []
    for names in ["a"], ["a", "c"], ["a", "c", "d"]:
        file.write_text(text(*names))
        removed += appids(registry.reload().removed)
    assert removed == []

    assert appids(registry.reload().removed) == ["b"]


def test_nobody_is_removed_while_the_file_is_broken(file: Path, registry: AccountRegistry) -> None:
    file.write_text(text("a"))
    registry.reload()
    file.write_text("[[account]")
    assert [registry.reload().removed for _ in range(3)] == [(), (), ()]
    file.write_text(text("a"))

    assert appids(registry.reload().removed) == ["b"]
    assert registry.reload() == Changes()


def test_an_account_is_removed_at_the_second_look_also_when_its_file_was_touched(
    file: Path, registry: AccountRegistry
) -> None:
    file.write_text(text("a"))
    registry.reload()
    settle()
    file.touch()

    assert registry.reload() == Changes(reread=True, removed=(Account("b", Secret(CANARY)),))
    assert registry.reload() == Changes()


def test_an_account_is_removed_at_the_second_look_also_when_secret_files_come_and_go(
    file: Path, tmp_path: Path
) -> None:
    for name in "abc":
        (tmp_path / name).write_text(CANARY)
    tables = {name: text(name, secret=f'secret_file = "{tmp_path}/{name}"') for name in "abc"}
    file.write_text(tables["a"] + tables["b"])
    registry = open_registry(file)
    file.write_text(tables["a"] + tables["c"])

    assert appids(registry.reload().changed) == ["c"]
    assert appids(registry.reload().removed) == ["b"]


def test_a_removed_account_is_told_as_it_was_configured_last(file: Path, registry: AccountRegistry) -> None:
    """Its published keys must be cleared too."""
    file.write_text(text("a", "b") + 'publish = ["K"]\n')
    registry.reload()
    file.write_text(text("a"))
    registry.reload()

    (removed,) = registry.reload().removed
    assert removed.publish == ("K",)


# Several threads.


def test_threads_that_look_at_once_are_told_each_change_once(file: Path) -> None:
    # Enough accounts that one thread is still reading when the next one looks.
    stay = [f"a{number}" for number in range(100)]
    file.write_text(text(*stay))
    registry = open_registry(file)
    together = threading.Barrier(8)

    def look() -> Changes:
        together.wait()
        return registry.reload()

    with ThreadPoolExecutor(8) as pool:
        for number in range(6):
            names = [*stay, f"new{number}"]
            replace(file, text(*names))
            changes = [found.result() for found in [pool.submit(look) for _ in range(8)]]

            assert [appid for change in changes for appid in appids(change.changed)] == [f"new{number}"]
            gone = [f"new{number - 1}"] if number else []
            assert [appid for change in changes for appid in appids(change.removed)] == gone
            assert list(registry.accounts) == names


def test_a_thread_never_sees_a_book_without_an_account_that_stays(file: Path, registry: AccountRegistry) -> None:
    over = threading.Event()

    def read_on() -> None:
        while not over.wait(0.0001):
            registry.account("a")

    with ThreadPoolExecutor(4) as pool, ExitStack() as at_the_end:
        at_the_end.callback(over.set)
        readers = [pool.submit(read_on) for _ in range(4)]
        for number in range(6):
            replace(file, text("a", f"new{number}"))
            registry.reload()

    assert [reader.exception() for reader in readers] == [None] * 4
