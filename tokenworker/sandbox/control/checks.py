"""What WeChat would say of a credential, and what a page or a card would hear of its signature."""

from dataclasses import asdict

from tokenworker.sandbox.control.control import Control, whole_text


class VerdictOf(Control):
    """POST /sandbox/verdict."""

    def post(self) -> None:
        """Return how a token or a ticket stands."""
        given = self.read(value=str, access_token=str)
        value = whole_text(given.get("value", given.get("access_token", "")))
        self.finish(asdict(self.platform.verdict(value)))


class Page(Control):
    """POST /sandbox/page."""

    def post(self) -> None:
        """Check the signature of a page as wx.config does, with what the page gives to that."""
        words = {"url": str, "nonceStr": str, "timestamp": int | str, "signature": str, "appId": str}
        given = self.read("url", "nonceStr", "timestamp", "signature", **words)
        url, nonce = whole_text(given["url"]), whole_text(given["nonceStr"])
        timestamp = whole_text(str(given["timestamp"]))
        self.finish(self.platform.page_check(url, nonce, timestamp, given["signature"], given.get("appId")))


class Card(Control):
    """POST /sandbox/card."""

    def post(self) -> None:
        """Check the signature of a card as wx.addCard does; `values` is all that is signed besides the ticket."""
        given = self.read("values", "signature", values=list, signature=str, appId=str)
        values = [whole_text(value) for value in given["values"]]
        self.finish(self.platform.card_check(values, given["signature"], given.get("appId")))


ROUTES = (
    (r"/sandbox/verdict", VerdictOf),
    (r"/sandbox/page", Page),
    (r"/sandbox/card", Card),
)
