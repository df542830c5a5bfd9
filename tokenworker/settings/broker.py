"""Where Celery finds its queue and its results: its command line prefers variables that its library does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from tokenworker.settings.libraries import backend_fault
from tokenworker.settings.servers import Servers
from tokenworker.settings.urls import (
    DEFAULT_REDIS_URL,
    ELSEWHERE,
    NO_CELERY,
    backend_url,
    celery_url,
    check_celery,
    check_redis,
    is_sentinel,
    tls_options,
)

#: These win over both variables of a queue, for one half of the work.
_HALVES = ("CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")

#: A Sentinel is asked for one address: seconds till the next one has its turn.
_PATIENCE = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0}

#: What `rewrite` found in Celery's variables, by what it wrote there: they are read more than once.
_found: dict[str, str] = {}


@dataclass(frozen=True)
class _Place:
    """The queue, or the results."""

    #: In the order in which they win. The first is an option of Celery's command line.
    variables: tuple[str, str]
    #: Celery's settings for how to get there, and for TLS.
    options: str
    tls: str
    #: Writes our URL as Celery has it.
    written: Callable[[str], str]

    def at(self, url: str) -> Place:
        """Return the place at a URL of ours."""
        servers = Servers.of(url)
        tls: dict[str, Any] = {**tls_options(servers.urls[0])}
        needs: dict[str, Any] = {self.tls: tls} if tls else {}
        if servers.topology == "sentinel":
            hop = _PATIENCE | servers.sentinel_login | ({"ssl": True, **tls} if tls else {})
            needs[self.options] = {"master_name": servers.service, "sentinel_kwargs": hop}
        return Place(self.written(url), needs)

    def variable(self, given: Mapping[str, str]) -> str | None:
        """Return the variable that says where it is, if any does."""
        return next((name for name in self.variables if name in given), None)


@dataclass(frozen=True)
class Place:
    """Where Celery keeps something: the URL in its own words, and the settings that the URL needs besides, by name."""

    url: str = field(repr=False)
    settings: dict[str, Any] = field(default_factory=dict, repr=False)


_QUEUE = _Place(("BROKER_URL", "CELERY_BROKER_URL"), "broker_transport_options", "broker_use_ssl", celery_url)
_RESULTS = _Place(
    ("RESULT_BACKEND", "CELERY_RESULT_BACKEND"),
    "result_backend_transport_options",
    "redis_backend_use_ssl",
    backend_url,
)


def places(given: Mapping[str, str], redis_url: str, faults: list[str]) -> tuple[Place, Place]:
    """Return where a worker has its queue and its results."""
    given = _as_given(given)
    for first, second in (_QUEUE.variables, _RESULTS.variables):
        if len({given[name] for name in (first, second) if name in given}) > 1:
            faults.append(
                f"{first} and {second} lead to different places, and Celery's command line takes the first:"
                " keep one of them"
            )
    beside = _beside(given, redis_url, faults)
    return _at(_QUEUE, given, beside, faults), _at(_RESULTS, given, beside, faults)


def queue_settings(url: str) -> dict[str, Any]:
    """Return Celery's settings for a queue at a URL of ours."""
    place = _QUEUE.at(url)
    return {"broker_url": place.url, **place.settings}


def rewrite(environ: MutableMapping[str, str], queue: str, results: str) -> None:
    """Have Celery's own variables say what it understands: it reads them itself, whatever its settings are."""
    for place, url in ((_QUEUE, queue), (_RESULTS, results)):
        name = place.variables[1]
        value = environ.get(name, "").strip()
        if value and value != url:
            _found[url] = value
            environ[name] = url


def notes(given: Mapping[str, str], redis_url: str) -> list[str]:
    """Return a sentence for each variable of Celery's that leads elsewhere than the names that our pages give them."""
    given = _as_given(given)
    found = []
    for place, rivals in ((_QUEUE, _QUEUE.variables[:1] + _HALVES), (_RESULTS, _RESULTS.variables[:1])):
        named = place.variables[1]
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


def _as_given(given: Mapping[str, str]) -> dict[str, str]:
    return {name: _found.get(value, value) for name, value in given.items()}


def _at(place: _Place, given: Mapping[str, str], beside: str, faults: list[str]) -> Place:
    name = place.variable(given)
    if name is None:
        return place.at(beside)
    if is_sentinel(given[name]):
        found = place.at(check_redis(given[name], faults, name))
    else:
        found = Place(check_celery(given[name], name, faults))
        if place is _RESULTS and (fault := backend_fault(given[name])):
            faults.append(f"{name} {fault}")
    if found.url != given[name] and name != place.variables[1]:
        faults.append(f"{name} is read by Celery's command line alone, word for word: call it {place.variables[1]}")
    return found


def _beside(given: Mapping[str, str], redis_url: str, faults: list[str]) -> str:
    """Return where Celery keeps what nobody gave it a place for: with the credentials."""
    if Servers.of(redis_url).topology != "cluster":
        return redis_url
    missing = [place.variables[1] for place in (_QUEUE, _RESULTS) if place.variable(given) is None]
    if missing:
        faults.append(f"REDIS_URL is a Redis Cluster, {NO_CELERY}: set {' and '.join(missing)} too, {ELSEWHERE}")
    return DEFAULT_REDIS_URL
