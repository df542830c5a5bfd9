"""What is wrong with a credential, and what to do about it."""

from __future__ import annotations

from tokenworker.web.page.advice import Advice, advice, said
from tokenworker.web.page.board import Condition
from tokenworker.web.page.words import Words
from tokenworker.worker.status import Status


class Remedy:
    """The last failure of its fetches, and what is to be said besides; of one that is well, nothing."""

    def __init__(self, status: Status, condition: Condition, words: Words) -> None:
        self._status = status
        self._condition = condition
        self._words = words

    def __bool__(self) -> bool:
        return bool(self.error or self.remarks)

    @property
    def error(self) -> str:
        """The last failure of a fetch, if it failed."""
        return said(self._status["error"], self._words.language)

    @property
    def failures(self) -> str:
        """How often fetches failed, and since when."""
        failures, at = self._status["failures"], self._status["failed_at"]
        if not failures or not at:
            return self._words("failed")
        return self._words("failed_times", failures, ago=self._words.ago(self._status["now"] - at))

    @property
    def advice(self) -> Advice:
        """What to do about the last failure."""
        it = self._status
        return advice(it["error"], it["errcode"], it["hint"], it["account"], self._words)

    @property
    def command(self) -> str:
        """What has it tried at once."""
        name = self._status["credential"]
        return f"tokenworker refresh {self._status['account']}" + ("" if name == "access_token" else f" --name {name}")

    @property
    def remarks(self) -> list[str]:
        """What is to be said besides."""
        it, words = self._status, self._words
        found = [
            words("missing_means") if self._condition == "missing" else "",
            words("contested_means", n=it["early_deaths"]) if self._condition == "contested" else "",
            words("doubt") if it["in_doubt_since"] else "",
            words("rejected") if it["rejected"] and not it["probe_error"] else "",
            words("probe_error", error=said(it["probe_error"], words.language)) if it["probe_error"] else "",
            words("publish_error", error=it["publish_error"]) if it["publish_error"] else "",
        ]
        return list(filter(None, found))
