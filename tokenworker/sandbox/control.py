"""The sandbox's own calls, under /sandbox/: look at it, change it, switch faults."""

from dataclasses import asdict
from typing import Any

from tokenworker.sandbox.accounts import Account
from tokenworker.sandbox.applications import Application
from tokenworker.sandbox.errors import InputError, UnknownAccountError
from tokenworker.sandbox.faults import Fault, FaultBox
from tokenworker.sandbox.holders import Holder
from tokenworker.sandbox.platform import Platform
from tokenworker.sandbox.wire import Wire

_WHAT = "A look-alike of WeChat's and WeCom's API for trying out and for tests. Neither takes a token from here."


class Control(Wire):
    """JSON in, JSON out; what cannot be used gets status 400 and a sentence."""

    def initialize(self, platform: Platform, faults: FaultBox) -> None:
        """Take the two objects that the whole server shares."""
        self.platform = platform
        self.faults = faults

    def read(self, *needed: str, **wanted: Any) -> dict[str, Any]:
        """Return the body's options, nulls left out; raises InputError at one that is not `wanted`, or is missing."""
        payload = self.json_body() if self.request.body else {}
        given = {name: value for name, value in (payload or {}).items() if value is not None}
        fits = all(isinstance(value, wanted.get(name, ())) for name, value in given.items())
        if payload is None or not fits or not given.keys() >= set(needed):
            names = ", ".join(f"{name} ({getattr(kind, '__name__', kind)})" for name, kind in wanted.items())
            raise InputError(f"Send a JSON object with: {names}.")
        return given

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say in a sentence what was wrong."""
        error = kwargs["exc_info"][1]
        if isinstance(error, InputError):
            status_code = 404 if isinstance(error, UnknownAccountError) else 400
            self.set_status(status_code)
            self.finish({"error": str(error)})
        else:
            self.finish({"error": f"{status_code} {self._reason}"})


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


class VerdictOf(Control):
    """POST /sandbox/verdict."""

    def post(self) -> None:
        """Return how a token or a ticket stands."""
        given = self.read(value=str, access_token=str)
        value = _text(given.get("value", given.get("access_token", "")))
        self.finish(asdict(self.platform.verdict(value)))


class Page(Control):
    """POST /sandbox/page."""

    def post(self) -> None:
        """Check the signature of a page as wx.config does, with what the page gives to that."""
        words = {"url": str, "nonceStr": str, "timestamp": int | str, "signature": str, "appId": str}
        given = self.read("url", "nonceStr", "timestamp", "signature", **words)
        url, nonce = _text(given["url"]), _text(given["nonceStr"])
        self.finish(self.platform.page_check(url, nonce, given["timestamp"], given["signature"], given.get("appId")))


class Card(Control):
    """POST /sandbox/card."""

    def post(self) -> None:
        """Check the signature of a card as wx.addCard does; `values` is all that is signed besides the ticket."""
        given = self.read("values", "signature", values=list, signature=str, appId=str)
        values = [_text(value) for value in given["values"]]
        self.finish(self.platform.card_check(values, given["signature"], given.get("appId")))


class Faults(Control):
    """GET, POST and DELETE /sandbox/faults."""

    def get(self) -> None:
        """List the faults that are armed."""
        self.finish({"faults": self.faults.describe()})

    def post(self) -> None:
        """Arm one."""
        fault = Fault.from_options(self.json_body() or {})
        self.faults.add(fault)
        self.set_status(201)
        self.finish(fault.as_json())

    def delete(self) -> None:
        """Disarm all."""
        self.faults.clear()
        self.finish({"faults": []})


class Reset(Control):
    """POST /sandbox/reset."""

    def post(self) -> None:
        """Clear counts, quotas and faults, and credentials if asked to."""
        self.platform.reset(**self.read(tokens=bool))
        self.faults.clear()
        self.finish({})


#: Whoever has credentials: an appid, a corpid, or CORPID/AGENT.
_HOLDER = r"([^/]+(?:/\d+)?)"

ROUTES = (
    (r"/(?:sandbox/?)?", Overview),
    (r"/sandbox/accounts", Accounts),
    (r"/sandbox/applications", Applications),
    (rf"/sandbox/accounts/{_HOLDER}", OneAccount),
    (rf"/sandbox/accounts/{_HOLDER}/revoke", Revoke),
    (r"/sandbox/verdict", VerdictOf),
    (r"/sandbox/page", Page),
    (r"/sandbox/card", Card),
    (r"/sandbox/faults", Faults),
    (r"/sandbox/reset", Reset),
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


def _text(value: object) -> str:
    # JSON can hold halves of characters, which UTF-8 cannot.
    if not isinstance(value, str) or value != value.encode(errors="replace").decode():
        raise InputError("Send text, in whole characters.")
    return value
