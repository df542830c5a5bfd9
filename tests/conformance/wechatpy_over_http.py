"""An application on wechatpy that takes tokens and tickets over HTTP: WEB_URL API_URL ACCOUNT KEY.

Writes, as JSON, what its client answers to each question that it reads.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from wechatpy import WeChatClient  # type: ignore[import-not-found]  # in the environment that it runs in
from wechatpy.exceptions import WeChatClientException  # type: ignore[import-not-found]

web, api_url, account, key = sys.argv[1:]
appid, _, agent = account.partition("/")
if agent:
    WeChatClient = import_module("wechatpy.work" if find_spec("wechatpy.work") else "wechatpy.enterprise").WeChatClient
    PATH, QUERY = "/cgi-bin/gettoken", {"corpid": appid, "corpsecret": key}
else:
    PATH, QUERY = "/cgi-bin/token", {"grant_type": "client_credential", "appid": appid, "secret": key}


class Client(WeChatClient):  # type: ignore[misc]
    """A client whose tokens come from tokenworker."""

    API_BASE_URL = f"{api_url}/cgi-bin/"

    def fetch_access_token(self) -> Any:
        token = self.session.get(self.access_token_key)
        if token and self.expires_at and self.expires_at > time.time() + 60:
            self.report(token)
        return self._fetch_access_token(web + PATH, QUERY)

    def report(self, token: str) -> None:
        url = f"{web}/v1/credentials/{account}/access_token/reject"
        self._http.post(url, json={"value": token}, headers={"Authorization": f"Bearer {key}"})


client = Client(appid, key)
client.jsapi.API_BASE_URL = f"{web}/cgi-bin/"


def call(_: str = "") -> int:
    client.get("get_api_domain_ip")
    return 0


def config(page: str) -> dict[str, str]:
    nonce, timestamp = "a-nonce", "1414587457"
    ticket = client.jsapi.get_jsapi_ticket()
    signature = client.jsapi.get_jsapi_signature(nonce, ticket, timestamp, page)
    return {"nonceStr": nonce, "timestamp": timestamp, "signature": str(signature)}


ANSWERS: dict[str, Callable[[str], object]] = {
    "": call,
    "access_token": lambda _: client.access_token,
    "jsapi_ticket": lambda _: client.jsapi.get_jsapi_ticket(),
    "wx_card_ticket": lambda _: client.jsapi.get_jsapi_card_ticket(),
    "agent_ticket": lambda _: client.jsapi.get_agent_jsapi_ticket(),
    "config": config,
}

for line in sys.stdin:
    question, _, page = line.strip().partition(" ")
    try:
        print(json.dumps(ANSWERS[question](page)), flush=True)
    except WeChatClientException as error:
        print(error.errcode, flush=True)
