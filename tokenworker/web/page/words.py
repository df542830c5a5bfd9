"""The texts of the pages, in the languages that people read them in."""

from __future__ import annotations

import time
from functools import cache
from typing import Literal, get_args

Language = Literal["en", "zh-CN"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

#: By name, each in the order of the languages; `|` stands between the forms for one and for more.
TEXTS: dict[str, tuple[str, str]] = {
    # The whole
    "skip": ("Skip to the credentials", "跳到凭据列表"),
    "language": ("Language", "语言"),
    "other_language": ("简体中文", "English"),
    "credentials": ("{n} credential|{n} credentials", "{n} 个凭据"),
    "accounts": ("{n} account|{n} accounts", "{n} 个账号"),
    "kept": ("{credentials} of {accounts}", "{accounts}，{credentials}"),
    "now": ("as of {time}", "截至 {time}"),
    "pause": ("Pause refreshing", "暂停自动刷新"),
    "go_on": ("Refresh by itself", "恢复自动刷新"),
    "lost": (
        "tokenworker web does not answer: what you see is from {time}.",
        "tokenworker web 没有响应：您看到的是 {time} 的情况。",
    ),
    # The verdict
    "all_fine": ("All credentials work", "所有凭据均可用"),
    "some_odd": (
        "All credentials work; {n} needs a look|All credentials work; {n} need a look",
        "所有凭据均可用，其中 {n} 个需要留意",
    ),
    "some_bad": ("{n} credential needs you|{n} credentials need you", "{n} 个凭据需要处理"),
    "nobody_refreshes": ("Nobody keeps the credentials fresh", "没有进程在刷新凭据"),
    "nothing_kept": ("No credential is kept yet", "还没有维护任何凭据"),
    "nothing_kept_do": (
        "Start a worker with accounts: what it keeps appears here within seconds. tokenworker check says what is wrong.",
        "请启动配置了账号的 worker：它维护的凭据几秒内就会出现在这里。tokenworker check 会说明哪里有问题。",
    ),
    "no_redis": ("Redis does not answer", "Redis 没有响应"),
    "no_redis_do": (
        "Nothing can be said of the credentials. Services that hold a copy use it until shortly before its end. Look whether the server runs, and at REDIS_URL of this process.",
        "无法得知凭据的情况。持有副本的服务会继续使用副本，直到它快到期。请检查 Redis 是否在运行，以及本进程的 REDIS_URL。",
    ),
    "try_again": ("Try again", "重试"),
    # What is wrong with the whole
    "notices": ("What concerns all of them", "影响全部凭据的问题"),
    "accounts_error": (
        "The accounts file has a fault, so the accounts are those from before: correct what is named.",
        "账号文件有错误，仍使用之前的账号：请改正所指的错误。",
    ),
    "clients_error": (
        "The clients' file has a fault, so the clients are those from before: correct what is named.",
        "客户端文件有错误，仍使用之前的客户端：请改正所指的错误。",
    ),
    "no_workers": (
        "No worker gives a sign of life. Start one: without it nothing is refreshed.",
        "没有任何 worker 在活动。请启动一个 worker：没有它就不会刷新任何凭据。",
    ),
    "no_tick": (
        "No tick has come for a day. Start beat, and a worker that takes from the queue tokenworker; until then the watchdogs of the workers refresh, some seconds late.",
        "一天之内没有 tick。请启动 beat，以及从队列 tokenworker 取任务的 worker；在此之前由 worker 中的 watchdog 刷新，会晚若干秒。",
    ),
    "late_tick": (
        "The last tick came {ago}. Does beat run, and does a worker take from the queue tokenworker? Until then the watchdogs of the workers refresh, some seconds late.",
        "上一次 tick 在 {ago}。beat 是否在运行，是否有 worker 从队列 tokenworker 取任务？在此之前由 worker 中的 watchdog 刷新，会晚若干秒。",
    ),
    # Choosing
    "choose": ("Choose credentials", "筛选凭据"),
    "states": ("By state", "按状态"),
    "all": ("all", "全部"),
    "search": ("Account, by id or name", "账号的 id 或名称"),
    "find": ("Find", "查找"),
    "clear": ("Show all", "显示全部"),
    "list": ("Credentials, worst first", "凭据（情况最差的在前）"),
    "shown": ("{first} to {last} of {n}", "第 {first} 至 {last} 个，共 {n} 个"),
    "none_found": ("None is like that.", "没有符合条件的凭据。"),
    "previous": ("Previous", "上一页"),
    "next": ("Next", "下一页"),
    "pages": ("Pages", "分页"),
    # States
    "missing": ("missing", "缺失"),
    "contested": ("contested", "争用"),
    "trouble": ("in trouble", "有异常"),
    "live": ("live", "可用"),
    "missing_means": (
        "There is none: who asks for it gets an error.",
        "没有凭据：读取方得到的是错误。",
    ),
    "contested_means": (
        "Another program fetches for the same account, and so ends ours early: {n} within an hour. Find it, or set endpoint to stable_token.",
        "另一个程序在为同一个账号获取凭据，使我们的凭据提前失效：一小时内 {n} 次。请找到它，或将 endpoint 设为 stable_token。",
    ),
    "sandbox": ("made up by the sandbox", "由沙盒虚构"),
    # One credential
    "left": ("{time} left", "剩余 {time}"),
    "none_left": ("none", "无"),
    "refresh_in": ("next refresh in {time}", "{time}后刷新"),
    "refresh_now": ("a refresh is due now", "现在应当刷新"),
    "attempt_in": ("next attempt in {time}", "{time}后重试"),
    "under_way": ("WeChat is being asked now", "正在向微信请求"),
    "fetched": ("fetched {ago}", "获取于 {ago}"),
    "never_fetched": ("never fetched", "从未获取"),
    "fingerprint": ("fingerprint", "指纹"),
    "quota": ("{used} of {allowed} calls of this day", "当天已调用 {used} 次，上限 {allowed} 次"),
    "quota_hour": ("{used} of {allowed} calls of this hour", "本小时已调用 {used} 次，上限 {allowed} 次"),
    "used": ("{n} call today|{n} calls today", "当天已调用 {n} 次"),
    "forced": ("{n} of them forced", "其中强制刷新 {n} 次"),
    # Trouble and what to do
    "failed": ("The last fetch failed", "上次获取失败"),
    "failed_times": (
        "{n} fetch failed, {ago}|{n} fetches failed in a row, the last one {ago}",
        "连续失败 {n} 次，最近一次在 {ago}",
    ),
    "do": ("What to do", "怎么办"),
    "wait": ("Nothing: it is tried again by itself.", "无需处理：会自动重试。"),
    "where": ("Where", "在哪里"),
    "then": ("Then, to try at once", "改正后立即重试"),
    "ip": ("IP to allow", "需要加入白名单的 IP"),
    "copy": ("Copy", "复制"),
    "copied": ("Copied", "已复制"),
    "console": ("WeChat's console", "微信公众平台"),
    "console_wecom": ("WeCom's console", "企业微信管理后台"),
    "about_whitelist": ("WeChat on IP whitelists", "微信文档：IP 白名单"),
    "about_code": ("WeChat's return codes", "微信文档：返回码"),
    "about_code_wecom": ("WeCom on {code}", "企业微信：{code} 的说明"),
    "doubt": (
        "WeChat may have replaced it: until that is known, it is tested every 30 s, and there is nothing to do.",
        "微信可能已经换掉它：在得知结果之前，每 30 s 测试一次，无需处理。",
    ),
    "rejected": (
        "A service says that WeChat refused it; that is being looked into.",
        "有服务上报微信拒绝了它，正在核实。",
    ),
    "probe_error": ("It was reported, and can't be tested: {error}", "它被上报，但无法测试：{error}"),
    "publish_error": (
        "A published copy can't be written: {error}. The credential itself is there: give the workers' user in Redis the right to that key.",
        "副本写不进去：{error}。凭据本身没有问题：请让 worker 所用的 Redis 用户有权访问该 key。",
    ),
    # The timeline
    "timeline": ("Last {time}: {facts}.", "最近 {time}：{facts}。"),
    "timeline_none": ("nothing is known", "没有记录"),
    "refreshes": ("{n} refresh|{n} refreshes", "刷新 {n} 次"),
    "errors": ("{n} error|{n} errors", "出错 {n} 次"),
    "tests": ("{n} test|{n} tests", "测试 {n} 次"),
    "reports": ("{n} report|{n} reports", "上报 {n} 次"),
    "gaps": ("{time} without a credential", "{time}没有凭据"),
    "past": ("{time} ago", "{time}前"),
    "at_now": ("now", "现在"),
    "legend": ("How to read the timelines", "时间线图例"),
    "legend_life": ("one life of a credential", "凭据的一次有效期"),
    "legend_ahead": ("what is left of it", "剩余的有效期"),
    "legend_gap": ("no credential that works", "没有可用的凭据"),
    "legend_failed": ("a fetch failed", "获取失败"),
    "legend_alive": ("tested, and works", "测试结果：可用"),
    "legend_dead": ("tested, and dead", "测试结果：已失效"),
    "legend_reported": ("reported by a service", "被服务上报"),
    "events": ("{n} event of the last day|{n} events of the last day", "最近一天的 {n} 个事件"),
    "times": ("{n} times since {since}", "自 {since} 起共 {n} 次"),
    "all_events": ("All of them", "全部事件"),
    "when": ("When", "时间"),
    "what": ("What happened", "事件"),
    # Events
    "refreshed": ("Refreshed: {cause}", "已刷新：{cause}"),
    "refreshed_reported": (
        "Refreshed, but WeChat handed out the reported one again",
        "已刷新，但微信再次给出被上报的那一个",
    ),
    "refreshed_suspected": ("Refreshed during a failover; it is tested once more", "故障切换期间刷新，会再测试一次"),
    "refreshed_in_doubt": ("Refreshed, but another fetch overlapped", "已刷新，但与另一次获取重叠"),
    "refreshed_refused": (
        "Fetched too late: another process was at it meanwhile",
        "获取得太晚：期间另一个进程已在处理",
    ),
    "again": ("the same one again", "仍是同一个"),
    "took": ("WeChat took {time}", "微信耗时 {time}"),
    "fetch_failed": ("Failed: {error}", "失败：{error}"),
    "probed_alive": ("Tested: it works", "测试：可用"),
    "probed_dead": ("Tested: it is dead", "测试：已失效"),
    "probed_dead_early": ("Tested: it died before its time, without us", "测试：提前失效，并非由我们造成"),
    "probed_unknown": ("Tested, which told nothing: {error}", "测试，但没有结论：{error}"),
    "reported": ("A service reported that WeChat refused it", "有服务上报微信拒绝了它"),
    # Causes
    "cause_forced": ("somebody forced it", "有人强制刷新"),
    "cause_missing": ("there was none", "之前没有"),
    "cause_overwritten": ("another program wrote under our key", "另一个程序写了我们的 key"),
    "cause_dead": ("WeChat refused the one before", "微信拒绝了之前的"),
    "cause_clock": ("Redis's clock went back", "Redis 的时钟倒退"),
    "cause_in_doubt": ("it was in doubt", "之前的存疑"),
    "cause_unresolved": ("a fetch ended nobody knows how", "某次获取的结果不明"),
    "cause_late": ("WeChat may have acted late on a fetch", "微信可能延迟处理了某次获取"),
    "cause_stale": ("it would have run out soon", "快到期了"),
    "cause_changed": ("its settings changed", "配置有变化"),
    "cause_early": ("somebody asked for it", "有人要求刷新"),
    "cause_rejected": ("a service reported it", "有服务上报"),
    "cause_failover": ("another Redis server took over", "另一台 Redis 服务器接管"),
    "cause_doubtful": ("nobody knew whether WeChat replaced it", "不知道微信是否换掉了它"),
    # Who refreshes, who reads
    "refreshers": ("Who keeps them fresh", "谁在刷新"),
    "beat": ("Beat", "Beat"),
    "last_tick": ("last tick {ago}", "上一次 tick 在 {ago}"),
    "never_ticked": ("no tick for a day", "一天之内没有 tick"),
    "workers_heading": ("Workers", "Worker"),
    "none_alive": ("none is alive", "没有存活的 worker"),
    "seen": ("seen {ago}", "最近活动在 {ago}"),
    "silent": ("silent, seen {ago}", "没有动静，最近活动在 {ago}"),
    "readers": ("Who reads over HTTP", "谁在通过 HTTP 读取"),
    "no_readers": (
        "Nobody yet. Who reads from Redis itself is not counted.",
        "还没有。直接从 Redis 读取的不计入。",
    ),
    "readers_note": (
        "Since they were first seen; who reads from Redis itself is not counted.",
        "自首次出现起累计；直接从 Redis 读取的不计入。",
    ),
    "client": ("Client", "客户端"),
    "reads": ("Reads", "读取"),
    "reports_heading": ("Reports", "上报"),
    "signatures": ("Signed", "签名"),
    "refusals": ("Refused", "被拒绝"),
    # Lengths of time
    "hours": ("{h} h {m:02} min", "{h} 小时 {m:02} 分"),
    "whole_hours": ("{h} h", "{h} 小时"),
    "minutes": ("{m} min", "{m} 分钟"),
    "short_minutes": ("{m} min {s:02} s", "{m} 分 {s:02} 秒"),
    "seconds": ("{s} s", "{s} 秒"),
    "part": ("{s:.2g} s", "{s:.2g} 秒"),
    "ago": ("{time} ago", "{time}前"),
    "just_now": ("just now", "刚刚"),
    # Letting in
    "locked": (
        "This page asks for a password: that of TOKENWORKER_WEB_PASSWORD, or a client's key with the scope status.",
        "此页面需要密码：TOKENWORKER_WEB_PASSWORD 的密码，或具有 status 权限的客户端密钥。",
    ),
}

#: In seconds; who says more than that writes nonsense into our Redis.
_LONGEST = 1e9

#: Of so many minutes nobody wants the seconds.
_MANY = 10


class Words:
    """The texts in one language."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._place = LANGUAGES.index(language)

    def __call__(self, text: str, n: int | None = None, **values: object) -> str:
        """Return a text with values in it; `n` chooses between the forms for one and for more."""
        one, _, more = TEXTS[text][self._place].partition("|")
        chosen = more if more and n != 1 else one
        return chosen.format(n="" if n is None else f"{n:,}", **values)

    @property
    def other(self) -> Language:
        """The language to change to."""
        return LANGUAGES[1 - self._place]

    def duration(self, seconds: float) -> str:
        """Return a length of time: 59 s, 9 min 59 s, 59 min, 1 h 59 min."""
        seconds = min(_LONGEST, max(0.0, seconds))
        minutes, s = divmod(int(seconds), 60)
        h, m = divmod(minutes, 60)
        if h:
            return self("hours" if m else "whole_hours", h=h, m=m)
        if m >= _MANY:
            return self("minutes", m=m)
        if m:
            return self("short_minutes" if s else "minutes", m=m, s=s)
        return self("part", s=seconds) if 0 < seconds < 1 else self("seconds", s=s)

    def ago(self, seconds: float) -> str:
        """Return how long ago something was."""
        return self("ago", time=self.duration(seconds)) if seconds >= 1 else self("just_now")

    def number(self, number: float) -> str:
        """Return a whole number with its thousands apart."""
        return f"{int(number):,}"


@cache
def words(language: Language) -> Words:
    """Return the texts in a language."""
    return Words(language)


def chosen(accepted: str, given: str = "") -> Language:
    """Return the language that a browser prefers, by its Accept-Language; one that was `given` wins."""
    if given in LANGUAGES:
        return LANGUAGES[LANGUAGES.index(given)]
    ranked = sorted(map(_weighed, accepted.split(",")), key=lambda pair: -pair[0])
    for weight, tag in ranked:
        if weight > 0 and tag.split("-")[0] in ("en", "zh"):
            return "zh-CN" if tag.startswith("zh") else "en"
    return "en"


def _weighed(item: str) -> tuple[float, str]:
    tag, _, options = item.partition(";")
    name, _, weight = options.strip().partition("=")
    try:
        return (float(weight) if name.strip() == "q" else 1.0), tag.strip().lower()
    except ValueError:
        return 0.0, ""


def clock(moment: float) -> str:
    """Return a moment as the clock of this machine shows it: 14:05:12."""
    return time.strftime("%H:%M:%S", time.localtime(moment))


def zoned(moment: float) -> str:
    """Return a moment as the clock of this machine shows it, with its zone: 14:05:12 UTC+08:00."""
    offset = time.strftime("%z", time.localtime(moment))
    return f"{clock(moment)} UTC{offset[:3]}:{offset[3:5]}"
