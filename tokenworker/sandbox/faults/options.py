"""Options that come from JSON, checked by the types of their fields."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from tokenworker.sandbox.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Fields whose types are checked when they are set; raises InputError."""

    def __post_init__(self) -> None:
        for option in fields(self):
            _check_type(option.name, getattr(self, option.name), option.type)
        self.check()

    def check(self) -> None:
        """Raise InputError for values that make no sense."""

    @classmethod
    def names(cls) -> set[str]:
        """Return what can be set."""
        return {option.name for option in fields(cls)}

    def as_json(self) -> dict[str, Any]:
        """Return the options as they would be sent."""
        return asdict(self)


def _check_type(name: str, value: object, wanted: Any) -> None:
    is_number = isinstance(value, int) and isinstance(float(value), wanted)
    if not isinstance(value, wanted) and not is_number:
        raise InputError(f"{name} must be {getattr(wanted, '__name__', wanted)}.")
