"""Errors carry facts, through pickle and through Celery's results."""

from __future__ import annotations

import json
import pickle

import pytest

from tokenworker import errors

EXAMPLES = [
    errors.ConfigError(["one", "two"]),
    errors.UnknownAccount("wx1", 3),
    errors.UnknownAccount(None, 3),
    errors.StoreUnavailable("refused"),
    errors.TokenUnavailable("wx1", "expired", 40164, "add the IP", 12.5, 30.0),
    *(
        kind("reason", 40164, "errmsg", "rid", "hint", ambiguous=True)
        for kind in (
            errors.FetchError,
            errors.TransientError,
            errors.NetworkError,
            errors.MalformedAnswer,
            errors.MinuteLimit,
            errors.DayLimit,
            errors.OperatorError,
        )
    ),
]


def test_every_class_of_the_tree_has_an_example() -> None:
    def descendants(kind: type[Exception]) -> set[type[Exception]]:
        return {kind}.union(*(descendants(child) for child in kind.__subclasses__()))

    assert {type(error) for error in EXAMPLES} == descendants(errors.TokenWorkerError) - {errors.TokenWorkerError}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickle_and_json_with_all_its_facts(error: Exception) -> None:
    pickled = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    restored = type(error)(*json.loads(json.dumps(error.args)))

    for copy in (pickled, restored):
        assert str(copy) == str(error)
        assert vars(copy) == vars(error)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_is_a_sentence_for_a_person(error: Exception) -> None:
    assert len(str(error)) > 5
    assert not str(error).startswith("(")
