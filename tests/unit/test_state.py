"""The fields of a credential's state: typed where they are written, read by their types."""

from __future__ import annotations

import pytest

from tokenworker.credential import CredentialId
from tokenworker.store import state
from tokenworker.store.state import Facts, Snapshot, State, flat


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


@pytest.mark.parametrize(
    ("period", "later", "fetches"),
    [("86400", 0, 3), ("86400", 57_599, 3), ("86400", 57_600, 0), ("3600", 3599, 3), ("3600", 3600, 0), ("", 0, 3)],
    ids=str,
)
def test_fetches_count_until_the_period_of_their_quota_ends(period: str, later: int, fetches: int) -> None:
    """A day begins at midnight in Beijing: eight hours before UTC's."""
    midnight_in_utc = 20_000 * 86_400
    number = (midnight_in_utc + 8 * 3600) // int(period or 86_400)
    counted = {"day": number, "fetches_today": 3, "forced_today": 3, "quota_period": period}
    words = [str(word).encode() for pair in counted.items() for word in pair]

    found = Snapshot.of(CredentialId("wx1"), ((midnight_in_utc + later) * 1000, None, -2, -2, words))

    assert (found.fetches_today, found.forced_today) == (fetches, fetches)
