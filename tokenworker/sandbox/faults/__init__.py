"""What can go wrong on purpose: switches that say when and for whom, and effects that say what."""

from tokenworker.sandbox.faults.box import FaultBox
from tokenworker.sandbox.faults.fault import Fault

__all__ = ["Fault", "FaultBox"]
