"""What the page shows: how everything is at one moment, and of the credentials those that somebody asks for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlencode

from tokenworker.credential import CredentialId
from tokenworker.credentials import kind_of
from tokenworker.durations import DAY, Durations
from tokenworker.store.history import Event
from tokenworker.store.store import Store
from tokenworker.store.usage import Action
from tokenworker.web.clients.client import Client
from tokenworker.web.page.words import Language
from tokenworker.web.quotas import Quota, quota
from tokenworker.worker.status import Overview, Status, survey

#: How a credential is, worst first: `trouble` is live, but something is wrong.
Condition = Literal["missing", "contested", "trouble", "live"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)

#: So many are on a page.
PAGE = 50
#: Of so few all events stand there as text.
_FEW = 3

#: A worker that gave no sign for so many watchdogs' pulses is silent.
_PULSES = 15


@dataclass(frozen=True)
class Question:
    """What somebody asks for: an account by a part of its id or name, a condition, a page, a language."""

    text: str = ""
    condition: Condition | None = None
    page: int = 1
    language: Language | None = None

    @classmethod
    def of(cls, given: Callable[[str], str]) -> Question:
        """Read it from the query of a URL; what can't be used is left out."""
        condition, page = given("state"), given("page")
        return cls(
            text=given("q").strip()[:128],
            condition=CONDITIONS[CONDITIONS.index(condition)] if condition in CONDITIONS else None,
            page=int(page) if re.fullmatch("[0-9]{1,6}", page) and int(page) else 1,
            language={"en": "en", "zh-CN": "zh-CN"}.get(given("lang")),  # type: ignore[arg-type]
        )

    def href(self, **changes: object) -> str:
        """Return the link to the same question with other words."""
        words = {"q": self.text, "state": self.condition, "lang": self.language, **changes}
        query = urlencode({name: word for name, word in words.items() if word})
        return f"?{query}" if query else "./"


@dataclass(frozen=True)
class Row:
    """One credential: how it is, and what happened to it lately, newest first."""

    status: Status
    condition: Condition
    events: Sequence[Event]
    quota: Quota
    #: Whether all events are to be read, since there are few credentials.
    whole: bool


@dataclass(frozen=True)
class Board:
    """Everything on the page. Lengths are seconds."""

    now: float
    durations: Durations
    #: How many credentials are in each condition, and of how many accounts they are.
    counts: Mapping[Condition, int]
    accounts: int
    #: How many answer the question, the first of those that are shown, and these.
    found: int
    first: int
    rows: Sequence[Row]
    accounts_error: str
    clients_error: str
    ticked_ago: float | None
    #: How long ago each worker gave a sign of life.
    workers: Mapping[str, float]
    #: How often each client read, reported, signed and was refused.
    readers: Mapping[str, Mapping[Action, int]]

    @property
    def total(self) -> int:
        """How many credentials are kept, as far as may be seen."""
        return sum(self.counts.values())

    @property
    def bad(self) -> int:
        """How many need a person."""
        return self.counts["missing"] + self.counts["contested"]

    @property
    def pages(self) -> int:
        """How many pages there are of those that answer the question."""
        return max(1, -(-self.found // PAGE))

    @property
    def page(self) -> int:
        """Which of them this is."""
        return self.first // PAGE + 1

    @property
    def day(self) -> float:
        """How long a day is: less where time is scaled."""
        return DAY * self.durations.second

    @property
    def is_late(self) -> bool:
        """Whether the last tick is long ago."""
        return self.ticked_ago is not None and self.ticked_ago > self.durations.silence

    def is_silent(self, ago: float) -> bool:
        """Whether a worker whose last sign is so long ago is thought dead."""
        return ago > max(_PULSES * self.durations.pulse, self.durations.pulse + _PULSES)

    @property
    def is_neglected(self) -> bool:
        """Whether nobody refreshes."""
        return all(map(self.is_silent, self.workers.values()))


def look(store: Store, durations: Durations, client: Client, question: Question, clients_error: str = "") -> Board:
    """Look at what a client may see; raises `StoreUnavailable`."""
    names = store.notes.names()
    ids = [id_ for id_ in store.schedule.ids() if _may_see(client, id_, names)]
    conditions = _conditions(Overview(store, durations, ids))
    found = [id_ for id_ in conditions if _answers(question, id_, conditions, names)]
    first = min((question.page - 1) * PAGE, max(0, len(found) - 1) // PAGE * PAGE)
    return Board(
        now=store.now(),
        durations=durations,
        counts={condition: Counter(conditions.values())[condition] for condition in CONDITIONS},
        accounts=len({id_.account for id_ in ids}),
        found=len(found),
        first=first,
        rows=_rows(store, durations, found[first : first + PAGE], conditions),
        accounts_error=store.notes.accounts_error() or "",
        clients_error=clients_error,
        ticked_ago=store.notes.ticked_ago(),
        workers=dict(sorted(store.notes.workers().items())),
        readers=dict(sorted(store.usage.counts().items())),
    )


def _may_see(client: Client, id_: CredentialId, names: Mapping[str, str]) -> bool:
    return client.may_see(id_.account, names.get(id_.account, "")) and client.may_have(id_.name)


def _conditions(seen: Overview) -> dict[CredentialId, Condition]:
    """Return how each is, worst first."""
    lists: dict[Condition, list[CredentialId]] = {
        "missing": seen.worst("missing"),
        "contested": seen.worst("contested"),
        "trouble": seen.worst("live", healthy=False),
        "live": seen.worst("live"),
    }
    found: dict[CredentialId, Condition] = {}
    for condition, ids in lists.items():
        for id_ in ids:
            found.setdefault(id_, condition)
    return found


def _answers(
    question: Question, id_: CredentialId, conditions: Mapping[CredentialId, Condition], names: Mapping[str, str]
) -> bool:
    if question.condition not in (None, conditions[id_]):
        return False
    text = question.text.casefold()
    return text in id_.account.casefold() or text in names.get(id_.account, "").casefold()


def _rows(
    store: Store, durations: Durations, ids: Sequence[CredentialId], conditions: Mapping[CredentialId, Condition]
) -> list[Row]:
    events = dict(store.history.of_each(ids))
    quotas = {it.id: quota(it, kind_of(it.id)) for it in store.gauges.of(ids)}
    return [
        Row(it, conditions[id_], _plausible(events[id_], it["now"]), quotas[id_], whole=len(ids) <= _FEW)
        for id_, it in zip(ids, survey(store, durations, ids), strict=True)
    ]


def _plausible(events: Sequence[Event], now: float) -> list[Event]:
    """Return those that may have happened of late: somebody else may write there, too."""
    return [event for event in events if now - 2 * DAY < event["at"] < now + DAY]
