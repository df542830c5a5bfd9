"""An application on wechatpy: writes, as JSON, what its client answers to each question that it reads."""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import redis
from requests.adapters import HTTPAdapter
from wechatpy import WeChatClient  # type: ignore[import-not-found]  # in the environment that it runs in
from wechatpy.exceptions import WeChatClientException  # type: ignore[import-not-found]
from wechatpy.session.redisstorage import RedisStorage  # type: ignore[import-not-found]

redis_url, api_url, account, secret = sys.argv[1:]
corpid, _, agent = account.partition("/")
if agent:
    WeChatClient = import_module("wechatpy.work" if find_spec("wechatpy.work") else "wechatpy.enterprise").WeChatClient


class ToUpstream(HTTPAdapter):
    """wechatpy has the addresses of WeChat and WeCom built in."""

    def send(self, request: Any, *args: Any, **options: Any) -> Any:
        request.url = api_url + request.path_url
        return super().send(request, *args, **options)


client = WeChatClient(corpid, secret, session=RedisStorage(redis.Redis.from_url(redis_url)))
client._http.mount("https://", ToUpstream())


def signature(nonce: str, timestamp: str, url: str) -> str:
    return str(client.jsapi.get_jsapi_signature(nonce, client.jsapi.get_jsapi_ticket(), timestamp, url))


def card_signature(card: str, code: str, nonce: str, timestamp: str) -> str:
    ext = client.jsapi.get_jsapi_add_card_params(card, code, nonce_str=nonce, timestamp=int(timestamp))
    return str(ext.signature)


def ticket(method: str) -> Callable[[], str]:
    return lambda: str(getattr(client.jsapi, method)())


ANSWERS: dict[str, Callable[..., str]] = {
    "access_token": lambda: str(client.access_token),
    "jsapi_ticket": ticket("get_jsapi_ticket"),
    "wx_card_ticket": ticket("get_jsapi_card_ticket"),
    "agent_ticket": ticket("get_agent_jsapi_ticket"),
    "signature": signature,
    "card_signature": card_signature,
}

for line in sys.stdin:
    question, *words = line.split()
    try:
        print(json.dumps(ANSWERS[question](*words)), flush=True)
    except WeChatClientException as error:
        print(error.errcode, flush=True)
