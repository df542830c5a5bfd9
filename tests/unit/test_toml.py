"""TOML by pieces: the same as in one, whatever stands in it."""

from __future__ import annotations

import tomllib

import pytest

from tokenworker.accounts import toml

MANY = "".join(f'[[account]]\nappid = "a{number}"\n' for number in range(1234))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        MANY,
        MANY.replace("\n", "\r\n"),
        MANY.replace("[[account]]", " [[ account ]] # 店"),
        f"# comment\n\n{MANY}# end",
        f"common = 1\n{MANY}",
        f"{MANY}[other]\nx = 1\n",
        f"{MANY}[account.more]\nx = 1\n{MANY}",
        f'[[account]]\nname = """\n{MANY}"""\n{MANY}',
        f"[[account]]\nname = '''\n{MANY}'''\n{MANY}",
        f'[[account]]\nname = "#"\n# {MANY}',
    ],
)
def test_pieces_make_the_same_as_the_whole(text: str) -> None:
    assert toml.parse(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{MANY}[[account]\n{MANY}",
        f'{MANY}[[account]]\nappid = "a\n{MANY}',
        f"{MANY}[[account]]\nx = [\n{MANY}]\n",
        f"account = 1\n{MANY}",
        f"{MANY}[account]\n{MANY}",
        f"[other]\n{MANY}[other]\n{MANY}",
        f"{MANY}[[account]]\nx = 1\nx = 2\n{MANY}",
    ],
)
def test_a_fault_is_where_it_is_in_the_whole(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as whole:
        tomllib.loads(text)
    with pytest.raises(tomllib.TOMLDecodeError) as pieces:
        toml.parse(text)

    assert str(pieces.value) == str(whole.value)
