"""The one line that Flower and the log show of a task."""

from __future__ import annotations

import pickle
import re
import time
from datetime import datetime
from typing import Any

import pytest
from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined]
from celery import Celery
from celery.exceptions import Retry

from tokenworker.credential import Credential, CredentialId
from tokenworker.errors import FetchError, NetworkError, OperatorError
from tokenworker.worker.monitoring import summary as module
from tokenworker.worker.monitoring.summary import counted, reason, summary

SHOP = CredentialId("wx0123456789abcdef")
TOKEN = "81_" + "a-_9Z" * 27


TICKET = CredentialId("wx0123456789abcdef", "jsapi_ticket")
CRM = CredentialId("ww0123456789abcdef/1000002")


@pytest.mark.parametrize(
    ("outcome", "whom", "left", "line"),
    [
        ("refreshed", SHOP, 7200, "refreshed · wx0123… · until {:%H:%M} · 1d54…"),
        ("got", TICKET, 7200, "got · wx0123… jsapi_ticket · until {:%H:%M} · 1d54…"),
        ("fresh", CRM, 700, "fresh · ww0123…/1000002 · until {:%H:%M} · 1d54…"),
        ("refreshed", CredentialId("wx1"), 59, "refreshed · wx1 · until {:%H:%M:%S} · 1d54…"),
    ],
)
def test_the_outcome_comes_first_then_whose_then_until_when(
    outcome: str, whom: CredentialId, left: float, line: str
) -> None:
    ends_at = time.time() + left
    end = datetime.fromtimestamp(ends_at)  # noqa: DTZ006  the clock on the wall

    assert summary(outcome, whom, Credential(TOKEN, ends_at)) == line.format(end)


@pytest.mark.parametrize(("wait", "told"), [(58.4, "58 s"), (0.04, "0.04 s")])
def test_where_there_is_none_it_says_so_and_when_the_next_attempt_is(wait: float, told: str) -> None:
    assert summary("busy", SHOP, None) == "busy · wx0123… · there is none"
    assert summary("waiting", SHOP, None, wait) == f"waiting · wx0123… · there is none · next attempt in {told}"


def test_until_is_told_in_the_zone_that_celery_is_set_to(monkeypatch: pytest.MonkeyPatch) -> None:
    end = datetime(2026, 11, 26, 6, 5).timestamp() + 10 * 365 * 86400  # noqa: DTZ001
    for zone in ("Asia/Shanghai", "America/New_York"):
        app = Celery("zoned", set_as_current=False)
        app.conf.update(timezone=zone)
        monkeypatch.setattr(module, "current_app", app)
        assert f"until {datetime.fromtimestamp(end, app.timezone):%H:%M}" in summary("got", SHOP, Credential("t", end))


def test_the_counts_are_told_with_what_is_wrong_with_the_accounts() -> None:
    assert counted({"live": 3, "missing": 1}, None) == "3 live · 1 missing"
    assert counted({"live": 3}, "accounts.toml: is broken") == "3 live · accounts.toml: is broken"


def error(retry_in: float | None = None, of: type[FetchError] = NetworkError) -> FetchError:
    made = of("no answer came")
    made.retry_in = retry_in
    return made


def retry(when: Any) -> Retry:
    return Retry(exc=error(), when=when)


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (retry(4.0), "no answer came · next attempt in 4 s · wx0123…"),
        (error(60.0, OperatorError), "no answer came · next attempt in 60 s · wx0123…"),
        (OperatorError("wx0123456789abcdef has no friends"), "wx0123456789abcdef has no friends"),
        (pickle.loads(pickle.dumps(error(60.0))), "no answer came · next attempt in 60 s · wx0123…"),  # noqa: S301  ours
        (ExceptionWithTraceback(retry(4), None), "no answer came · next attempt in 4 s · wx0123…"),
    ],
)
def test_of_a_failure_the_sentence_comes_first_and_no_traceback(raised: BaseException, line: str) -> None:
    told = reason(raised, SHOP, {"exception": "Retry(Retry(...), …)", "traceback": "…"})

    assert (told["result"], told["traceback"]) == (line, None)
    assert re.match(r"(NetworkError|OperatorError)\('", told["exception"])


def test_what_nobody_expected_keeps_its_traceback_but_no_secret() -> None:
    fields: dict[str, Any] = {"exception": f"ValueError('{TOKEN}')", "traceback": f"Traceback\nValueError: {TOKEN}"}

    assert reason(ValueError(TOKEN), SHOP, fields) == {
        "result": "ValueError('***')",
        "exception": "ValueError('***')",
        "traceback": "Traceback\nValueError: ***",
    }


def test_what_is_not_known_is_not_told() -> None:
    assert reason(None, None, {"traceback": None}) == {"result": None}
