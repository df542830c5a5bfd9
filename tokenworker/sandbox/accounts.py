"""An official account or a mini program: who may ask for its credentials."""

import ipaddress
import re
from collections.abc import Iterable

from tokenworker.sandbox.errors import InputError
from tokenworker.sandbox.holders import Holder
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.slots import Slot

_APPID = re.compile(r"wx[0-9a-f]{16}")


def is_appid(text: str) -> bool:
    """Return whether the text has the form of an appid."""
    return _APPID.fullmatch(text) is not None


class Account(Holder):
    """An appid and its AppSecret; an empty whitelist lets every address in."""

    sort = "account"

    def __init__(self, appid: str, rules: Rules, kinds: Iterable[type[Slot]]) -> None:
        if not is_appid(appid):
            raise InputError("An appid is wx and 16 hex digits, for example wx0123456789abcdef.")
        super().__init__(appid, rules, kinds)
        self.secret = ""
        self.whitelist: tuple[str, ...] = ()
        self.frozen = False
        self.mini_program = False

    @property
    def appid(self) -> str:
        """Its id."""
        return self.id

    def admits(self, ip: str) -> bool:
        """Return whether the whitelist lets the address in."""
        return lets_in(self.whitelist, ip)


def lets_in(entries: tuple[str, ...], ip: str) -> bool:
    """Return whether one of the entries covers the address; without entries every address is let in."""
    return not entries or any(ipaddress.ip_address(ip) in whitelist_network(entry) for entry in entries)


def whitelist_network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Read a whitelist entry in WeChat's forms: one address, `a.b.c.*` or `a.b.c.0/24`."""
    text = entry.removesuffix("*") + "0/24" if entry.endswith(".*") else entry
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InputError("A whitelist entry is an address, a.b.c.* or a.b.c.0/24.") from error


def read_whitelist(entries: Iterable[str]) -> tuple[str, ...]:
    """Check the entries; raises InputError at the first that is none."""
    whitelist = tuple(entries)
    for entry in whitelist:
        whitelist_network(entry)
    return whitelist
