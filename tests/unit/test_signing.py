"""Signatures for pages, held to the examples that WeChat prints and to some computed by its formulas elsewhere."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha1
from traceback import walk_tb

import pytest

from tokenworker.credential import Credential
from tokenworker.errors import WrongArgument
from tokenworker.reading.reader import signature
from tokenworker.signing import sign_card, sign_choose_card, sign_url

#: The example in appendix 1 of WeChat's page on its JS-SDK.
TICKET = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
NONCE = "Wm3WZYTPz0wzccnW"
TIMESTAMP = 1414587457

#: The example in appendix 4.
CARD_TICKET = "ojZ8YtyVyr30HheH3CM73y7h4jJE"
CARD = "pjZ8Yt1XGILfi-FUsewpnnolGgZk"
CARD_TIMESTAMP = 1404896688


def test_half_a_character_is_refused_without_a_word_of_the_ticket() -> None:
    signs: list[Callable[[], object]] = [
        lambda: sign_url(TICKET, "https://shop.example.com/\ud800"),
        lambda: sign_url(TICKET, "https://shop.example.com/", nonce="\udc80"),
        lambda: sign_card(CARD_TICKET, "\ud800"),
    ]
    for sign in signs:
        with pytest.raises(WrongArgument, match="half a character") as caught:
            sign()
        assert TICKET not in repr(caught.value.args)
        assert caught.value.__context__ is None


def signature_of(url: str, ticket: str = TICKET) -> str:
    return str(sign_url(ticket, url, nonce=NONCE, timestamp=TIMESTAMP)["signature"])


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        ("http://mp.weixin.qq.com?params=value", "0f9de62fce790f9a083d5c99e95740ceb90c27ed"),
        ("http://mp.weixin.qq.com", "f4d90daf4b3bca3078ab155816175ba34c443a7b"),
    ],
)
def test_the_signature_is_the_one_that_wechat_prints(url: str, signature: str) -> None:
    assert sign_url(TICKET, url, nonce=NONCE, timestamp=TIMESTAMP) == {
        "timestamp": TIMESTAMP,
        "nonceStr": NONCE,
        "signature": signature,
    }


def test_an_address_is_not_normalised() -> None:
    assert signature_of("http://mp.weixin.qq.com/?params=value") == "f50191877b62b116ef830363a3a613ed652a2d5d"


@pytest.mark.parametrize("rest", ["#", "#top", "#/route?a=b", "#a#b"])
def test_what_follows_the_hash_is_not_signed(rest: str) -> None:
    assert signature_of(f"http://mp.weixin.qq.com?params=value{rest}") == "0f9de62fce790f9a083d5c99e95740ceb90c27ed"


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/%E5%BA%97?q=a+b&q=%20",
        "https://shop.example/店?名=值",
        "https://Shop.Example:443/a/../b//?&&",
        "https://shop.example/?from=singlemessage&isappinstalled=0 ",
        "https://shop.example/🛒",
    ],
)
def test_every_byte_of_an_address_counts(url: str) -> None:
    text = f"jsapi_ticket={TICKET}&noncestr={NONCE}&timestamp={TIMESTAMP}&url={url}"

    assert signature_of(url) == sha1(text.encode()).hexdigest()  # noqa: S324  what WeChat asks for


@pytest.mark.parametrize(
    "url", ["", "#top", "shop.example/cart", "/cart", "//shop.example", "ftp://shop.example", " http://a"]
)
def test_what_is_no_address_of_a_page_is_refused_with_what_to_pass(url: str) -> None:
    with pytest.raises(WrongArgument, match=r"url must be .* location\.href .* begins with http:// or https://"):
        signature_of(url)


def test_a_refusal_does_not_show_what_may_be_a_secret() -> None:
    with pytest.raises(WrongArgument) as caught:
        sign_url("https://shop.example/", TICKET)

    assert TICKET[:30] not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://shop.example", "https://shop.example/\ud800"])
def test_an_error_about_the_page_has_no_ticket_in_its_frames(url: str) -> None:
    with pytest.raises(WrongArgument) as caught:
        signature("wx1", url, Credential(TICKET, 0))

    frames = [repr(frame.f_locals) for frame, _ in walk_tb(caught.value.__traceback__)]
    assert len(frames) > 2
    assert TICKET not in "".join(frames[1:])


def test_no_ticket_makes_no_signature() -> None:
    for sign in (sign_url, sign_card, sign_choose_card):
        with pytest.raises(WrongArgument, match="ticket must be"):
            sign("", "https://shop.example/")


@pytest.mark.parametrize(
    ("code", "nonce", "signature"),
    [
        ("1434008071", "123", "f137ab68b7f8112d20ee528ab6074564e2796250"),
        ("1434008071", "jonyqin", "4404c209b9f7ca9bdc021a4f5feefe1927d26117"),
        ("jonyqin_1434008071", "jonyqin", "2b4d29b5f60fa4be37522ddfd9583c329446d3e3"),
    ],
)
def test_a_card_is_signed_as_wechat_prints_it(code: str, nonce: str, signature: str) -> None:
    assert sign_card(CARD_TICKET, CARD, code=code, nonce=nonce, timestamp=CARD_TIMESTAMP) == {
        "code": code,
        "timestamp": CARD_TIMESTAMP,
        "nonce_str": nonce,
        "signature": signature,
    }


def test_a_card_says_whom_it_is_for_if_anyone() -> None:
    assert sign_card(CARD_TICKET, CARD, openid="o1")["openid"] == "o1"
    assert sign_card(CARD_TICKET, CARD).keys() == {"timestamp", "nonce_str", "signature"}


def test_a_choice_of_cards_is_signed_by_the_same_method() -> None:
    signed = sign_choose_card(
        CARD_TICKET, "wx0123456789abcdef", card_id=CARD, card_type="GROUPON", nonce="123", timestamp=CARD_TIMESTAMP
    )

    assert signed == {
        "timestamp": CARD_TIMESTAMP,
        "nonceStr": "123",
        "signType": "SHA1",
        "cardSign": "a0bd02371453ac06068f8a250d1be5027b3dcfef",
    }


def test_card_values_are_sorted_by_their_bytes() -> None:
    values = sorted(v.encode() for v in (CARD_TICKET, "Z", "a", "é", "店", "1"))
    signed = sign_card(CARD_TICKET, "店", code="Z", openid="a", nonce="é", timestamp=1)

    assert signed["signature"] == sha1(b"".join(values)).hexdigest()  # noqa: S324


def test_nonce_and_time_are_new_for_each_signature() -> None:
    before = int(time.time())
    signed = [sign_url(TICKET, "https://shop.example/") for _ in range(100)]

    assert len({one["nonceStr"] for one in signed}) == 100
    assert all(len(str(one["nonceStr"])) == 16 and str(one["nonceStr"]).isalnum() for one in signed)
    assert all(isinstance(one["timestamp"], int) and before <= one["timestamp"] <= time.time() for one in signed)


def test_who_only_signs_needs_no_redis_celery_or_requests() -> None:
    code = "import sys, tokenworker.signing; print(*{'redis', 'celery', 'requests'} & {*sys.modules})"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
