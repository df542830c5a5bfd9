"""Where each SDK keeps credentials, and how.

To add a format, add its row to `FORMATS` and, if it writes as no other does, a function; to teach one another
credential, add that to its row. What is not in a row the SDK does not keep, or not where anybody else could put it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tokenworker.publish.encodings import as_json, as_php, as_php_json, md5_name
from tokenworker.publish.original import Original

#: Makes the values of published copies by their keys, from a credential and a prefix.
Write = Callable[[Original, str], dict[str, str]]


@dataclass(frozen=True)
class Format:
    """Where an SDK looks for credentials and what it expects there."""

    #: What was read, or run, to know it.
    source: str
    #: What keys begin with unless the entry says something else; None when the SDK leaves no choice.
    prefix: str | None
    #: By the name of the credential: of official accounts and mini programs, and of WeCom applications.
    wechat: Mapping[str, Write] = field(default_factory=dict)
    wecom: Mapping[str, Write] = field(default_factory=dict)

    def write(self, of: Original, prefix: str) -> dict[str, str]:
        """Return values by key; none for a credential that the SDK does not keep."""
        rows = {"wechat": self.wechat, "mini_program": self.wechat, "wecom": self.wecom}
        row = rows.get(of.type, {}).get(of.name)
        return row(of, prefix or self.prefix or "") if row else {}


def _at(key: str, value: Callable[[Original], str]) -> Write:
    """Return a row of one key; in `key` stand `{prefix}` and fields of the original."""
    return lambda of, prefix: {key.format(prefix=prefix, of=of): value(of)}


def _bare(of: Original) -> str:
    return of.value


def _json(of: Original) -> str:
    return as_json(of.value)


def _php(of: Original) -> str:
    return as_php(of.value)


def _token(of: Original) -> dict[str, str | int]:
    """Return what SDKs keep of WeChat's answer with an access token."""
    return {"access_token": of.value, "expires_in": of.expires_in}


def _ticket(of: Original) -> dict[str, str | int]:
    """Return WeChat's answer with a ticket, which SDKs keep whole; its numbers must be numbers."""
    return {"errcode": 0, "errmsg": "ok", "ticket": of.value, "expires_in": of.expires_in}


def _json_ticket(of: Original) -> str:
    return as_json(_ticket(of))


def _php_ticket(of: Original) -> str:
    return as_php(_ticket(of))


def _wechatpy(name: str, end: str = "") -> Write:
    """Return a row of a value and of when it ends, in whole seconds.

    Both versions ask when a ticket ends, and take one without that for ended; of a token only 2.x asks.
    """

    def write(of: Original, prefix: str) -> dict[str, str]:
        key, companion = (f"{prefix}:{text.format(of=of)}" for text in (name, end or f"{name}_expires_at"))
        return {key: as_json(of.value), companion: as_json(int(of.expires_at))}

    return write


def _wxjava_cp(kind: str) -> Write:
    """Return a row of WxJava for WeCom, which puts a colon after a prefix that has none."""

    def write(of: Original, prefix: str) -> dict[str, str]:
        before = f"{prefix.removesuffix(':')}:" if prefix else ""
        return {f"{before}wechat_cp_{kind}_key:{of.corpid}:{of.agent}": of.value}

    return write


def _easywechat_6(kind: str) -> Write:
    """Return a row of 6.x by its own key, which ends with 1 when it is told to use stable_token."""
    return lambda of, prefix: {
        f"{prefix}{kind}.access_token.{of.appid}.{of.secret}.{stable}": as_php(of.value) for stable in (0, 1)
    }


def _easywechat_5(credentials: Callable[[Original], dict[str, str]]) -> Write:
    """Return a row of a token of 4.x and 5.x, whose key is made of what they send for it."""
    return lambda of, prefix: {
        f"{prefix}easywechat.kernel.access_token.{md5_name(as_php_json(credentials(of)))}": as_php(_token(of))
    }


def _appid_and_secret(of: Original) -> dict[str, str]:
    return {"grant_type": "client_credential", "appid": of.appid, "secret": of.secret}


def _corpid_and_secret(of: Original) -> dict[str, str]:
    return {"corpid": of.corpid, "corpsecret": of.secret}


def _powerwechat(of: Original, _: str) -> dict[str, str]:
    """Write a token; `corpid` is the appid of a WeChat account as well."""
    return {f"powerwechat.access_token.{md5_name(of.corpid + of.secret)}": as_json(_token(of))}


def _co_wechat_api(name: str) -> Write:
    """Return a row of the object that its own `saveToken` or `saveTicketToken` would be handed.

    The time in it is in ms, 10 s early.
    """

    def write(of: Original, prefix: str) -> dict[str, str]:
        value = {name: of.value, "expireTime": int((of.expires_at - 10) * 1000)}
        return {f"{prefix}:{of.name}:{of.appid}": as_json(value)}

    return write


#: No two formats share a key, so that an account may have all of them. Hence what an SDK keeps under one key in all of
#: its modes stands in one format only: the tickets of EasyWeChat 6 in `easywechat`, silenceper's in `silenceper`.
FORMATS = {
    # The work client's key holds ten letters of the secret. All that it keeps besides is the corp's, also an agent's
    # ticket: applications of one corp need a prefix each.
    "wechatpy": Format(
        "wechatpy 1.8.18 and 2.0.0a26, run: client/base.py, client/api/jsapi.py, enterprise/client, work/client",
        "wechatpy",
        wechat={
            "access_token": _wechatpy("{of.appid}_access_token"),
            "jsapi_ticket": _wechatpy("{of.appid}_jsapi_ticket"),
            "wx_card_ticket": _wechatpy("{of.appid}_jsapi_card_ticket"),
        },
        wecom={
            "access_token": _wechatpy(
                "{of.corpid}_{of.secret:.10}_access_token", "{of.corpid}_access_token_expires_at"
            ),
            "jsapi_ticket": _wechatpy("{of.corpid}_jsapi_ticket"),
            "agent_ticket": _wechatpy("{of.corpid}_agent_jsapi_ticket"),
        },
    ),
    # In all of WxJava a key counts as expired when it has less than 2 s left, or no end.
    "wxjava": Format(
        "WxJava 4.7.0, run: WxMpRedisConfigImpl, WxMpRedissonConfigImpl",
        "wx",
        wechat={
            "access_token": _at("{prefix}:access_token:{of.appid}", _bare),
            "jsapi_ticket": _at("{prefix}:ticket:key:{of.appid}:jsapi", _bare),
            "wx_card_ticket": _at("{prefix}:ticket:key:{of.appid}:wx_card", _bare),
        },
    ),
    # A mini program has no tickets.
    "wxjava-miniapp": Format(
        "WxJava 4.7.0, run: WxMaRedisBetterConfigImpl",
        "wa",
        wechat={"access_token": _at("{prefix}:access_token:{of.appid}", _bare)},
    ),
    "wxjava-cp": Format(
        "WxJava 4.6.0, run: AbstractWxCpInRedisConfigImpl",
        "",
        wecom={
            "access_token": _wxjava_cp("access_token"),
            "jsapi_ticket": _wxjava_cp("jsapi_ticket"),
            "agent_ticket": _wxjava_cp("agent_jsapi_ticket"),
        },
    ),
    # Tokens are under keys that `setKey` is to be given, tickets under its own; 6.x keeps no wx_card ticket.
    "easywechat": Format(
        "EasyWeChat 6.x at 7a93b80: OfficialAccount/JsApiTicket.php, Work/JsApiTicket.php",
        "",
        wechat={
            "access_token": _at("{prefix}official_account.access_token.{of.appid}", _php),
            "jsapi_ticket": _at("{prefix}official_account.jsapi_ticket.{of.appid}", _php),
        },
        wecom={
            "access_token": _at("{prefix}work.access_token.{of.corpid}.{of.agent}", _php),
            "jsapi_ticket": _at("{prefix}work.jsapi_ticket.{of.corpid}", _php),
            "agent_ticket": _at("{prefix}work.jsapi_ticket.{of.corpid}.{of.agent}", _php),
        },
    ),
    "easywechat-6-key-contains-secret": Format(
        "EasyWeChat 6.x at 7a93b80: OfficialAccount/AccessToken.php",
        "",
        wechat={"access_token": _easywechat_6("official_account")},
    ),
    "easywechat-6-miniapp-key-contains-secret": Format(
        "EasyWeChat 6.x at 7a93b80: MiniApp/AccessToken.php",
        "",
        wechat={"access_token": _easywechat_6("mini_app")},
    ),
    "easywechat-6-work-key-contains-secret": Format(
        "EasyWeChat 6.x at 7a93b80: Work/AccessToken.php",
        "",
        wecom={"access_token": _at("{prefix}work.access_token.{of.corpid}.{of.secret}", _php)},
    ),
    "easywechat-5": Format(
        "EasyWeChat 4.x, 5.x: Kernel/AccessToken.php, BasicService/Jssdk/Client.php, Work/Jssdk/Client.php",
        "",
        wechat={
            "access_token": _easywechat_5(_appid_and_secret),
            "jsapi_ticket": _at("{prefix}easywechat.basic_service.jssdk.ticket.jsapi.{of.appid}", _php_ticket),
            "wx_card_ticket": _at("{prefix}easywechat.basic_service.jssdk.ticket.wx_card.{of.appid}", _php_ticket),
        },
        wecom={
            "access_token": _easywechat_5(_corpid_and_secret),
            "jsapi_ticket": _at("{prefix}easywechat.work.jssdk.ticket.config.{of.corpid}", _php_ticket),
            "agent_ticket": _at(
                "{prefix}easywechat.work.jssdk.ticket.{of.agent}.agent_config.{of.corpid}", _php_ticket
            ),
        },
    ),
    # It keeps no wx_card ticket.
    "silenceper": Format(
        "silenceper/wechat 2.1.10, run: credential/default_access_token.go, default_js_ticket.go",
        None,
        wechat={
            "access_token": _at("gowechat_officialaccount__access_token_{of.appid}", _bare),
            "jsapi_ticket": _at("gowechat_officialaccount__jsapi_ticket_{of.appid}", _bare),
        },
    ),
    "silenceper-stable": Format(
        "silenceper/wechat 2.1.10: credential/default_access_token.go",
        None,
        wechat={"access_token": _at("gowechat_officialaccount__stable_access_token_{of.appid}", _bare)},
    ),
    "silenceper-miniprogram": Format(
        "silenceper/wechat 2.1.10: credential/default_access_token.go",
        None,
        wechat={"access_token": _at("gowechat_miniprogram__access_token_{of.appid}", _bare)},
    ),
    "silenceper-miniprogram-stable": Format(
        "silenceper/wechat 2.1.10: credential/default_access_token.go",
        None,
        wechat={"access_token": _at("gowechat_miniprogram__stable_access_token_{of.appid}", _bare)},
    ),
    # Only with an AgentID in its configuration: without, and in older versions, a corp's applications share one token.
    "silenceper-work": Format(
        "silenceper/wechat 2.1.10, run: credential/default_access_token.go, work_js_ticket.go",
        None,
        wecom={
            "access_token": _at("gowechat_work__access_token_{of.corpid}_{of.agent}", _bare),
            "jsapi_ticket": _at("gowechat_work__corp_jsapi_ticket_{of.corpid}", _bare),
            "agent_ticket": _at("gowechat_work__agent_jsapi_ticket_{of.corpid}_{of.agent}", _bare),
        },
    ),
    # It fetches an agent's ticket each time and keeps it nowhere.
    "powerwechat": Format(
        "PowerWeChat v3 at 38a5032: kernel/accessToken.go, basicService/jssdk/client.go, work/jssdk/client.go",
        None,
        wechat={
            "access_token": _powerwechat,
            "jsapi_ticket": _at("powerwechat.basic_service.jssdk.ticket.jsapi.{of.appid}", _json_ticket),
            "wx_card_ticket": _at("powerwechat.basic_service.jssdk.ticket.wx_card.{of.appid}", _json_ticket),
        },
        wecom={
            "access_token": _powerwechat,
            "jsapi_ticket": _at("powerwechat.basic_service.jssdk.ticket.jsapi.{of.corpid}", _json_ticket),
        },
    ),
    # Keys are ours: an application's own functions read them. It does not know WeCom.
    "co-wechat-api": Format(
        "co-wechat-api 3.11.0, run: lib/api_common.js, lib/api_js.js",
        "co-wechat-api",
        wechat={
            "access_token": _co_wechat_api("accessToken"),
            "jsapi_ticket": _co_wechat_api("ticket"),
            "wx_card_ticket": _co_wechat_api("ticket"),
        },
    ),
    # All keys are ones that `setKey` is to be given, for its own are EasyWeChat's, which holds other bytes there; that
    # of an agent's ticket it makes itself, of the corp's.
    "node-easywechat": Format(
        "node-easywechat 3.6.2, run: OfficialAccount/JsApiTicket.js, Work/JsApiTicket.js",
        "node-easywechat",
        wechat={
            "access_token": _at("{prefix}:access_token:{of.appid}", _json),
            "jsapi_ticket": _at("{prefix}:jsapi_ticket:{of.appid}", _json),
        },
        wecom={
            "access_token": _at("{prefix}:access_token:{of.corpid}.{of.agent}", _json),
            "jsapi_ticket": _at("{prefix}:jsapi_ticket:{of.corpid}", _json),
            "agent_ticket": _at("{prefix}:jsapi_ticket:{of.corpid}.{of.agent}", _json),
        },
    ),
}
