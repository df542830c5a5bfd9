"""The settings of the web face, as the environment says them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

from tokenworker.redaction import excerpt
from tokenworker.secret import Secret

#: What series of metrics there are: those of each credential, or sums.
Series = Literal["credentials", "totals"]


@dataclass(frozen=True)
class WebSettings:
    """Where `tokenworker web` listens, and whom it lets in."""

    address: str = "127.0.0.1"
    port: int = 8790
    #: The file with the clients' keys; without one, everybody on this machine may do everything.
    clients: Path | None = None
    #: That of the page for people.
    password: Secret | None = None
    #: Web pages of these may ask for signatures.
    origins: tuple[str, ...] = ()
    metrics: Series = "credentials"


def read_web(environ: Mapping[str, str], faults: list[str]) -> WebSettings:
    """Return the settings, with a sentence in `faults` for each that can't be used."""
    clients, password = environ.get("TOKENWORKER_WEB_CLIENTS"), environ.get("TOKENWORKER_WEB_PASSWORD")
    return WebSettings(
        address=environ.get("TOKENWORKER_WEB_ADDRESS", WebSettings.address),
        port=_port(environ, faults),
        clients=Path(clients) if clients else None,
        password=Secret(password) if password else None,
        origins=_origins(environ, faults),
        metrics=_series(environ, faults),
    )


def _port(environ: Mapping[str, str], faults: list[str]) -> int:
    text = environ.get("TOKENWORKER_WEB_PORT")
    if text is None:
        return WebSettings.port
    if re.fullmatch("[0-9]{1,5}", text) and 0 < int(text) < 1 << 16:
        return int(text)
    faults.append(f"TOKENWORKER_WEB_PORT is {excerpt(text)!r}: write a port, from 1 to 65535, such as 8790")
    return WebSettings.port


def _origins(environ: Mapping[str, str], faults: list[str]) -> tuple[str, ...]:
    given = [word.strip() for word in environ.get("TOKENWORKER_WEB_ORIGINS", "").split(",") if word.strip()]
    faults.extend(
        f"TOKENWORKER_WEB_ORIGINS has {excerpt(origin)!r}: write origins with commas, such as https://shop.example.com"
        for origin in given
        if not _is_origin(origin)
    )
    return tuple(given)


def _is_origin(text: str) -> bool:
    """Return whether browsers send it as an origin: scheme, host and port, in lower case."""
    try:
        parts = urlsplit(text)
        whole = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and whole == text


def _series(environ: Mapping[str, str], faults: list[str]) -> Series:
    text, known = environ.get("TOKENWORKER_METRICS", WebSettings.metrics), get_args(Series)
    if text not in known:
        faults.append(f"TOKENWORKER_METRICS is {excerpt(text)!r}: write {' or '.join(known)}")
        return WebSettings.metrics
    return cast("Series", text)
