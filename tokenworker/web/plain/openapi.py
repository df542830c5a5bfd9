"""The description of all this, for generators of clients: openapi.json beside this file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from tokenworker.web.handler import Handler


@cache
def description() -> bytes:
    """Return the file."""
    return files("tokenworker.web.plain").joinpath("openapi.json").read_bytes()


class OpenAPI(Handler):
    """The file, for everybody: it holds nothing of this installation."""

    def get(self) -> None:
        """Answer with it."""
        self.write(description())


routes = [("/v1/openapi.json", OpenAPI)]
