"""What to do about an error, for the page: in the reader's language, with the IP to allow and WeChat's pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from tokenworker.web.page.words import Language, Words

_DOCS = "https://developers.weixin.qq.com/doc/oplatform/developers"
_WECHAT = "https://mp.weixin.qq.com/"
_WECOM = "https://work.weixin.qq.com/wework_admin/frame"

#: A server's IP is not allowed.
_WHITELIST = frozenset({40164, 45035, 61004, 60020, 89501, 89503, 89506, 89507})

#: Sentences of ours in Chinese; {ip} and {rest} stand for what varies.
CHINESE: dict[str, str] = {
    # Hints, as wechat/errcodes.py and the kinds have them
    "check the AppSecret in WeChat's console, and that it belongs to this appid": (
        "在微信公众平台核对 AppSecret，并确认它属于这个 appid"
    ),
    "ask the account's admin to confirm this server in WeChat, or add its IP to the whitelist": (
        "请账号管理员在微信中确认这台服务器，或把它的 IP 加入 IP 白名单"
    ),
    "add {ip} to the IP whitelist of this account in WeChat's console": "在微信公众平台把 {ip} 加入这个账号的 IP 白名单",
    "log in to WeChat's console and read the notice there": "登录微信公众平台，查看其中的通知",
    "WeChat got another call than ours: does a proxy drop the body, or turn POST into GET?": (
        "微信收到的不是我们发出的请求：是否有代理丢弃了请求体，或把 POST 改成了 GET？"
    ),
    "look the code up among WeChat's global return codes": "在微信的全局返回码中查找这个返回码",
    "check the appid: WeChat does not know it": "核对 appid：微信不认识它",
    "the AppSecret is frozen: unfreeze it in WeChat's console; it takes about 10 minutes": (
        "AppSecret 已被冻结：在微信公众平台解冻，约 10 分钟后生效"
    ),
    "the calls of this day are used up: move to stable_token, or clear the quota (10 a month)": (
        "当天的调用次数已用完：改用 stable_token，或清零配额（每月 10 次）"
    ),
    "the account lacks the permission: check it in WeChat's console": "账号没有这项权限：在微信公众平台查看",
    "the account is restricted: log in to WeChat's console and read the notice there": (
        "账号受到限制：登录微信公众平台，查看其中的通知"
    ),
    "the account may not use tokens: log in to WeChat's console and read the notice there": (
        "账号被禁止使用 token：登录微信公众平台，查看其中的通知"
    ),
    "the account is frozen: unfreeze it in WeChat's console": "账号已被冻结：在微信公众平台解冻",
    "the appid is a third-party platform's: it gets its token by another call": (
        "这个 appid 属于第三方平台：它用另一个接口获取 token"
    ),
    "the admin refused this server's IP twice; it is blocked for 24 hours: ask the account's admin to confirm this server in WeChat, or add its IP to the whitelist": (
        "管理员两次拒绝了这台服务器的 IP，已被封禁 24 小时：请账号管理员在微信中确认这台服务器，或把它的 IP 加入 IP 白名单"
    ),
    "the admin refused this server's IP; it is blocked for an hour: ask the account's admin to confirm this server in WeChat, or add its IP to the whitelist": (
        "管理员拒绝了这台服务器的 IP，已被封禁一小时：请账号管理员在微信中确认这台服务器，或把它的 IP 加入 IP 白名单"
    ),
    "check the Secret of this application in WeCom's console, and that corpid and agent are its own": (
        "在企业微信管理后台核对这个应用的 Secret，并确认 corpid 和 agent 属于它"
    ),
    "check the corpid: WeCom does not know it": "核对 corpid：企业微信不认识它",
    "check the agent: WeCom does not know it": "核对 agent：企业微信不认识它",
    "WeCom blocks this corporation's calls for a while: find out what calls it so often": (
        "企业微信暂时封禁了这个企业的调用：查明是什么在频繁调用"
    ),
    "the application lacks the permission: check it in WeCom's console": "应用没有这项权限：在企业微信管理后台查看",
    "the application is disabled: enable it in WeCom's console": "应用已停用：在企业微信管理后台启用",
    "add {ip} to the trusted IPs of this application in WeCom's console": (
        "在企业微信管理后台把 {ip} 加入这个应用的企业可信 IP"
    ),
    "this token belongs to another application: does another program write under our keys?": (
        "这个 token 属于另一个应用：是否有另一个程序在写我们的 key？"
    ),
    "mini programs and unverified accounts have no tickets: take it out of `keep` of this account": (
        "小程序和未认证的账号没有 ticket：从这个账号的 `keep` 中去掉它"
    ),
    "is a proxy or a captive portal in between?": "中间是否有代理或需要登录的网关？",
    "what is left of it is for people": "剩余的次数留给人工使用",
    "a forced refresh follows": "接着会强制刷新",
    "it is asked for again": "会再次请求",
    # Errors
    "WeChat answered {rest}": "微信返回 {rest}",
    "not WeChat's answer: {rest}": "不是微信的响应：{rest}",
    "the quota has no fetches left": "配额中没有剩余的获取次数",
    "the quota has no forced refreshes left": "配额中没有剩余的强制刷新次数",
    "WeChat hands out again the one that it refuses": "微信再次给出它所拒绝的那一个",
}

#: In place of an IP that WeChat does not name.
_UNNAMED = {"this server's public IP": "这台服务器的公网 IP"}

_HOLES = {re.escape("{ip}"): r"(?P<ip>[0-9a-fA-F.:]+|this server's public IP)", re.escape("{rest}"): "(?P<rest>.*)"}


def _pattern(sentence: str) -> re.Pattern[str]:
    text = re.escape(sentence)
    for hole, pattern in _HOLES.items():
        text = text.replace(hole, pattern)
    return re.compile(text, re.DOTALL)


_PLAIN = {english: chinese for english, chinese in CHINESE.items() if "{" not in english}
_VARYING = [(_pattern(english), chinese) for english, chinese in CHINESE.items() if "{" in english]


def said(sentence: str, language: Language) -> str:
    """Return a sentence of ours in a language; one that nobody has translated stays English."""
    if language == "en" or sentence in _PLAIN:
        return sentence if language == "en" else _PLAIN[sentence]
    for pattern, chinese in _VARYING:
        if found := pattern.fullmatch(sentence):
            return chinese.format(**{name: _UNNAMED.get(it, it) for name, it in found.groupdict().items()})
    return sentence


@dataclass(frozen=True)
class Advice:
    """What to do about an error: a sentence, the IP to allow if that is it, and where, as texts and addresses."""

    text: str
    ip: str
    links: tuple[tuple[str, str], ...]


def advice(error: str, errcode: int | None, hint: str, account: str, words: Words) -> Advice:
    """Return what to do about an error of an account."""
    ip = _ip(error, hint) if errcode in _WHITELIST else ""
    links = tuple(_links(errcode, is_wecom="/" in account, words=words)) if errcode is not None and hint else ()
    return Advice(_sentence(said(hint, words.language)) if hint else words("wait"), ip, links)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ip(*texts: str) -> str:
    for word in re.findall(r"[0-9a-fA-F.:]{3,}", " ".join(reversed(texts))):
        try:
            return str(ip_address(word.strip(".:")))
        except ValueError:
            continue
    return ""


def _links(errcode: int, *, is_wecom: bool, words: Words) -> list[tuple[str, str]]:
    if is_wecom:
        about = f"https://open.work.weixin.qq.com/devtool/query?e={errcode}"
        return [(words("console_wecom"), _WECOM), (words("about_code_wecom", code=errcode), about)]
    console = (words("console"), _WECHAT)
    if errcode in _WHITELIST:
        return [console, (words("about_whitelist"), f"{_DOCS}/basic_func/ip_whitelist")]
    return [console, (words("about_code"), f"{_DOCS}/errCode/errCode.html")]
