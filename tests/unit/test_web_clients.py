"""The clients' file: who may do what, and how it is read again."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from support.web import clients_file

from tokenworker.errors import ConfigError
from tokenworker.web.clients.client import ANYBODY, NOBODY, digest, new_key
from tokenworker.web.clients.registry import Clients
from tokenworker.web.tally import Tally

HEX = "a" * 64


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clients.toml"


def faults(file: Path, text: str | bytes) -> list[str]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        Clients(file)
    return caught.value.faults


def test_a_key_cannot_be_guessed_and_says_what_it_is() -> None:
    keys = {new_key() for _ in range(100)}

    assert len(keys) == 100
    assert {(key[:3], len(key)) for key in keys} == {("tw_", 46)}


def test_a_client_is_known_by_its_key_alone(file: Path) -> None:
    keys = clients_file(file.parent, shop="", crm='scopes = ["status"]')
    clients = Clients(file)

    assert clients.of(keys["crm"]).name == "crm"
    assert clients.of(keys["shop"]).scopes == ("read", "report", "sign")
    assert clients.of(new_key()) is NOBODY
    assert clients.of("") is NOBODY
    assert clients.of(digest(keys["shop"])) is NOBODY


def test_without_a_file_anybody_may_do_anything() -> None:
    clients = Clients()

    assert not clients.need_keys
    assert clients.of("") is ANYBODY


def test_accounts_are_globs_over_ids_and_names(file: Path) -> None:
    keys = clients_file(file.parent, shop='accounts = ["wx1*", "ww1/*", "mall-*"]\ncredentials = ["*_ticket"]')
    client = Clients(file).of(keys["shop"])

    assert client.may_see("wx12")
    assert client.may_see("ww1/1000002")
    assert client.may_see("wx9", "mall-2")
    assert not client.may_see("WX12")
    assert not client.may_see("wx2", "shop")
    assert client.may_have("jsapi_ticket")
    assert not client.may_have("access_token")


def test_nobody_may_do_nothing() -> None:
    assert not NOBODY.may("read")
    assert not NOBODY.may_see("wx1", "shop")
    assert not NOBODY.may_have("access_token")


def test_all_faults_are_listed_at_once_and_none_shows_a_key(file: Path) -> None:
    key = new_key()
    found = faults(
        file,
        f'[[client]]\nname = "a b"\nkey_sha256 = "{key}"\nscopes = ["write"]\n'
        f'[[client]]\nname = "shop"\nkey = "{key}"\naccounts = "wx*"\ncolour = "red"\n'
        f'[[client]]\nname = "crm"\nkey_sha256 = "{HEX}"\n[[client]]\nname = "crm"\nkey_sha256 = "{HEX}"\n'
        "[server]\n",
    )

    assert [fault.removeprefix(f"{file}: ").split(": use")[0] for fault in found] == [
        "'server' is unknown here: write [[client]] over what is one's",
        "client 1: name must be letters, digits, '_', '.' and '-', 64 at most, such as shop-php",
        "client 1: key_sha256 must be 64 hex digits, in small letters: `tokenworker web new-key` makes one",
        "client 1: there is no scope 'write'",
        "client 2 (shop): key_sha256 must be 64 hex digits, in small letters: `tokenworker web new-key` makes one",
        'client 2 (shop): accounts must be a list of one text or more, such as ["wx*"]',
        "client 2 (shop): key is not kept here: write key_sha256, as `tokenworker web new-key` prints it",
        "client 2 (shop): 'colour' is unknown here",
        "clients 3 and 4 have the same name: give each one of its own",
        "clients 3 and 4 have the same key: give each one of its own",
    ]
    assert key not in str(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no clients: write [[client]], with two brackets, over each"),
        ("[client]\nname = 'shop'\n", "has no clients: write [[client]], with two brackets, over each"),
        ("[[client]\n", "is not TOML: look at line 1, column 9"),
        (b"\xff", "is not UTF-8 text"),
        ("client = [1]", "has no clients: write [[client]], with two brackets, over each"),
    ],
)
def test_what_is_no_clients_file_is_said_to_be_none(file: Path, text: str | bytes, words: str) -> None:
    assert [fault.removeprefix(f"{file}: ") for fault in faults(file, text)] == [words]


def test_a_file_that_is_not_there_stops_the_start(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"clients\.toml: can't be read: No such file"):
        Clients(file)


def test_a_changed_file_is_read_again(file: Path) -> None:
    old = clients_file(file.parent, shop="")["shop"]
    clients = Clients(file)
    clients.reload()
    new = clients_file(file.parent, shop="")["shop"]
    clients.reload()

    assert clients.of(old) is NOBODY
    assert clients.of(new).name == "shop"


@pytest.mark.parametrize("broken", ["", "[[client]]\n", None])
def test_a_broken_file_leaves_the_clients_as_they_are_and_says_so_once(
    file: Path, broken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    key = clients_file(file.parent, shop="")["shop"]
    clients = Clients(file)
    if broken is None:
        file.unlink()
    else:
        file.write_text(broken, encoding="utf-8")
    with caplog.at_level(logging.ERROR):
        clients.reload()
        clients.reload()

    assert clients.of(key).name == "shop"
    assert len(caplog.messages) == 1
    assert clients.error == caplog.messages[0]
    assert clients.error.startswith("the clients stay as they were, since their file has faults: ")


def test_a_mended_file_clears_the_fault(file: Path) -> None:
    clients_file(file.parent, shop="")
    clients = Clients(file)
    good = file.read_bytes()
    file.write_text("[", encoding="utf-8")
    clients.reload()
    file.with_suffix(".new").write_bytes(good)
    os.replace(file.with_suffix(".new"), file)  # noqa: PTH105
    clients.reload()

    assert clients.error is None


def test_some_client_may_read_what_its_globs_let_it(file: Path) -> None:
    clients_file(file.parent, shop='accounts = ["wx1"]\ncredentials = ["access_token"]', crm='scopes = ["sign"]')
    clients = Clients(file)

    assert clients.some_may_read("wx1", "", "access_token")
    assert not clients.some_may_read("wx1", "", "jsapi_ticket")
    assert not clients.some_may_read("wx2", "", "access_token")
    assert Clients().some_may_read("wx2", "", "jsapi_ticket")


def test_a_tally_without_anything_asks_nothing_of_redis() -> None:
    Tally().write(None)  # type: ignore[arg-type]
