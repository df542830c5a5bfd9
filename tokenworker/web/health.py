"""Whether this process is well: for whoever starts it again."""

from __future__ import annotations

from tokenworker.web.handler import Handler


class Healthz(Handler):
    """Alive."""

    bounded = False

    def get(self) -> None:
        """Answer."""
        self.write_json({"status": "ok"})


routes = [("/healthz", Healthz)]
