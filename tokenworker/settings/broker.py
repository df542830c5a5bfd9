"""Where Celery finds its queue and its results: its command line prefers variables that its library does not know."""

from __future__ import annotations

from collections.abc import Mapping

from tokenworker.settings.urls import backend_url, celery_url, check_celery

#: The variables in the order in which they win. The first of each is an option of Celery's command line.
_BROKER = ("BROKER_URL", "CELERY_BROKER_URL")
_BACKEND = ("RESULT_BACKEND", "CELERY_RESULT_BACKEND")
#: These win over both, for one half of the work.
_HALVES = ("CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")


def celery_urls(given: Mapping[str, str], redis_url: str, faults: list[str]) -> tuple[str, str]:
    """Return the broker and the result backend that a worker uses."""
    for first, second in (_BROKER, _BACKEND):
        if len({given[name] for name in (first, second) if name in given}) > 1:
            faults.append(
                f"{first} and {second} lead to different places, and Celery's command line takes the first:"
                " keep one of them"
            )
    defaults = (_BROKER, celery_url(redis_url)), (_BACKEND, backend_url(redis_url))
    broker, backend = (_first(names, given, default, faults) for names, default in defaults)
    return broker, backend


def notes(given: Mapping[str, str], redis_url: str) -> list[str]:
    """Return a sentence for each variable of Celery's that leads elsewhere than the names that our pages give them."""
    found = []
    for rivals, (_, named) in ((_BROKER[:1] + _HALVES, _BROKER), (_BACKEND[:1], _BACKEND)):
        expected = {given[named]} if named in given else {redis_url, celery_url(redis_url)}
        found += [
            (rival, named if named in given else "REDIS_URL")
            for rival in rivals
            if given.get(rival) and given[rival] not in expected
        ]
    return [
        f"{rival} is set, and Celery prefers it: it leads elsewhere than {named}; take it out unless that is meant"
        for rival, named in found
    ]


def _first(names: tuple[str, ...], given: Mapping[str, str], default: str, faults: list[str]) -> str:
    name = next((name for name in names if name in given), None)
    return check_celery(given[name], name, faults) if name else default
