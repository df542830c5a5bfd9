"""What the sandbox's own calls share: JSON in, JSON out, and a sentence for what cannot be used."""

from typing import Any

from tokenworker.sandbox.errors import InputError, UnknownAccountError
from tokenworker.sandbox.faults import FaultBox
from tokenworker.sandbox.platform import Platform
from tokenworker.sandbox.wire import Wire


class Control(Wire):
    """JSON in, JSON out; what cannot be used gets status 400 and a sentence."""

    def initialize(self, platform: Platform, faults: FaultBox) -> None:
        """Take the two objects that the whole server shares."""
        self.platform = platform
        self.faults = faults

    def read(self, *needed: str, **wanted: Any) -> dict[str, Any]:
        """Return the body's options, nulls left out; raises InputError at one that is not `wanted`, or is missing."""
        payload = self.json_body() if self.request.body else {}
        given = {name: value for name, value in (payload or {}).items() if value is not None}
        fits = all(isinstance(value, wanted.get(name, ())) for name, value in given.items())
        if payload is None or not fits or not given.keys() >= set(needed):
            names = ", ".join(f"{name} ({getattr(kind, '__name__', kind)})" for name, kind in wanted.items())
            raise InputError(f"Send a JSON object with: {names}.")
        return given

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a sentence that tells what was wrong."""
        error = kwargs["exc_info"][1]
        if isinstance(error, InputError):
            status_code = 404 if isinstance(error, UnknownAccountError) else 400
            self.set_status(status_code)
            self.finish({"error": str(error)})
        else:
            self.finish({"error": f"{status_code} {self._reason}"})


def whole_text(value: object) -> str:
    """Return the value if it is text; raises InputError."""
    # JSON can hold halves of characters, which UTF-8 cannot.
    if not isinstance(value, str) or value != value.encode(errors="replace").decode():
        raise InputError("Send text, in whole characters.")
    return value
