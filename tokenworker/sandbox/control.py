"""The sandbox's own calls, under /sandbox/: look at it, change it, switch faults."""

from dataclasses import asdict
from typing import Any

from tokenworker.sandbox.accounts import Account
from tokenworker.sandbox.errors import InputError, UnknownAccountError
from tokenworker.sandbox.exchange import Exchange
from tokenworker.sandbox.faults import Fault
from tokenworker.sandbox.tokens import ENDPOINTS

_WHAT = "A look-alike of api.weixin.qq.com for trying out and for tests. WeChat takes no token from here."


class Control(Exchange):
    """JSON in, JSON out; what cannot be used gets status 400 and a sentence."""

    def read(self, **wanted: type) -> dict[str, Any]:
        """Return the body's options, nulls left out; raises InputError at one that is not `wanted`."""
        payload = self.json_body() if self.request.body else {}
        given = {name: value for name, value in (payload or {}).items() if value is not None}
        fits = all(isinstance(value, wanted.get(name, ())) for name, value in given.items())
        if payload is None or not fits:
            names = ", ".join(f"{name} ({kind.__name__})" for name, kind in wanted.items())
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
        """Say what this is and how it stands."""
        accounts = {account.appid: _summary(account) for account in self.platform.accounts()}
        faults = self.faults.describe()
        self.finish({"what": _WHAT, "rules": asdict(self.platform.rules), "accounts": accounts, "faults": faults})


class Accounts(Control):
    """POST /sandbox/accounts."""

    def post(self) -> None:
        """Add an account, or change what is given of one."""
        given = self.read(appid=str, secret=str, whitelist=list, frozen=bool)
        if not all(isinstance(entry, str) for entry in given.get("whitelist", ())):
            raise InputError("A whitelist is a list of strings.")
        self.platform.add_account(given.pop("appid", ""), given.pop("secret", None), **given)
        self.finish({})


class OneAccount(Control):
    """GET /sandbox/accounts/<appid>."""

    def get(self, appid: str) -> None:
        """Show what happened to an account and how its tokens stand."""
        live = self.platform.live_tokens(appid)
        self.finish(
            {
                "appid": appid,
                "counts": asdict(self.platform.counts(appid)),
                "by_endpoint": {name: asdict(self.platform.counts(appid, name)) for name in ENDPOINTS},
                "mints": [asdict(mint) for mint in self.platform.mints(appid)],
                "live": [{"fingerprint": mint.fingerprint, **asdict(verdict)} for mint, verdict in live],
            }
        )


class Revoke(Control):
    """POST /sandbox/accounts/<appid>/revoke."""

    def post(self, appid: str) -> None:
        """End the account's live tokens."""
        self.finish({"revoked": self.platform.revoke(appid, **self.read(still_handed_out=bool))})


class VerdictOf(Control):
    """POST /sandbox/verdict."""

    def post(self) -> None:
        """Say how a token stands."""
        self.finish(asdict(self.platform.verdict(self.read(access_token=str).get("access_token", ""))))


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
        self.finish(asdict(fault))

    def delete(self) -> None:
        """Disarm all."""
        self.faults.clear()
        self.finish({"faults": []})


class Reset(Control):
    """POST /sandbox/reset."""

    def post(self) -> None:
        """Clear counts, quotas and faults, and tokens if asked to."""
        self.platform.reset(**self.read(tokens=bool))
        self.faults.clear()
        self.finish({})


def _summary(account: Account) -> dict[str, Any]:
    counts = asdict(account.counts())
    return {"counts": counts, "frozen": account.frozen, "whitelist": list(account.whitelist)}
