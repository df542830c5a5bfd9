"""Accounts and applications: look at them, add them, change them, end their credentials."""

from dataclasses import asdict
from typing import Any

from tokenworker.sandbox.accounts import Account
from tokenworker.sandbox.applications import Application
from tokenworker.sandbox.control.control import Control
from tokenworker.sandbox.errors import InputError
from tokenworker.sandbox.holders import Holder

_WHAT = "A look-alike of WeChat's and WeCom's API for trying out and for tests. Neither takes a token from here."


class Overview(Control):
    """GET /sandbox/."""

    def get(self) -> None:
        """Show what this is and how it stands."""
        self.finish(
            {
                "what": _WHAT,
                "rules": asdict(self.platform.rules),
                "accounts": {account.id: _account(account) for account in self.platform.accounts()},
                "applications": {each.id: _application(each) for each in self.platform.applications()},
                "faults": self.faults.describe(),
            }
        )


class Accounts(Control):
    """POST /sandbox/accounts."""

    def post(self) -> None:
        """Add an account, or change what is given of one."""
        given = self.read(appid=str, secret=str, whitelist=list, frozen=bool, mini_program=bool)
        _check_addresses(given.get("whitelist", []))
        self.platform.add_account(given.pop("appid", ""), given.pop("secret", None), **given)
        self.finish({})


class Applications(Control):
    """POST /sandbox/applications."""

    def post(self) -> None:
        """Add a WeCom application, or change what is given of one."""
        given = self.read("corpid", "agent", corpid=str, agent=int, secret=str, trusted_ips=list, disabled=bool)
        _check_addresses(given.get("trusted_ips", []))
        self.platform.add_application(given.pop("corpid"), given.pop("agent"), given.pop("secret", None), **given)
        self.finish({})


class OneAccount(Control):
    """GET /sandbox/accounts/<appid>, or a corpid or CORPID/AGENT."""

    def get(self, appid: str) -> None:
        """Show what happened to a holder and how its credentials stand."""
        slots = self.platform.holder(appid).every_slot()
        live = self.platform.live_tokens(appid, None)
        self.finish(
            {
                "appid": appid,
                "counts": asdict(self.platform.counts(appid)),
                "by_endpoint": {slot.endpoint: asdict(self.platform.counts(appid, slot.endpoint)) for slot in slots},
                "by_name": {slot.name: asdict(self.platform.counts(appid, slot.name)) for slot in slots},
                "mints": [asdict(mint) for mint in self.platform.mints(appid, None)],
                "live": [{"fingerprint": mint.fingerprint, **asdict(verdict)} for mint, verdict in live],
            }
        )


class Revoke(Control):
    """POST /sandbox/accounts/<appid>/revoke."""

    def post(self, appid: str) -> None:
        """End what is accepted of one credential, by default of the access token."""
        self.finish({"revoked": self.platform.revoke(appid, **self.read(name=str, still_handed_out=bool))})


#: Whoever has credentials: an appid, a corpid, or CORPID/AGENT.
_HOLDER = r"([^/]+(?:/\d+)?)"

ROUTES = (
    (r"/(?:sandbox/?)?", Overview),
    (r"/sandbox/accounts", Accounts),
    (r"/sandbox/applications", Applications),
    (rf"/sandbox/accounts/{_HOLDER}", OneAccount),
    (rf"/sandbox/accounts/{_HOLDER}/revoke", Revoke),
)


def _account(account: Account) -> dict[str, Any]:
    return {
        **_counts(account),
        "frozen": account.frozen,
        "whitelist": list(account.whitelist),
        "mini_program": account.mini_program,
    }


def _application(application: Application) -> dict[str, Any]:
    return {
        **_counts(application),
        "disabled": application.disabled,
        "trusted_ips": list(application.trusted_ips),
    }


def _counts(holder: Holder) -> dict[str, Any]:
    return {"counts": asdict(holder.counts())}


def _check_addresses(entries: list[Any]) -> None:
    if not all(isinstance(entry, str) for entry in entries):
        raise InputError("Addresses are a list of strings.")
