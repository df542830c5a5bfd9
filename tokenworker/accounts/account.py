"""Accounts: whom we keep credentials for."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, get_args

from tokenworker.credential import ACCESS_TOKEN, Credential, public_id
from tokenworker.publish import formats
from tokenworker.secret import Secret

#: An official account or a mini program; a mini program, which has no tickets; an application of WeCom.
Type = Literal["wechat", "mini_program", "wecom"]
TYPES: tuple[Type, ...] = get_args(Type)

#: Which of WeChat's two endpoints an access token comes from.
Endpoint = Literal["stable_token", "token"]
ENDPOINTS: tuple[Endpoint, ...] = get_args(Endpoint)


@dataclass(frozen=True, slots=True)
class Account:
    """An account of WeChat's or WeCom's, what we keep for it, and what a fetch needs."""

    #: An appid, or CORPID/AGENT for WeCom.
    id: str
    secret: Secret = field(repr=False)
    name: str = ""
    endpoint: Endpoint = "stable_token"
    #: Seconds before `expires_at` at which what it keeps is stale; None means the default of the kind.
    leeway: float | None = None
    #: Published copies: more Redis keys for what it keeps, and names of SDKs' formats.
    publish: tuple[str, ...] = ()
    #: Where the secret was read from; read again when that file changes.
    secret_file: str | None = None
    #: Fetches a day that WeChat allows; None means what it allows by default.
    quota: int | None = None
    #: The variable that the secret was read from.
    secret_env: str | None = field(default=None, repr=False)
    type: Type = "wechat"
    #: The names of the credentials that are kept.
    keep: tuple[str, ...] = (ACCESS_TOKEN,)

    @property
    def appid(self) -> str:
        """The appid, of an account of WeChat's."""
        return self.id

    @property
    def public_id(self) -> str:
        """What web pages call `appId`: the appid, or the corpid."""
        return public_id(self.id)

    @property
    def corpid(self) -> str:
        """The corpid, of an application of WeCom's."""
        return self.public_id

    @property
    def settings_digest(self) -> str:
        """Digest of the settings that a fetch depends on; 32 bits, too few to try secrets against."""
        return sha256(f"{self.endpoint}\n{self.secret.reveal()}".encode()).hexdigest()[:8]

    def copies(self, name: str, credential: Credential, fetched_at: float) -> list[formats.Copy]:
        """Return the published copies of the credential of that name, fetched at `fetched_at`, in epoch seconds."""
        life = round(credential.expires_at - fetched_at)
        original = formats.Original(
            self.type, self.id, name, self.secret.reveal(), credential.value, credential.expires_at, life
        )
        return [copy for entry in self.publish for copy in formats.copies(entry, original)]

    @property
    def blank_copies(self) -> tuple[formats.Copy, ...]:
        """All its published copies, with empty values: for their names and keys."""
        return tuple(copy for name in self.keep for copy in self.copies(name, Credential("", 0), 0))
