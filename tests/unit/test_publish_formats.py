"""Copies of tickets and of WeCom's credentials, byte for byte as the SDKs keep them.

Keys and values are written down from the SDKs' sources; MD5s are md5sum's.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tokenworker.publish.formats import FORMATS, Original, copies, fault, is_format

CREDENTIALS = ("access_token", "jsapi_ticket", "wx_card_ticket", "agent_ticket")

APPID = "wx0123456789abcdef"
AGENT = "ww0123456789abcdef/1000002"
ACCOUNTS = {"wechat": APPID, "mini_program": APPID, "wecom": AGENT}
SECRET = "0123456789abcdef0123456789abcdef"
VALUE = 'sM4A-"\\/_' + "x" * 503
#: The same as JSON; as bytes between quotes it is what PHP writes, since it is ASCII.
JSON = r"sM4A-\"\\/_" + "x" * 503

NOW = 1_763_800_000.25
REPLY = f'{{"errcode":0,"errmsg":"ok","ticket":"{JSON}","expires_in":7200}}'
JSON_TOKEN = f'{{"access_token":"{JSON}","expires_in":7200}}'
PHP = f's:512:"{VALUE}";'
PHP_REPLY = f'a:4:{{s:7:"errcode";i:0;s:6:"errmsg";s:2:"ok";s:6:"ticket";{PHP}s:10:"expires_in";i:7200;}}'
PHP_TOKEN = f'a:2:{{s:12:"access_token";{PHP}s:10:"expires_in";i:7200;}}'

#: By type of account and name of credential: of each entry of publish the keys and values.
COPIES = {
    ("wechat", "jsapi_ticket"): {
        "jsapi_ticket=YG-JSAPI-TICKET": {"YG-JSAPI-TICKET": VALUE},
        "wechatpy": {
            "wechatpy:wx0123456789abcdef_jsapi_ticket": f'"{JSON}"',
            "wechatpy:wx0123456789abcdef_jsapi_ticket_expires_at": "1763807200",
        },
        "wechatpy:shop": {
            "shop:wx0123456789abcdef_jsapi_ticket": f'"{JSON}"',
            "shop:wx0123456789abcdef_jsapi_ticket_expires_at": "1763807200",
        },
        "wxjava": {"wx:ticket:key:wx0123456789abcdef:jsapi": VALUE},
        "wxjava:shop:mp": {"shop:mp:ticket:key:wx0123456789abcdef:jsapi": VALUE},
        "easywechat": {"official_account.jsapi_ticket.wx0123456789abcdef": PHP},
        "easywechat:shop:": {"shop:official_account.jsapi_ticket.wx0123456789abcdef": PHP},
        "easywechat-5": {"easywechat.basic_service.jssdk.ticket.jsapi.wx0123456789abcdef": PHP_REPLY},
        "silenceper": {"gowechat_officialaccount__jsapi_ticket_wx0123456789abcdef": VALUE},
        "powerwechat": {"powerwechat.basic_service.jssdk.ticket.jsapi.wx0123456789abcdef": REPLY},
        "co-wechat-api": {
            "co-wechat-api:jsapi_ticket:wx0123456789abcdef": f'{{"ticket":"{JSON}","expireTime":1763807190250}}'
        },
        "node-easywechat": {"node-easywechat:jsapi_ticket:wx0123456789abcdef": f'"{JSON}"'},
    },
    ("wechat", "wx_card_ticket"): {
        "wx_card_ticket=shop:card": {"shop:card": VALUE},
        "wechatpy": {
            "wechatpy:wx0123456789abcdef_jsapi_card_ticket": f'"{JSON}"',
            "wechatpy:wx0123456789abcdef_jsapi_card_ticket_expires_at": "1763807200",
        },
        "wxjava": {"wx:ticket:key:wx0123456789abcdef:wx_card": VALUE},
        "easywechat-5": {"easywechat.basic_service.jssdk.ticket.wx_card.wx0123456789abcdef": PHP_REPLY},
        "powerwechat": {"powerwechat.basic_service.jssdk.ticket.wx_card.wx0123456789abcdef": REPLY},
        "co-wechat-api": {
            "co-wechat-api:wx_card_ticket:wx0123456789abcdef": f'{{"ticket":"{JSON}","expireTime":1763807190250}}'
        },
    },
    ("wecom", "access_token"): {
        "YG-WECOM-TOKEN": {"YG-WECOM-TOKEN": VALUE},
        "wechatpy": {
            "wechatpy:ww0123456789abcdef_0123456789_access_token": f'"{JSON}"',
            "wechatpy:ww0123456789abcdef_access_token_expires_at": "1763807200",
        },
        "wxjava-cp": {"wechat_cp_access_token_key:ww0123456789abcdef:1000002": VALUE},
        "wxjava-cp:shop": {"shop:wechat_cp_access_token_key:ww0123456789abcdef:1000002": VALUE},
        "wxjava-cp:shop:": {"shop:wechat_cp_access_token_key:ww0123456789abcdef:1000002": VALUE},
        "easywechat": {"work.access_token.ww0123456789abcdef.1000002": PHP},
        "easywechat-6-work-key-contains-secret": {
            "work.access_token.ww0123456789abcdef.0123456789abcdef0123456789abcdef": PHP
        },
        "easywechat-5": {"easywechat.kernel.access_token.88022aae37f2359529f7ee114824cf33": PHP_TOKEN},
        "silenceper-work": {"gowechat_work__access_token_ww0123456789abcdef_1000002": VALUE},
        "powerwechat": {
            "powerwechat.access_token.a1b68c17d111a1c23ee307434f1b099f": JSON_TOKEN,
        },
        "node-easywechat": {"node-easywechat:access_token:ww0123456789abcdef.1000002": f'"{JSON}"'},
    },
    ("wecom", "jsapi_ticket"): {
        "jsapi_ticket=YG-CORP-TICKET": {"YG-CORP-TICKET": VALUE},
        "wechatpy": {
            "wechatpy:ww0123456789abcdef_jsapi_ticket": f'"{JSON}"',
            "wechatpy:ww0123456789abcdef_jsapi_ticket_expires_at": "1763807200",
        },
        "wxjava-cp": {"wechat_cp_jsapi_ticket_key:ww0123456789abcdef:1000002": VALUE},
        "easywechat": {"work.jsapi_ticket.ww0123456789abcdef": PHP},
        "easywechat-5": {"easywechat.work.jssdk.ticket.config.ww0123456789abcdef": PHP_REPLY},
        "silenceper-work": {"gowechat_work__corp_jsapi_ticket_ww0123456789abcdef": VALUE},
        "powerwechat": {"powerwechat.basic_service.jssdk.ticket.jsapi.ww0123456789abcdef": REPLY},
        "node-easywechat": {"node-easywechat:jsapi_ticket:ww0123456789abcdef": f'"{JSON}"'},
    },
    ("wecom", "agent_ticket"): {
        "agent_ticket=YG-AGENT-TICKET": {"YG-AGENT-TICKET": VALUE},
        "wechatpy": {
            "wechatpy:ww0123456789abcdef_agent_jsapi_ticket": f'"{JSON}"',
            "wechatpy:ww0123456789abcdef_agent_jsapi_ticket_expires_at": "1763807200",
        },
        "wxjava-cp": {"wechat_cp_agent_jsapi_ticket_key:ww0123456789abcdef:1000002": VALUE},
        "easywechat": {"work.jsapi_ticket.ww0123456789abcdef.1000002": PHP},
        "easywechat-5": {"easywechat.work.jssdk.ticket.1000002.agent_config.ww0123456789abcdef": PHP_REPLY},
        "silenceper-work": {"gowechat_work__agent_jsapi_ticket_ww0123456789abcdef_1000002": VALUE},
        "node-easywechat": {"node-easywechat:jsapi_ticket:ww0123456789abcdef.1000002": f'"{JSON}"'},
    },
}

WRITTEN = [(of, name, entry) for (of, name), entries in COPIES.items() for entry in entries]
#: Each type of account with each credential that one of its type can have.
KEPT = [
    *(("wechat", name) for name in ("access_token", "jsapi_ticket", "wx_card_ticket")),
    ("mini_program", "access_token"),
    *(("wecom", name) for name in ("access_token", "jsapi_ticket", "agent_ticket")),
]


def original(of: str, name: str, secret: str = SECRET) -> Original:
    return Original(of, ACCOUNTS[of], name, secret, VALUE, NOW + 7200, 7200)


def keys(entry: str, of: str, name: str) -> list[str]:
    return [copy.key for copy in copies(entry, original(of, name))]


def known() -> list[tuple[str, str, str]]:
    """Return which formats know which credential of which type of account."""
    return [(of, name, entry) for of, name in KEPT for entry in FORMATS if keys(entry, of, name)]


@pytest.mark.parametrize(("of", "name", "entry"), WRITTEN)
def test_copies_are_what_the_sdk_reads_byte_for_byte(of: str, name: str, entry: str) -> None:
    made = copies(entry, original(of, name))

    assert {copy.key: copy.value for copy in made} == COPIES[of, name][entry]
    assert {copy.name for copy in made} == {entry}


def test_every_row_for_tickets_and_wecom_is_written_down_here() -> None:
    rows = {(of, name, entry) for of, name, entry in known() if (of, name) in COPIES}

    assert len(VALUE) == 512
    assert rows == {row for row in WRITTEN if row[2] in FORMATS}


@pytest.mark.parametrize("entry", ["wxjava", "silenceper", "co-wechat-api", "easywechat-6-key-contains-secret"])
@pytest.mark.parametrize("name", ["access_token", "jsapi_ticket", "agent_ticket"])
def test_a_format_that_does_not_know_wecom_has_no_copy_of_it(entry: str, name: str) -> None:
    assert keys(entry, "wecom", name) == []


@pytest.mark.parametrize("entry", ["wxjava-cp", "silenceper-work", "easywechat-6-work-key-contains-secret"])
def test_a_format_of_wecom_has_no_copy_of_an_official_account(entry: str) -> None:
    assert keys(entry, "wechat", "access_token") == []


@pytest.mark.parametrize(
    ("entry", "of", "name"),
    [
        ("easywechat", "wechat", "wx_card_ticket"),
        ("silenceper", "wechat", "wx_card_ticket"),
        ("powerwechat", "wecom", "agent_ticket"),
        ("wechatpy", "wechat", "agent_ticket"),
        ("wechatpy", "component", "component_access_token"),
    ],
)
def test_what_an_sdk_keeps_nowhere_has_no_copy(entry: str, of: str, name: str) -> None:
    assert copies(entry, Original(of, APPID, name, SECRET, VALUE, NOW, 7200)) == []


def test_an_account_may_have_all_formats_at_once_for_no_key_is_made_twice() -> None:
    for of in ACCOUNTS:
        made = [key for name in CREDENTIALS for entry in FORMATS for key in keys(entry, of, name)]
        assert len(made) == len(set(made))


def test_a_mini_program_has_the_copies_of_tokens_that_an_official_account_has() -> None:
    for entry in FORMATS:
        there = copies(entry, original("wechat", "access_token"))
        assert copies(entry, original("mini_program", "access_token")) == there


@pytest.mark.parametrize(("of", "name", "entry"), known())
def test_keys_do_not_depend_on_the_value(of: str, name: str, entry: str) -> None:
    blank = copies(entry, Original(of, ACCOUNTS[of], name, SECRET, "", 0, 0))

    assert [copy.key for copy in blank] == keys(entry, of, name)


@pytest.mark.parametrize(("of", "name", "entry"), known())
def test_only_formats_that_say_so_have_the_secret_in_their_key(of: str, name: str, entry: str) -> None:
    assert (SECRET in str(keys(entry, of, name))) == ("key-contains-secret" in entry)


@pytest.mark.parametrize(("of", "name", "entry"), known())
def test_neither_value_nor_secret_is_shown(of: str, name: str, entry: str) -> None:
    shown = repr([original(of, name), copies(entry, original(of, name))])

    assert VALUE not in shown
    assert SECRET not in shown


def test_a_time_to_end_is_a_whole_number_however_the_clock_stands() -> None:
    ends = copies("wechatpy", Original("wechat", APPID, "jsapi_ticket", SECRET, VALUE, NOW + 0.999, 7200))[1]

    assert ends.value == "1763800001"


def test_a_slash_in_the_secret_is_escaped_in_the_credentials_as_php_does() -> None:
    (copy,) = copies("easywechat-5", original("wecom", "access_token", secret="a/b"))

    assert copy.key == "easywechat.kernel.access_token.f80cfcab57b6dbdfb43e79da65f591b8"


def test_braces_in_a_prefix_or_a_secret_are_letters_like_others() -> None:
    (copy,) = copies("easywechat-6-work-key-contains-secret:{of.value}", original("wecom", "access_token", "{prefix}"))

    assert copy.key == "{of.value}work.access_token.ww0123456789abcdef.{prefix}"


@pytest.mark.parametrize("value", [PHP, PHP_REPLY, PHP_TOKEN])
def test_php_itself_reads_them(value: str) -> None:
    if not shutil.which("php"):
        pytest.skip("php is not here: apt-get install php-cli")
    code = (
        '$it = unserialize(stream_get_contents(STDIN), ["allowed_classes" => false]);'
        'echo is_array($it) ? ($it["ticket"] ?? $it["access_token"]) : $it;'
    )
    done = subprocess.run(["php", "-r", code], input=value, capture_output=True, text=True, check=True)  # noqa: S607

    assert done.stdout == VALUE


# Plain keys.


@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_plain_key_is_for_the_token_unless_it_says_for_what(name: str) -> None:
    assert keys("KEY", "wecom", name) == (["KEY"] if name == "access_token" else [])
    assert keys(f"{name}=KEY", "wecom", name) == ["KEY"]
    assert [other for other in CREDENTIALS if keys(f"{name}=KEY", "wecom", other)] == [name]


@pytest.mark.parametrize("key", ["a=b", "ticket=KEY", "=KEY", "JSAPI=KEY", "access_token"])
def test_what_stands_before_an_equals_sign_is_part_of_the_key_unless_it_is_a_credential(key: str) -> None:
    assert fault(key) == ""
    assert keys(key, "wechat", "access_token") == [key]
    assert keys(key, "wechat", "jsapi_ticket") == []


@pytest.mark.parametrize(
    "entry", ["jsapi_ticket=KEY", "jsapi_ticket=shop:a=b", "agent_ticket=wechat", "access_token=KEY"]
)
def test_a_key_for_a_credential_is_no_format_and_no_fault(entry: str) -> None:
    assert fault(entry) == ""
    assert not is_format(entry)


@pytest.mark.parametrize("entry", ["jsapi_ticket=", "wx_card_ticket= KEY"])
def test_a_credential_without_its_key_is_a_fault(entry: str) -> None:
    assert "without a key: write one right after the =" in fault(entry)


@pytest.mark.parametrize("entry", ["jsapi_ticket=wechatpy", "jsapi_ticket=wechatpy:shop"])
def test_a_format_for_one_credential_is_a_fault_that_says_what_it_stands_for(entry: str) -> None:
    assert fault(entry).endswith(f"every credential that it knows: write {entry.partition('=')[2]!r}")


@pytest.mark.parametrize("entry", ["jsapi-ticket=KEY", "jsapi_tickets=KEY", "JSAPI_TICKET=KEY", "jsapi_ticket =KEY"])
def test_what_looks_like_a_misspelt_credential_is_a_fault_with_a_suggestion(entry: str) -> None:
    assert f"{entry!r}, which looks like the credential jsapi_ticket: write" in fault(entry)


@pytest.mark.parametrize(
    ("entry", "meant"),
    [("wx-java-cp", "wxjava-cp"), ("silenceper_work", "silenceper-work"), ("wxjavacp:shop", "wxjava-cp")],
)
def test_a_misspelt_format_of_wecom_is_a_fault_with_a_suggestion(entry: str, meant: str) -> None:
    assert meant in fault(entry)


@pytest.mark.parametrize("entry", ["silenceper-work:shop", "wxjava-cp:"])
def test_a_prefix_that_is_missing_or_has_no_place_is_a_fault(entry: str) -> None:
    assert "prefix" in fault(entry)
