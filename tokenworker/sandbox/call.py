"""One call as the model sees it: values, no HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """What a caller sent, and from where."""

    path: str
    method: str
    ip: str
    query: Mapping[str, str] = field(repr=False)
    #: The body where it is a JSON object, else empty.
    body: Mapping[str, Any] = field(repr=False)
    #: How many calls of this path were under way when it arrived, itself included.
    parallel: int = 1

    def asked(self, name: str) -> str:
        """Return a query parameter, or nothing."""
        return self.query.get(name, "")

    def posted(self, name: str) -> str:
        """Return a value of the body as text, or nothing."""
        value = self.body.get(name)
        return "" if value is None else str(value)

    @property
    def access_token(self) -> str:
        """The token in the query, the only place where WeChat looks for it (basic API guide)."""
        return self.asked("access_token")
