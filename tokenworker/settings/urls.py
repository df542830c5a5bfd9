"""The URLs among the settings: what is allowed, and how Celery writes them.

Each check adds to `faults` a sentence for what is wrong. No sentence shows any part of a URL: a password may be
anywhere in one that is malformed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qs, parse_qsl, quote, urlencode, urlsplit

from tokenworker.settings.servers import SENTINEL_LOGIN, Servers

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
#: WeChat's nearest host, and the one for when that can't be reached: page "API domains". WeCom has one host.
DEFAULT_API_URL = "https://api.weixin.qq.com,https://api2.weixin.qq.com"
DEFAULT_WECOM_URL = "https://qyapi.weixin.qq.com"

_USER = r"(?:[^\s/?#\[\]]*@)?"
_HOST = r"(?:[\w-]{1,63}(?:\.[\w-]{1,63})*\.?|\[[\da-fA-F:.]+\])(?::\d+)?"
_SERVER = re.compile(rf"rediss?://{_USER}{_HOST}(?:/\d*)?(?:\?[^\s#]*)?")
_SOCKET = re.compile(rf"unix://{_USER}/[^\s?#]+(?:\?[^\s#]*)?")
_SENTINEL = re.compile(rf"sentinels?://{_USER}{_HOST}(?:,{_HOST})*/[\w.-]+(?:/\d*)?(?:\?[^\s#]*)?")
_CLUSTER = re.compile(rf"clusters?://{_USER}{_HOST}(?:,{_HOST})*(?:/0?)?(?:\?[^\s#]*)?")
#: The beginning of a URL that names a service, and not the number of a database as Celery's do.
_SERVICE = re.compile(r"sentinels?://[^/?;]*/(?!\d*(?:[;?]|$))")
_ONE = re.compile(f"{_SERVER.pattern}|{_SOCKET.pattern}")
_API = re.compile(rf"https?://{_HOST}(?:/[^\s?#@]*)?", re.IGNORECASE)
_PROXY = re.compile(rf"https?://{_USER}{_HOST}/?", re.IGNORECASE)
#: Plain http to anything but this machine and names without a dot, such as those of containers.
_IN_CLEAR = re.compile(r"http://(?!(?:127\.0\.0\.1|\[::1\]|[a-z_][\w-]*)(?:[:/]|$))", re.IGNORECASE)

#: Options in the query of a Redis URL, with what their values look like and what to do about others.
_OPTIONS = {
    "db": (r"\d{1,4}", "has a db that is no number: write for example db=0"),
    "username": (r".*", ""),
    "password": (r".*", ""),
    "protocol": (r"[23]", "has a protocol that is neither 2 nor 3: take it out for 2, which every server speaks"),
    "client_name": (r"[!-~]+", "has a client_name with blanks or none: write for example client_name=shop"),
    "ssl_ca_certs": (r".+", "has an empty ssl_ca_certs: write the path of a file of certificates"),
    "ssl_certfile": (r".+", "has an empty ssl_certfile: write the path of a certificate"),
    "ssl_keyfile": (r".+", "has an empty ssl_keyfile: write the path of a key"),
    "ssl_cert_reqs": (
        r"required",
        "must leave ssl_cert_reqs out; for an own authority: ssl_ca_certs=/path/ca.pem",
    ),
    "ssl_check_hostname": (
        r"(?i:true|yes|1)",
        "must leave ssl_check_hostname out: the certificate has to name the host",
    ),
    "sentinel_username": (r".+", "has an empty sentinel_username: write the Sentinels' user, or take it out"),
    "sentinel_password": (r".+", "has an empty sentinel_password: write the Sentinels' password, or take it out"),
}
#: Options that other programs need in the same URL, and for which ours are right whatever they say.
_OURS = frozenset(
    (
        "decode_responses",
        "encoding",
        "encoding_errors",
        "health_check_interval",
        "max_connections",
        "retry_on_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_timeout",
        "timeout",
    )
)

_REDIS_URLS = {
    "redis": (_SERVER, DEFAULT_REDIS_URL),
    "rediss": (_SERVER, "rediss://redis.example.com:6379/0"),
    "unix": (_SOCKET, "unix:///run/redis.sock?db=0"),
    "sentinel": (_SENTINEL, "sentinel://s1:26379,s2:26379,s3:26379/mymaster?db=0"),
    "sentinels": (_SENTINEL, "sentinels://s1:26379,s2:26379,s3:26379/mymaster?db=0"),
    "cluster": (_CLUSTER, "cluster://n1:6379,n2:6379,n3:6379"),
    "clusters": (_CLUSTER, "clusters://n1:6379,n2:6379,n3:6379"),
}
_WITH_TLS = ("rediss", "sentinels", "clusters")


def check_redis(url: str, faults: list[str], variable: str = "REDIS_URL") -> str:
    """Return where Redis is, or the default in place of a URL that is at fault; `variable` is where it was set."""
    scheme = url.partition("://")[0]
    if scheme not in _REDIS_URLS:
        schemes = ", ".join(f"{scheme}://" for scheme in _REDIS_URLS)
        faults.append(f"{variable} must begin with one of {schemes}; for example {DEFAULT_REDIS_URL}")
        return DEFAULT_REDIS_URL
    shape, example = _REDIS_URLS[scheme]
    if not shape.fullmatch(url) or not _all_fit(url):
        faults.append(f"{variable} is malformed: write for example {example}; in a password, %-encode what is special")
        return DEFAULT_REDIS_URL
    given = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    wrong = filter(None, (_option_fault(scheme, name, value) for name, value in given))
    faults.extend(f"{variable} {fault}" for fault in wrong)
    kept = urlencode([(name, value) for name, value in given if name not in _OURS], safe="/")
    return url.partition("?")[0] + (f"?{kept}" if kept else "")


def _option_fault(scheme: str, name: str, value: str) -> str | None:
    if name in _OURS:
        return None
    if name not in _OPTIONS:
        shown = name if re.fullmatch(r"[A-Za-z][A-Za-z_-]{0,30}", name) else "an option"
        return f"has {shown}, which is unknown here: use {', '.join(_OPTIONS)}, or take it out"
    if name.startswith("ssl_") and scheme not in _WITH_TLS:
        return (
            f"has {name}, which is for {', '.join(f'{tls}://' for tls in _WITH_TLS)}: take it out, or write"
            " one of those"
        )
    if name in SENTINEL_LOGIN and not scheme.startswith("sentinel"):
        return f"has {name}, which is for sentinel://: take it out"
    if name == "db" and scheme.startswith("cluster") and value != "0":
        return "has a db, and a cluster has none but 0: take it out"
    shape, advice = _OPTIONS[name]
    return None if re.fullmatch(shape, value) else advice


def backend_url(redis_url: str) -> str:
    """Return the URL of Redis for Celery's result backend: like its broker's, but with the protocol.

    Of several Sentinels only the first has the login, for Celery reads no other, and would show them in its settings.
    """
    url = celery_url(redis_url)
    if is_sentinel(redis_url):
        first, *others = url.split(";")
        return ";".join((first, *map(_without_login, others)))
    protocol = _given(urlsplit(redis_url)).get("protocol", "2")
    return f"{url}{'&' if '?' in url else '?'}protocol={protocol}"


def celery_url(redis_url: str) -> str:
    """Return the URL of Redis for Celery's broker.

    It takes no other parameters than these, and checks a certificate only when told to. To one with Sentinels belong
    settings of Celery's besides: see `broker`.
    """
    if is_sentinel(redis_url):
        return ";".join(map(_sentinel, Servers.of(redis_url).urls))
    url = urlsplit(redis_url)
    options = _given(url)
    server = _server(url, options)
    if url.scheme == "unix":
        return f"redis+socket://{server}{url.path}?virtual_host={options.get('db', '0')}"
    tls = tls_options(redis_url)
    where = f"{url.scheme}://{server}/{_database(url, options)}"
    return f"{where}?{urlencode(tls, safe='/')}" if tls else where


def tls_options(url: str) -> dict[str, str]:
    """Return the options for TLS of one server's URL, as redis-py names them; empty where there is no TLS."""
    given = {name: value for name, value in _given(urlsplit(url)).items() if name.startswith("ssl_")}
    return given | {"ssl_cert_reqs": "required"} if url.startswith("rediss:") else {}


def is_sentinel(url: str) -> bool:
    """Return whether a URL names Sentinels and their service, as REDIS_URL does; Celery's own has a database there."""
    return _SERVICE.match(url) is not None


def _sentinel(url: str) -> str:
    """Return the URL of one Sentinel as Celery has it: with the login and the database of the server behind it."""
    parts = urlsplit(url)
    options = _given(parts)
    return f"sentinel://{_server(parts, options)}/{_database(parts, options)}"


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _database(url: SplitResult, options: Mapping[str, str]) -> str:
    return options.get("db") or url.path.strip("/") or "0"


def _given(url: SplitResult) -> dict[str, str]:
    """Return the options in the query by name; the first of two of the same name counts, as in redis-py."""
    return {name: values[0] for name, values in parse_qs(url.query).items()}


def _server(url: SplitResult, options: dict[str, str]) -> str:
    """Return the host with user and password before it; as in redis-py, those before the host win over options."""
    user = url.username or quote(options.get("username", ""), safe="")
    password = url.password or quote(options.get("password", ""), safe="")
    login = f"{user}:{password}" if password else user
    host = url.netloc.rpartition("@")[2]
    return f"{login}@{host}" if login else host


#: What a cluster is to Celery, and where it can keep its queue and its results instead.
NO_CELERY = "where Celery can't keep its queue and its results"
ELSEWHERE = "to a Redis that is no cluster (redis://, sentinel://) or to RabbitMQ (amqp:// and rpc://)"


def check_celery(url: str, variable: str, faults: list[str]) -> str:
    """Return a broker or result backend as Celery needs it; of several, it takes another when one is away."""
    several = url.split(";")
    fault = next(filter(None, map(_celery_fault, several)), None)
    if fault:
        faults.append(f"{variable} {fault}")
        return url
    return ";".join(map(_verified, several))


def _celery_fault(url: str) -> str | None:
    """Return what is wrong with a URL for Celery, None if nothing; one that is not of Redis is Celery's business."""
    if "#" in url:
        return "has a '#', behind which all is cut off: in a password, write %23"
    if not url.startswith(("redis://", "rediss://")):
        return _not_celerys(url)
    if not _fits(_SERVER, url):
        return f"is malformed: write for example {DEFAULT_REDIS_URL}; in a password, %-encode what is special"
    if url.startswith("redis:") and "ssl_" in urlsplit(url).query:
        return "has options for TLS, which are for rediss://: write rediss://, or take them out"
    return None


def _not_celerys(url: str) -> str | None:
    """Return what is wrong with a URL that REDIS_URL takes, and Celery not so; None if it is none of those."""
    scheme = url.partition("://")[0]
    if scheme == "unix":
        return "begins with unix://: Celery writes redis+socket:///run/redis.sock?virtual_host=0"
    if scheme in ("cluster", "clusters"):
        return f"is a Redis Cluster, {NO_CELERY}: set it {ELSEWHERE}"
    if scheme == "sentinels" or (scheme == "sentinel" and "," in url):
        return f"names no service: write for example {_REDIS_URLS[scheme][1]}"
    return None


def _verified(url: str) -> str:
    """Return the URL with the option that has the certificate checked, which Celery leaves to us."""
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"


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


def _all_fit(url: str) -> bool:
    """Return whether each server that a URL names is sound by itself."""
    try:
        return all(_fits(_ONE, single) for single in Servers.of(url).urls)
    except ValueError:
        return False  # as in `_fits`


def _fits(shape: re.Pattern[str], url: str) -> bool:
    try:
        # Python checks addresses in brackets and the range of the port, and shows the URL in its errors.
        sound = urlsplit(url).port != 0
    except ValueError:
        return False
    return sound and url.isascii() and shape.fullmatch(url) is not None
