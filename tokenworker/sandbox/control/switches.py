"""Fault switches, and the one that sets all back."""

from tokenworker.sandbox.control.control import Control
from tokenworker.sandbox.faults import Fault


class Faults(Control):
    """GET, POST and DELETE /sandbox/faults."""

    def get(self) -> None:
        """List the faults that are armed."""
        self.finish({"faults": self.faults.describe()})

    def post(self) -> None:
        """Arm one."""
        fault = Fault.from_options(self.json_body() or {})
        self.faults.add(fault)
        self.set_status(201)
        self.finish(fault.as_json())

    def delete(self) -> None:
        """Disarm all."""
        self.faults.clear()
        self.finish({"faults": []})


class Reset(Control):
    """POST /sandbox/reset."""

    def post(self) -> None:
        """Clear counts, quotas and faults, and credentials if asked to."""
        self.platform.reset(**self.read(tokens=bool))
        self.faults.clear()
        self.finish({})


ROUTES = (
    (r"/sandbox/faults", Faults),
    (r"/sandbox/reset", Reset),
)
