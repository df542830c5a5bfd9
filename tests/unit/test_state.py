"""The fields of a credential's state: typed where they are written, read by their types."""

from __future__ import annotations

import pytest

from tokenworker.store import state
from tokenworker.store.state import Facts, State, flat


def test_every_fact_that_is_written_is_a_field_that_is_read() -> None:
    assert Facts.__annotations__.keys() <= State.__dataclass_fields__.keys()


def test_a_field_of_a_type_that_nobody_reads_stops_the_import() -> None:
    with pytest.raises(KeyError):
        state._reader(bool)


@pytest.mark.parametrize(
    ("value", "written"),
    [(1_800_000_000.125, "1800000000.125"), (0.0, "0.000"), (None, ""), ("text", "text"), (7, 7)],
)
def test_values_are_written_as_they_are_read(value: object, written: object) -> None:
    assert flat({"field": value}) == ["field", written]


def test_nonsense_and_fields_of_other_versions_count_as_not_there() -> None:
    fields = [b"failures", b"many", b"fetched_at", b"12.5", b"unheard_of", b"1", b"errcode", b""]

    assert state._state(fields) == {"fetched_at": 12.5}
