"""Workers that stop on the way, so that the steps of several refreshes interleave as a test wants.

Each refresh runs in a thread of its own, but only one thread runs at a time: who goes on hands the baton over and
waits until it comes back, at a stop or at the end. So every run can be repeated exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Semaphore, Thread

from tokenworker.errors import FetchError

#: Where a worker can stop: before a step of that name, after WeChat's part and before its own next step (`answer`), or
#: before it does a step again whose reply was lost (`again`).
STOPS = (
    "take_lease", "look", "acquire", "begin", "send", "answer", "commit", "fail", "release", "withhold", "plan", "again"
)  # fmt: skip
#: The steps whose reply may get lost.
REPLIES = ("take_lease", "begin", "commit", "fail", "release", "withhold")
END = "end"


class Died(BaseException):
    """The process was killed: nothing of it runs any more, no `finally` reaches anything."""


class Worker:
    """A process that refreshes, one thing at a time."""

    def __init__(self) -> None:
        self.busy = False
        self.died = False
        self._stop_at = END
        self._turn, self._back = Semaphore(0), Semaphore(0)
        self._thread = Thread()
        self._error: BaseException | None = None

    def start(self, task: Callable[[], object], stop_at: str = END) -> None:
        """Begin a task and run to the stop, or to the end."""
        self.busy, self.died, self._error = True, False, None
        self._thread = Thread(target=self._run, args=(task,), daemon=True)
        self._thread.start()
        self.go_on(stop_at)

    def go_on(self, stop_at: str = END) -> None:
        """Run on to the next stop, or to the end; raises what went wrong there. Who is done has nothing to do."""
        if not self.busy:
            return
        self._stop_at = stop_at
        self._turn.release()
        self._back.acquire()
        if not self.busy:
            self._thread.join()
        if self._error:
            raise self._error

    def die(self) -> None:
        """Kill the process where it stands."""
        self.died = True
        self.go_on()

    def reaches(self, step: str) -> bool:
        """Stop here if that is wanted, and return whether it was; called by the worker itself before each step."""
        stops = step == self._stop_at
        if stops:
            self._back.release()
            self._turn.acquire()
        if self.died:
            raise Died
        return stops

    def _run(self, task: Callable[[], object]) -> None:
        self._turn.acquire()
        try:
            task()
        except (FetchError, Died):
            pass
        except BaseException as error:  # noqa: BLE001  it is raised again where the worker was told to go on
            self._error = error
        self.busy = False
        self._back.release()
