"""The token store: the only file that knows Redis and the keys in it.

Of each account, `{prefix}:{APPID}:access_token` holds the bare token and lives as long as it,
`…:state` is a hash with everything else that is known, `…:lease` names the process that is at WeChat now, and
`…:copies` is a hash of the keys of its published copies, each with the SHA-1 of what was written there.
`{prefix}:due` is a sorted set of appids by the time to look at them next, and `{prefix}:names` a hash of the
names that people gave the accounts. The braces are literal: they keep
an account's keys in one slot of a cluster. All times are epoch seconds by Redis's clock, the one clock that
all processes share.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, TypeVar, cast

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from tokenworker.credential import Credential
from tokenworker.publish.formats import Copy
from tokenworker.store.connect import options, translated
from tokenworker.store.keys import Keys

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: WeChat counts its days in Beijing, eight hours ahead of UTC.
BEIJING = 8 * 3600

_DAY_MS = 86_400_000

Begin = Literal["ok", "lost", "no fetches left", "no forced refreshes left"]
Commit = Literal["committed", "in_doubt", "refused"]


@dataclass(frozen=True)
class Lease:
    """The right to make one call to WeChat for one account; `fencing` grows with each lease."""

    appid: str
    owner: str
    fencing: int
    taken_at: float


@dataclass(frozen=True, kw_only=True)
class State:
    """What the state of an account says; a field that is not there has its default."""

    #: The token that we committed last; another one under the key was put there by somebody else.
    fingerprint: str = ""
    fetched_at: float = 0.0
    refresh_at: float = 0.0
    fencing: int = 0
    #: The last lease whose end is known; when it is not the last one taken, a fetch ended nobody knows how.
    resolved: int = 0
    #: Fetches up to this fencing number overlapped, so that nobody knows which token WeChat issued last.
    in_doubt: int | None = None
    #: Until then WeChat may act on a fetch whose end we don't know, and so replace a token that came after it.
    in_doubt_until: float = 0.0
    #: When a fetch began, or ended too late, of which nobody knows whether it replaced the token; 0: there is none.
    in_doubt_since: float = 0.0
    #: Fingerprints of tokens: reported by a service; tested and found dead; tested and found good.
    rejected: str = ""
    probed_dead: str = ""
    probed_alive: str = ""
    #: A dead token that WeChat handed out once more.
    reissued_dead: str = ""
    #: The token that was last tested, whatever came of it, when, and why that told us nothing.
    probed: str = ""
    probed_at: float = 0.0
    probe_error: str = ""
    #: Tokens that died before their time, without us, since `deaths_since`.
    early_deaths: int = 0
    early_deaths_since: float = 0.0
    failures: int = 0
    error: str = ""
    errcode: int | None = None
    hint: str = ""
    failed_at: float = 0.0
    retry_at: float = 0.0
    #: Whether the last failure was a limit of WeChat's, which nobody may ask away: 0 or 1.
    limited: int = 0
    #: The account's settings: at the last commit or failure; at the last commit; those that somebody last changed.
    settings_tried: str = ""
    settings_accepted: str = ""
    settings_announced: str = ""
    fetches_today: int = 0
    forced_at: float = 0.0
    forced_today: int = 0
    #: The list of copies that were written last, and why one of them could not be.
    publish_digest: str = ""
    publish_error: str = ""
    #: Whether the account was taken out of the settings a moment ago: 0 or 1.
    removed: int = 0


@dataclass(frozen=True, kw_only=True)
class Snapshot(State):
    """Everything that Redis knows of one account at the moment `now`."""

    appid: str
    now: float
    token: Credential | None
    #: Seconds that the running lease still has; None when nobody holds one.
    lease_left: float | None


def connect(url: str, *, timeout: float = 2.0, retries: int = 2) -> redis.Redis:
    """Make a client that gives up in time: redis-py's own defaults hold a call for up to a minute."""
    backoff = ExponentialBackoff(cap=0.1, base=0.02) if retries else NoBackoff()
    pool = redis.ConnectionPool(retry=Retry(backoff, retries), **options(url, timeout=timeout))
    return redis.Redis.from_pool(pool)


class TokenStore:
    """Reads and changes what Redis knows of the accounts; every method may raise `StoreUnavailable`."""

    def __init__(self, client: redis.Redis, prefix: str = "tokenworker") -> None:
        self._redis = client
        self._prefix = prefix
        self._names = Keys(prefix)
        self._scripts = {name: _script(client, *_INCLUDED.get(name, ()), name) for name in _SCRIPTS}

    def token_key(self, appid: str) -> str:
        """Name the key that holds the bare token."""
        return self._names.token(appid)

    def _keys(self, appid: str) -> tuple[str, str, str]:
        return self._names.token(appid), self._names.state(appid), self._names.lease(appid)

    def _copies(self, appid: str) -> str:
        return f"{self._prefix}:{{{appid}}}:copies"

    @property
    def _due(self) -> str:
        return self._names.due

    @property
    def _running(self) -> str:
        return f"{self._prefix}:running"

    @property
    def _ticked(self) -> str:
        return f"{self._prefix}:ticked"

    @property
    def _notice(self) -> str:
        return f"{self._prefix}:accounts_error"

    # Reading

    def read(self, appid: str) -> tuple[Credential | None, float]:
        """Return the live token, if any, and now; plain commands, so that a reader needs no right to scripts."""
        key = self.token_key(appid)
        with translated():
            pipe = self._redis.pipeline()
            pipe.get(key)
            pipe.pttl(key)
            pipe.time()
            value, left, time = pipe.execute()
        now = time[0] + time[1] / 1e6
        return _token(value, left, now), now

    def look(self, appid: str) -> Snapshot:
        """Return everything known of an account at one moment."""
        token, state, lease = self._keys(appid)
        now, value, left, lease_left, fields = self._run("look", [token, state, lease])
        moment = now / 1000
        return Snapshot(
            appid=appid,
            now=moment,
            token=_token(value, left, moment),
            lease_left=lease_left / 1000 if lease_left > 0 else None,
            **_state(fields),
        )

    # One fetch: lease, then commit, fail or release

    def take_lease(self, appid: str, seconds: float) -> Lease | None:
        """Take the right to make one call to WeChat for `seconds`; None when somebody has it."""
        _, state, key = self._keys(appid)
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"
        taken = self._run("take_lease", [state, key], owner, int(seconds * 1000))
        if not taken:
            return None
        lease = Lease(appid, owner, taken[0], taken[1] / 1000)
        # Should its holder die, somebody must look when it ends, even if the token is not stale for long.
        self.plan(appid, lease.taken_at + seconds)
        return lease

    def begin(self, lease: Lease, *, forced: bool, budget: int, forced_budget: int, stray: float = 0) -> Begin:
        """Count a fetch of this day in the ledger, right before it: only one that is `ok` may be made.

        For `stray` seconds WeChat may act on it, should its end never be known.
        """
        _, state, key = self._keys(lease.appid)
        arguments = (lease.owner, lease.fencing, int(forced), BEIJING, budget, forced_budget, stray)
        return cast("Begin", _text(self._run("begin", [state, key], *arguments)))

    def commit(
        self, lease: Lease, token: Credential, *, refresh_at: float, copies: Iterable[Copy] = (), **facts: object
    ) -> tuple[Commit, str]:
        """Make `token` the account's token, unless somebody took a lease after us: then nothing but a mark is set.

        Its copies are written in the same step; returned with the result is why one of them could not be, or "".
        May be repeated when nobody knows whether it was done.
        """
        fields: dict[str, object] = {
            "fingerprint": token.fingerprint,
            "expires_at": _stamp(token.expires_at),
            "fetched_at": _stamp(lease.taken_at),
            "refresh_at": _stamp(refresh_at),
            **facts,
        }
        keys = [*self._keys(lease.appid), self._copies(lease.appid)]
        arguments = (lease.owner, lease.fencing, _hidden(token.access_token), int(token.expires_at * 1000))
        result, problem = self._run("commit", keys, *arguments, *_listed(copies), *_flat(fields))
        commit = cast("Commit", _text(result))
        self.plan(lease.appid, refresh_at if commit == "committed" else 0)
        return commit, _text(problem)

    def fail(self, lease: Lease, *, retry_at: float, lost: bool = False, **facts: object) -> None:
        """Record a failed fetch; `lost` means that WeChat may have issued a token that we never saw."""
        fields = {**facts, "retry_at": _stamp(retry_at), "failed_at": _stamp(lease.taken_at)}
        _, state, key = self._keys(lease.appid)
        self._run("fail", [state, key], lease.owner, lease.fencing, int(lost), *_flat(fields))
        self.plan(lease.appid, retry_at)

    def release(self, lease: Lease, **fields: object) -> None:
        """End a lease under which nothing was fetched, noting `fields` in the state."""
        _, state, key = self._keys(lease.appid)
        self._run("release", [state, key], lease.owner, lease.fencing, *_flat(fields))

    def withhold(self, lease: Lease, token: Credential, **fields: object) -> None:
        """End a lease under which `token` was found dead: nobody finds it any more, nor its copies."""
        keys = [*self._keys(lease.appid), self._copies(lease.appid)]
        fields["probed_dead"] = token.fingerprint
        self._run("withhold", keys, lease.owner, lease.fencing, _hidden(token.access_token), *_flat(fields))
        self.plan(lease.appid, 0)

    # Copies

    def publish(self, appid: str, token: Credential, copies: Iterable[Copy], published: str) -> str:
        """Write the copies of `token` if it is still there, and remove others; return why one can't be, or ""."""
        access_token, state, _ = self._keys(appid)
        keys = [access_token, state, self._copies(appid)]
        return _text(self._run("publish", keys, _hidden(token.access_token), published, *_listed(copies)))

    def without_copies(self, keys: Mapping[str, Sequence[str]]) -> list[str]:
        """List the accounts among those of `keys` that lack one of their copies, or their token."""
        return self._incomplete({appid: [self.token_key(appid), *copies] for appid, copies in keys.items()})

    # Herds

    def admit(self, appid: str, *, rate: float, concurrency: int, seconds: float) -> float:
        """Let one more call to WeChat begin: 0, or the seconds to wait, since too many began or are under way.

        A call counts as under way until `leave`, or for `seconds`.
        """
        keys = [f"{self._prefix}:rate", self._running]
        return float(self._run("admit", keys, appid, 1000 / rate, concurrency, int(seconds * 1000))) / 1000

    def leave(self, appid: str) -> None:
        """End what `admit` began."""
        self._mended(lambda: self._redis.zrem(self._running, appid), self._running)

    # Reports and plans

    def reject(self, appid: str, rejected: str) -> bool:
        """Note that WeChat refused the token with this fingerprint; False when it is not the live one."""
        token, state, _ = self._keys(appid)
        noted = bool(self._run("reject", [token, state], rejected)) or self._is_live(appid, rejected)
        if noted:
            self.plan(appid, 0)
        return noted

    def _is_live(self, appid: str, name: str) -> bool:
        """Tell of a token that somebody else wrote under our key, and which our state does not know."""
        token = self.look(appid).token
        return token is not None and token.fingerprint == name

    def doubt(self, appids: Iterable[str], seconds: float, *, replaced: bool = False, but_last: float = 0.0) -> bool:
        """Have each account fetched once more; False when that was asked for already, less than `seconds` ago.

        `replaced` means that a newer token may have replaced the one that we have, unless it was fetched in the
        last `but_last` seconds.
        """
        key, length = f"{self._prefix}:{'restored' if replaced else 'in_doubt'}", int(seconds * 1000)
        first = self._mended(lambda: self._mark(key, length), key)
        for appid in appids if first else ():
            self._run("doubt", self._keys(appid)[:2], int(replaced), but_last)
            self.plan(appid, 0)
        return bool(first)

    def _mark(self, key: str, length: int) -> bool:
        if self._redis.pttl(key) > length + 1000:
            self._redis.delete(key)  # the clock went back once more since, by a second at least
        return bool(self._redis.set(key, "1", nx=True, px=length))

    def announce(self, revisions: Mapping[str, str]) -> None:
        """Say that the settings of accounts changed, namely to those `revisions`, by appid; who was gone is back."""
        for appid, revision in revisions.items():
            self._run("announce", [self._keys(appid)[1]], revision)
            self.plan(appid, 0)

    def accepted(self, appids: Sequence[str]) -> dict[str, str]:
        """Return with which settings WeChat gave the tokens that there are, by appid; "" for who was taken out."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for appid in appids:
                pipe.hmget(self._keys(appid)[1], "settings_accepted", "removed")
            found = pipe.execute(raise_on_error=False)
        rows = [(appid, *row) for appid, row in zip(appids, found, strict=True) if isinstance(row, list)]
        return {appid: _text(it or b"") for appid, it, removed in rows if it or removed}

    def pulse(self) -> int:
        """Count on, and return the number, which only grows, unless Redis goes back in time."""
        return int(self._run("pulse", [f"{self._prefix}:pulse"]))

    def now(self) -> float:
        """Return the time by Redis's clock, in epoch seconds."""
        with translated():
            seconds, microseconds = self._redis.time()
        return seconds + microseconds / 1e6

    def plan(self, appid: str, at: float) -> None:
        """Look at an account next at `at`; 0 means at once."""
        self._mended(lambda: self._redis.zadd(self._due, {appid: at}), self._due)

    def enroll(self, appids: Iterable[str]) -> None:
        """See to it that each account is looked at some time: those that have no time yet, at once."""
        self._mended(lambda: self._redis.zadd(self._due, dict.fromkeys(appids, 0), nx=True), self._due)

    def enrolled(self) -> int:
        """Count the accounts that have a time to be looked at."""
        return int(self._mended(lambda: self._redis.zcard(self._due), self._due))

    def appids(self) -> list[str]:
        """List the accounts that anybody keeps here."""
        appids = self._mended(lambda: self._redis.zrange(self._due, 0, -1), self._due)
        return sorted(_text(appid) for appid in cast("list[bytes]", appids))

    def rename(self, names: Mapping[str, str]) -> None:
        """Note the names of accounts by appid, and that one with an empty name has none."""
        named = {appid: name for appid, name in names.items() if name}
        nameless = [appid for appid in names if appid not in named]
        key = self._names.names
        if named:
            self._mended(lambda: self._redis.hset(key, mapping=cast("dict[Any, Any]", named)), key)
        if nameless:
            self._mended(lambda: self._redis.hdel(key, *nameless), key)

    def names(self) -> dict[str, str]:
        """Return the names of the accounts that have one, by appid."""
        key = self._names.names
        names = cast("dict[bytes, bytes]", self._mended(lambda: self._redis.hgetall(key), key))
        return {_text(appid): _text(name) for appid, name in names.items()}

    def take_due(self, limit: int, grace: float) -> list[str]:
        """Take up to `limit` accounts whose time has come, and look away from them for `grace` seconds."""
        return [_text(appid) for appid in self._run("take_due", [self._due], limit, grace)]

    def due_within(self, seconds: float) -> list[str]:
        """List the accounts whose time has come or comes within `seconds`, changing nothing."""
        end = self.now() + seconds
        appids = self._mended(lambda: self._redis.zrangebyscore(self._due, "-inf", end), self._due)
        return [_text(appid) for appid in cast("list[bytes]", appids)]

    def without_token(self, appids: Collection[str]) -> list[str]:
        """List the accounts among `appids` that have no token, at the cost of one cheap command when there is none."""
        return self._incomplete({appid: [self.token_key(appid)] for appid in appids})

    def _incomplete(self, keys: Mapping[str, Sequence[str]]) -> list[str]:
        """List the appids with a key that holds no text; one that we may not look at counts as that."""
        with translated():
            if self._all_texts([key for group in keys.values() for key in group]):
                return []
            pipe = self._redis.pipeline(transaction=False)
            for group in keys.values():
                for key in group:
                    pipe.strlen(key)
            lengths = iter(pipe.execute(raise_on_error=False))
        # Not `all`: each length belongs to a key, also after one that is missing.
        return [appid for appid, group in keys.items() if not min([_is_text(next(lengths)) for _ in group])]

    def _all_texts(self, keys: list[str]) -> bool:
        try:
            return not keys or bool(self._scripts["strings"](keys=keys))
        except redis.ResponseError:
            return False

    def clear(self, appid: str, seconds: float = 60.0) -> None:
        """Forget an account: its token, its copies, all that is known of it.

        For `seconds` it is remembered that it went, so that a fetch under way does not bring it back.
        """
        self._run("clear", [*self._keys(appid), self._copies(appid)], int(seconds * 1000))
        self._mended(lambda: self._redis.zrem(self._due, appid), self._due)
        self._mended(lambda: self._redis.hdel(self._names.names, appid), self._names.names)

    def note_accounts_error(self, error: str | None, seconds: float) -> None:
        """Tell everyone who asks for the status that the accounts file can't be used; None: it can."""
        with translated():
            if error:
                self._redis.set(self._notice, error, px=int(seconds * 1000))
            else:
                self._redis.delete(self._notice)

    def accounts_error(self) -> str | None:
        """Return what is wrong with the accounts file, if anything."""
        error = cast("bytes | None", self._mended(lambda: self._redis.get(self._notice), self._notice))
        return _text(error) if error else None

    def note_tick(self) -> None:
        """Remember that beat's tick came through."""
        with translated():
            self._redis.set(self._ticked, "1", px=_DAY_MS)

    def ticked_ago(self) -> float | None:
        """Return the seconds since the last tick came through; None when there was none for a day."""
        with translated():
            left = self._redis.pttl(self._ticked)
        return (_DAY_MS - left) / 1000 if left > 0 else None

    # Trials

    def facts(self) -> dict[str, str]:
        """Return what INFO says of the server; empty where we may not ask."""
        with translated():
            self._redis.ping()
            try:
                facts = self._redis.info()
            except redis.ResponseError:
                return {}
        return {name: str(value) for name, value in facts.items()}

    def keys_of(self, appid: str) -> list[str]:
        """Name every key that a worker uses for an account."""
        shared = [self._due, self._names.names, self._running, self._notice, self._ticked, f"{self._prefix}:rate"]
        marks = [f"{self._prefix}:{name}" for name in ("in_doubt", "restored", "pulse")]
        return [*self._keys(appid), self._copies(appid), *marks, *shared]

    def trial(self, appid: str) -> None:
        """Do what a worker does for an account, without a trace."""
        self._run("trial", [f"{self._prefix}:{{{appid}}}:trial", *self.keys_of(appid)])

    def touch(self, key: str) -> None:
        """Raise `StoreUnavailable` unless this key may be read and written by a script; changes nothing."""
        with translated():
            self._redis.eval("return redis.call('EXISTS', KEYS[1])", 1, key)

    def ping(self) -> None:
        """Raise `StoreUnavailable` unless Redis answers."""
        with translated():
            self._redis.ping()

    def _run(self, name: str, keys: Iterable[str], *args: object) -> Any:
        named = list(keys)
        return self._mended(lambda: self._scripts[name](keys=named, args=list(args)), *named)

    def _mended(self, do: Callable[[], T], *keys: str) -> T:
        """Do something with our `keys`; where one holds another type, it goes first: somebody else wrote there."""
        with translated():
            try:
                return do()
            except redis.ResponseError as error:
                if "WRONGTYPE" not in str(error):
                    raise
            gone = self._scripts["mend"](keys=list(keys), args=[_type_of(key) for key in keys])
            logger.error("somebody else wrote under our keys; removed: %s", ", ".join(map(_text, gone)))
            return do()


_READERS: dict[str, Callable[[str], Any]] = {"float": float, "int": int, "int | None": int, "str": str}
_SCRIPTS = (
    *("look", "take_lease", "begin", "commit", "fail", "release", "withhold", "publish", "clear", "reject", "doubt"),
    *("announce", "take_due", "admit", "pulse", "strings", "mend", "trial"),
)
#: The files whose functions a script begins with.
_INCLUDED = {
    "commit": ("copies",),
    "publish": ("copies",),
    "clear": ("copies",),
    "withhold": ("copies", "lease"),
    "fail": ("lease",),
    "release": ("lease",),
}
#: The types of our keys, by the last part of their names; all others are strings.
_TYPES = {"state": "hash", "copies": "hash", "names": "hash", "due": "zset", "running": "zset"}


def _type_of(key: str) -> str:
    return _TYPES.get(key.rpartition(":")[2], "string")


def _script(client: redis.Redis, *names: str) -> Callable[..., Any]:
    parts = [files("tokenworker.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8") for name in names]
    return cast("Callable[..., Any]", client.register_script("".join(parts)))


def _token(value: bytes | None, left: int, now: float) -> Credential | None:
    """A key that never expires is none of ours, and nobody knows how long what it holds will work."""
    return Credential(_text(value), now + left / 1000) if value and left > 0 else None


def _state(fields: list[bytes]) -> dict[str, Any]:
    """Read the state; fields of another version, and nonsense, count as not there."""
    texts = {_text(key): _text(value) for key, value in zip(fields[::2], fields[1::2], strict=True)}
    state: dict[str, Any] = {}
    for name, kind in State.__annotations__.items():
        with suppress(KeyError, ValueError):
            state[name] = _READERS[kind](texts[name])
    return state


def _is_text(length: object) -> bool:
    return isinstance(length, int) and length > 0


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _stamp(moment: float) -> str:
    return f"{moment:.3f}"


def _listed(copies: Iterable[Copy]) -> list[Any]:
    """Lay copies out as copies.lua takes them."""
    texts = [text for copy in copies for text in (copy.name, copy.key, _hidden(copy.value))]
    return [len(texts) // 3, *texts]


def _hidden(value: str) -> memoryview:
    """Make an argument of which nothing shows: error trackers and tracers record commands."""
    return memoryview(value.encode("utf-8", "surrogateescape"))


def _flat(fields: Mapping[str, object]) -> list[Any]:
    """Lay fields out as HSET takes them; what is None is written as empty, and so reads as its default."""
    return ["" if item is None else item for pair in fields.items() for item in pair]
