"""Whose token it is that somebody shows."""

from __future__ import annotations

import asyncio

import pytest

from tokenworker.credential import Credential, fingerprint
from tokenworker.web.tokens import Tokens


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Nothing:
    """Redis and what is kept, where there is nothing."""

    ids = frozenset[str]()
    fingerprints = property(lambda self: self)

    async def refresh(self, _age: float) -> None:
        pass

    def of_each(self, _ids: object) -> list[object]:
        return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    nothing = Nothing()
    return Tokens(nothing, nothing, 300, clock)  # type: ignore[arg-type]


def test_a_token_is_known_with_the_one_before_it(tokens: Tokens) -> None:
    for value in ("a", "b", "c"):
        tokens.note("wx1", Credential(value, 0))
        # Read again, as another object, when the reader asked Redis anew.
        tokens.note("wx1", Credential(value, 1))
    owners = [asyncio.run(tokens.account(fingerprint(value))) for value in ("a", "b", "c")]

    assert owners == [None, "wx1", "wx1"]


def test_a_token_that_was_replaced_works_as_long_as_the_overlap(tokens: Tokens, clock: Clock) -> None:
    tokens.note("wx1", Credential("a", 0))
    clock.now += 200
    tokens.note("wx1", Credential("b", 0))
    clock.now += 99.9
    assert tokens.works_still(fingerprint("a"))
    clock.now += 0.1
    assert not tokens.works_still(fingerprint("a"))
    assert tokens.works_still(fingerprint("b"))
    assert not tokens.works_still(fingerprint("c"))
