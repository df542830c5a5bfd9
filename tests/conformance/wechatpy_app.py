"""An application on wechatpy: makes a call for each line that it reads, and writes WeChat's errcode."""

import sys
from typing import Any

import redis
from requests.adapters import HTTPAdapter
from wechatpy import WeChatClient  # type: ignore[import-not-found]  # in the environment that it runs in
from wechatpy.exceptions import WeChatClientException  # type: ignore[import-not-found]
from wechatpy.session.redisstorage import RedisStorage  # type: ignore[import-not-found]

redis_url, api_url, appid, secret, own_refresh = sys.argv[1:]


class ToSandbox(HTTPAdapter):
    """wechatpy has WeChat's address built in."""

    def send(self, request: Any, *args: Any, **options: Any) -> Any:
        request.url = request.url.replace("https://api.weixin.qq.com", api_url)
        return super().send(request, *args, **options)


session = RedisStorage(redis.Redis.from_url(redis_url))
if own_refresh == "on":
    client = WeChatClient(appid, secret, session=session)
else:
    client = WeChatClient(appid, "", session=session, auto_retry=False)
client._http.mount("https://", ToSandbox())

for _ in sys.stdin:
    try:
        client.user.get_followers()
        print(0, flush=True)
    except WeChatClientException as error:
        print(error.errcode, flush=True)
