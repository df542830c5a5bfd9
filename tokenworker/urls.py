"""The URLs among the settings: what is allowed, and how Celery writes them.

Each check adds to `faults` a sentence for what is wrong. No sentence shows any part of a URL: a password may be
anywhere in one that is malformed.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
DEFAULT_API_URL = "https://api.weixin.qq.com,https://api2.weixin.qq.com"

_USER = r"(?:[^\s/?#\[\]]*@)?"
_HOST = r"(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::\d+)?"
_SERVER = re.compile(rf"rediss?://{_USER}{_HOST}(?:/\d*)?(?:\?[^\s#]*)?")
_SOCKET = re.compile(rf"unix://{_USER}/[^\s?#]+(?:\?[^\s#]*)?")
_API = re.compile(rf"https?://{_HOST}(?:/[^\s?#@]*)?", re.IGNORECASE)
_PROXY = re.compile(rf"https?://{_USER}{_HOST}/?", re.IGNORECASE)
#: Plain http to anything but this machine and names without a dot, such as those of containers.
_IN_CLEAR = re.compile(r"http://(?!(?:127\.0\.0\.1|\[::1\]|[a-z_][\w-]*)(?:[:/]|$))", re.IGNORECASE)

_REDIS_URLS = {
    "redis": (_SERVER, DEFAULT_REDIS_URL),
    "rediss": (_SERVER, "rediss://redis.example.com:6379/0"),
    "unix": (_SOCKET, "unix:///run/redis.sock?db=0"),
}


def check_redis(url: str, faults: list[str]) -> str:
    """Return where Redis is, or the default in place of a URL that is at fault."""
    scheme = url.partition("://")[0]
    if scheme not in _REDIS_URLS:
        faults.append("REDIS_URL must begin with redis://, rediss:// or unix://, for example " + DEFAULT_REDIS_URL)
        return DEFAULT_REDIS_URL
    shape, example = _REDIS_URLS[scheme]
    if not _fits(shape, url):
        faults.append(f"REDIS_URL is malformed: write for example {example}; in a password, %-encode what is special")
        return DEFAULT_REDIS_URL
    options = dict(parse_qsl(urlsplit(url).query))
    if not options.get("db", "0").isdecimal():
        faults.append("REDIS_URL has a db that is no number: write for example db=0")
    if options.get("ssl_cert_reqs", "required") != "required":
        faults.append("REDIS_URL must leave ssl_cert_reqs out; for an authority of your own: ssl_ca_certs=/path/ca.pem")
    return url


def celery_url(redis_url: str) -> str:
    """Say in Celery's words where Redis is.

    Its broker takes no other parameters than these, and checks a certificate only when told to.
    """
    url = urlsplit(redis_url)
    options = dict(parse_qsl(url.query))
    user = quote(options.get("username", ""), safe="")
    password = quote(options.get("password", ""), safe="")
    server = url.netloc if "@" in url.netloc or not password else f"{user}:{password}@{url.netloc}"
    if url.scheme == "unix":
        return f"redis+socket://{server}{url.path}?virtual_host={options.get('db', '0')}"
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    tls |= {"ssl_cert_reqs": "required"} if url.scheme == "rediss" else {}
    where = f"{url.scheme}://{server}/{options.get('db') or url.path.strip('/') or '0'}"
    return f"{where}?{urlencode(tls, safe='/')}" if tls else where


def check_api(text: str, variable: str, faults: list[str]) -> tuple[str, ...]:
    """Return WeChat's hosts, in order; `variable` is where they were set."""
    urls = tuple(url.strip().rstrip("/") for url in text.split(",") if url.strip())
    if not urls or not all(_fits(_API, url) for url in urls):
        faults.append(f"{variable} is malformed: write https://host or https://host:port/path, several with commas")
    if any(_IN_CLEAR.match(url) for url in urls):
        faults.append(
            f"{variable} would send the AppSecret in clear text: write https://, for http:// is only for this"
            " machine and for hosts without a dot"
        )
    return urls


def check_proxy(url: str | None, faults: list[str]) -> str | None:
    """Return the proxy for the calls to WeChat, if any."""
    if url and not _fits(_PROXY, url):
        faults.append("WECHAT_PROXY is malformed: write for example http://proxy.example.com:3128")
    return url


def _fits(shape: re.Pattern[str], url: str) -> bool:
    try:
        # Python checks addresses in brackets and the range of the port, and shows the URL in its errors.
        sound = urlsplit(url).port != 0
    except ValueError:
        return False
    return sound and url.isascii() and shape.fullmatch(url) is not None
