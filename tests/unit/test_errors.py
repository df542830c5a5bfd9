"""Errors are a sentence for everybody, and carry facts where this package is there."""

from __future__ import annotations

import json
import pickle

import pytest
from celery import Celery

from tokenworker import errors

EXAMPLES = [
    errors.ConfigError(["one", "two"]),
    errors.UnknownAccount("'wx1' is not among the 3 configured accounts", "wx1", 3),
    errors.UnknownAccount("3 accounts are configured: say which appid you mean", None, 3),
    errors.UnknownCredential("wx1 keeps access_token, and no jsapi_ticket: add it to `keep` of this account"),
    errors.WrongArgument("early was given as a number: give true or false"),
    errors.StoreUnavailable("Redis refuses the connection"),
    errors.TokenUnavailable("expired", "wx1", 40164, "add the IP", 1795679000.125, 30.5),
    errors.TokenUnavailable("expired", "ww1/2", credential="jsapi_ticket"),
    *(
        kind("WeChat answered 40164 not in whitelist", 40164, "not in whitelist", "65a1-2b", "add the IP", True)
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
#: What a program may ask; the rest is in the sentence.
FACTS = ("appid", "configured", "errcode", "rid", "ambiguous", "since", "retry_in", "faults")


def facts(error: Exception) -> dict[str, object]:
    return {name: getattr(error, name) for name in FACTS if hasattr(error, name)}


def through_json(error: Exception, module: str) -> Exception:
    """Send an error through Celery's JSON results, to an app that knows its class by `module` or does not."""
    backend = Celery("test", backend="cache+memory://", set_as_current=False).backend
    stored = json.loads(json.dumps(backend.prepare_exception(error))) | {"exc_module": module}
    restored: Exception = backend.exception_to_python(stored)
    return restored


def test_every_class_of_the_tree_has_an_example() -> None:
    def descendants(kind: type[Exception]) -> set[type[Exception]]:
        return {kind}.union(*(descendants(child) for child in kind.__subclasses__()))

    assert {type(error) for error in EXAMPLES} == descendants(errors.TokenWorkerError) - {errors.TokenWorkerError}


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_pickle_keeps_everything(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes

    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_an_app_with_this_package_finds_the_facts_in_a_json_result(error: Exception) -> None:
    restored = through_json(error, "tokenworker.errors")

    assert type(restored) is type(error)
    assert str(restored) == str(error)
    assert facts(restored) == facts(error)


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_an_app_without_this_package_reads_the_sentence(error: Exception) -> None:
    restored = through_json(error, "module.that.is.not.there")

    assert type(restored).__name__ == type(error).__name__
    assert str(restored).startswith(str(error))
    assert not str(restored).startswith(("(", "["))


def test_a_sentence_is_said_once_in_logs_and_in_flower() -> None:
    error = errors.OperatorError("WeChat answered 40013", 40013, "invalid appid", "65a1", "check the appid")

    assert repr(error) == "OperatorError('WeChat answered 40013: check the appid')"


@pytest.mark.parametrize("tail", ["[errcode=1]x", "[reason=1]", "[__class__=1]", "[errcode=1 reason=2]", "[errcode=]"])
def test_what_looks_like_facts_but_is_none_stays_text(tail: str) -> None:
    error = errors.FetchError(f"WeChat answered 40013 {tail}", 40013)

    assert str(error) == f"WeChat answered 40013 {tail}"
    assert error.errcode == 40013


@pytest.mark.parametrize("appid", ["wx 1", 'w"x', "w]x", "微信", "wx\n", "a=b c"])
def test_an_odd_name_of_an_account_does_no_harm(appid: str) -> None:
    restored = through_json(errors.UnknownAccount("nobody knows it", appid, 3), "tokenworker.errors")

    assert str(restored) == "nobody knows it"
    assert getattr(restored, "configured", None) == 3
