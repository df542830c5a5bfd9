"""Where Celery finds its queue and its results: its command line prefers variables that its library does not know."""

from __future__ import annotations

from collections.abc import Mapping

from tokenworker.urls import celery_url

#: What wins over what, first to last. The first of each is an option of Celery's command line.
_BROKER = ("BROKER_URL", "CELERY_BROKER_URL")
_BACKEND = ("RESULT_BACKEND", "CELERY_RESULT_BACKEND")
#: These win over both, for one half of the work.
_HALVES = ("CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")


def celery_urls(given: Mapping[str, str], redis_url: str, faults: list[str]) -> tuple[str, str]:
    """Return the broker and the result backend that a worker uses."""
    default = celery_url(redis_url)
    for first, second in (_BROKER, _BACKEND):
        if len({given[name] for name in (first, second) if name in given}) > 1:
            faults.append(
                f"{first} and {second} lead to different places, and Celery's command line takes the first:"
                " keep one of them"
            )
    return _first(_BROKER, given, default), _first(_BACKEND, given, default)


def notes(given: Mapping[str, str], redis_url: str) -> list[str]:
    """Say which variables of Celery lead elsewhere than those that our README names."""
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


def _first(names: tuple[str, ...], given: Mapping[str, str], default: str) -> str:
    return next((given[name] for name in names if name in given), default)
