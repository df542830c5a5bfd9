"""How SDKs in several languages write values, and how they make names of caches' entries."""

from __future__ import annotations

import json
from hashlib import md5


def as_json(value: object) -> str:
    """Return a value as JSON without blanks."""
    return json.dumps(value, separators=(",", ":"))


def as_php(value: str | int | dict[str, str | int]) -> str:
    """Return a value as PHP's `serialize` writes it; lengths are in bytes."""
    if isinstance(value, dict):
        items = "".join(as_php(key) + as_php(item) for key, item in value.items())
        return f"a:{len(value)}:{{{items}}}"
    return f"i:{value};" if isinstance(value, int) else f's:{len(value.encode())}:"{value}";'


def as_php_json(value: object) -> str:
    """Return a value as PHP's `json_encode` writes it, which escapes the slash."""
    return as_json(value).replace("/", r"\/")


def md5_name(text: str) -> str:
    """Return the name that an SDK makes of a text for its cache; it protects nothing."""
    return md5(text.encode(), usedforsecurity=False).hexdigest()
