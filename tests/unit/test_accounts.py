"""The accounts file: what it may say, and that no fault in it shows a secret."""

from __future__ import annotations

import codecs
import copy
import json
import os
import pickle
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from support.targets import token_of

from tokenworker.accounts.account import Account
from tokenworker.credentials.kind import Quota
from tokenworker.errors import ConfigError
from tokenworker.secret import Secret
from tokenworker.settings.config import Config

APPID = "wx0123456789abcdef"
#: Looks like an AppSecret; no message, repr or traceback may hold it, nor a part of it.
CANARY = "c0ffee11c0ffee22c0ffee33c0ffee44"
CANARY_PARTS = [CANARY[at : at + 8] for at in range(0, 32, 8)]


def accounts(path: Path, **environ: str) -> Mapping[str, Account]:
    return Config(accounts_file=path).accounts(environ)


def account(path: Path, **environ: str) -> Account:
    (only,) = accounts(path, **environ).values()
    return only


def faults(path: Path, **environ: str) -> list[str]:
    """Return why the file is refused, after a look for the canary in everything that people may see of it."""
    with pytest.raises(ConfigError) as caught:
        accounts(path, **environ)
    error = caught.value
    shown = f"{error} {error!r} {error.args} {''.join(traceback.format_exception(error))}"
    assert not [part for part in CANARY_PARTS if part in shown]
    assert error.__cause__ is None
    assert error.__context__ is None
    return error.faults


def toml(*lines: str) -> str:
    """Return one sound account, less the fields that the lines give anew."""
    fields = {"appid": f'"{APPID}"', "secret": f'"{CANARY}"'}
    kept = [f"{name} = {value}" for name, value in fields.items() if not any(line.startswith(name) for line in lines)]
    return "\n".join(["[[account]]", *kept, *lines, ""])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "accounts.toml"


@pytest.fixture
def write(file: Path) -> Callable[..., Path]:
    """Return a function that writes the file with one sound account, less the fields that the lines give anew."""

    def write_lines(*lines: str) -> Path:
        file.write_text(toml(*lines), encoding="utf-8")
        return file

    return write_lines


# What a sound file says.


def test_an_account_needs_an_appid_and_a_secret_and_has_defaults_for_the_rest(write: Callable[..., Path]) -> None:
    assert account(write()) == Account(APPID, Secret(CANARY), "", "stable_token", None, (), None)


def test_all_fields_are_read(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    file.write_text(
        f'[[account]]\nappid = "{APPID}"\nsecret_file = "{secret}"\nname = "shop"\nendpoint = "token"\n'
        'leeway = 1800\npublish = ["YG-WECHAT-TOKEN", "other",]\nquota = 200\n'
    )

    expected = Account(APPID, Secret(CANARY), "shop", "token", 1800.0, ("YG-WECHAT-TOKEN", "other"), str(secret), 200)
    assert account(file) == expected


def test_accounts_keep_the_order_of_the_file(file: Path) -> None:
    appids = ["wxc", "wxa", "wxb"]
    file.write_text("".join(toml(f'appid = "{appid}"') for appid in appids))

    assert list(accounts(file)) == appids


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: b"\xef\xbb\xbf" + text, id="byte order mark"),
        pytest.param(lambda text: text.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(lambda text: text.replace(b" = ", b"\t=\t").replace(b"\nsecret", b"\n\tsecret"), id="tabs"),
        pytest.param(lambda text: text.rstrip(), id="no newline at the end"),
        pytest.param(lambda text: b"# \xe5\xba\x97\n\n" + text, id="comment in Chinese"),
    ],
)
def test_what_editors_do_to_a_file_makes_no_difference(change: Callable[[bytes], bytes], file: Path) -> None:
    file.write_bytes(change(toml().encode()))

    assert account(file) == Account(APPID, Secret(CANARY))


@pytest.mark.parametrize("content", [CANARY, f"{CANARY}\n", f"  {CANARY}\r\n\n", f"\ufeff{CANARY}\n"])
def test_blanks_around_a_secret_in_a_file_do_not_belong_to_it(
    content: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(content, encoding="utf-8")
    path = write(f'secret_file = "{tmp_path}/secret"')

    assert account(path).secret.reveal() == CANARY


def test_a_secret_may_stand_in_a_variable(write: Callable[..., Path]) -> None:
    assert account(write('secret_env = "SHOP_SECRET"'), SHOP_SECRET=CANARY).secret.reveal() == CANARY


@pytest.mark.parametrize("leeway", [0.001, 1, 295, 299.5, 300])
def test_a_leeway_of_stable_token_ends_where_its_window_begins(leeway: float, write: Callable[..., Path]) -> None:
    assert account(write(f"leeway = {leeway}")).leeway == leeway


@pytest.mark.parametrize("leeway", [301, 3600, 7199])
def test_a_leeway_of_the_classic_endpoint_may_be_longer(leeway: float, write: Callable[..., Path]) -> None:
    assert account(write(f"leeway = {leeway}", 'endpoint = "token"')).leeway == leeway


@pytest.mark.parametrize("appid", ["wx0123456789abcdef", "w", "a-b_C9", "x" * 64])
def test_letters_digits_hyphens_and_underscores_make_an_appid(appid: str, write: Callable[..., Path]) -> None:
    assert account(write(f'appid = "{appid}"')).appid == appid


@pytest.mark.parametrize(
    ("lines", "quota"),
    [([], 500_000), (['endpoint = "token"'], 2_000), (["quota = 1"], 1), (["quota = 1000000000"], 1_000_000_000)],
)
def test_the_quota_is_that_of_the_endpoint_unless_the_account_has_its_own(
    lines: list[str], quota: int, write: Callable[..., Path]
) -> None:
    assert token_of(account(write(*lines))).quota == Quota(quota)


CORPID = "ww0123456789abcdef"
WECOM = ('type = "wecom"', f'corpid = "{CORPID}"', "agent = 1000002")


def wecom(*lines: str) -> str:
    """Return one sound account of WeCom's, less the fields that the lines give anew."""
    given = [line.partition(" ")[0] for line in lines]
    kept = [line for line in (*WECOM, f'secret = "{CANARY}"') if line.partition(" ")[0] not in given]
    return "\n".join(["[[account]]", *kept, *lines, ""])


@pytest.mark.parametrize(
    ("agent", "id_"),
    [("1000002", f"{CORPID}/1000002"), ('"1000002"', f"{CORPID}/1000002"), ('"contacts"', f"{CORPID}/contacts")],
)
def test_an_application_of_wecom_is_named_by_corpid_and_agent(agent: str, id_: str, file: Path) -> None:
    file.write_text(wecom(f"agent = {agent}"))

    assert accounts(file) == {id_: Account(id_, Secret(CANARY), type="wecom")}
    assert account(file).corpid == account(file).public_id == CORPID


def test_two_applications_of_one_organisation_are_two_accounts(file: Path) -> None:
    file.write_text(wecom() + wecom("agent = 1000003") + toml())

    assert list(accounts(file)) == [f"{CORPID}/1000002", f"{CORPID}/1000003", APPID]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (toml(), ("access_token",)),
        (toml('keep = ["access_token"]'), ("access_token",)),
        (toml('keep = ["jsapi_ticket"]'), ("access_token", "jsapi_ticket")),
        (toml('keep = ["wx_card_ticket", "jsapi_ticket"]'), ("access_token", "wx_card_ticket", "jsapi_ticket")),
        (toml('keep = ["jsapi_ticket", "jsapi_ticket"]', 'endpoint = "token"'), ("access_token", "jsapi_ticket")),
        (toml('type = "mini_program"'), ("access_token",)),
        (wecom('keep = ["agent_ticket", "jsapi_ticket"]'), ("access_token", "agent_ticket", "jsapi_ticket")),
    ],
)
def test_an_account_keeps_what_it_lists_and_what_that_is_made_from(
    text: str, kept: tuple[str, ...], file: Path
) -> None:
    file.write_text(text)

    assert account(file).keep == kept


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (toml(f'type = "{CANARY}"'), "type must be wechat, mini_program or wecom"),
        (toml("type = 1"), "type must be wechat, mini_program or wecom"),
        (toml("type = []"), "type must be wechat, mini_program or wecom"),
        (toml("keep = []"), 'keep must list credentials, at least one, for example ["access_token", '),
        (toml('keep = [""]'), "keep must list credentials, at least one, for example "),
        (toml('keep = "jsapi_ticket"'), "keep must list credentials, at least one, for example "),
        (toml("keep = [1]"), "keep must list credentials, at least one, for example "),
        (
            toml('keep = ["jsapi_tickets"]'),
            "keep names what it can't: an account of the type wechat has no jsapi_tickets: use access_token, ",
        ),
        (toml(f'keep = ["{CANARY}"]'), "of the type wechat has no ***: use access_token, jsapi_ticket, wx_card_ticket"),
        (toml('keep = ["agent_ticket"]'), "of the type wechat has no agent_ticket: use "),
        (
            toml('type = "mini_program"', 'keep = ["jsapi_ticket"]'),
            "of the type mini_program has no jsapi_ticket: use access_token",
        ),
        (wecom('keep = ["wx_card_ticket"]'), "of the type wecom has no wx_card_ticket: use access_token, "),
        (wecom(f'appid = "{APPID}"'), "'appid' is unknown: use corpid, agent, secret, "),
        (wecom('endpoint = "token"'), "'endpoint' is unknown: use corpid, agent, secret, "),
        (toml(f'corpid = "{CORPID}"'), "'corpid' is unknown: use appid, endpoint, secret, "),
        (wecom('corpid = "a/b"'), "corpid must be a corpid as WeCom shows it"),
        (wecom("corpid = 1"), "corpid must be a corpid as WeCom shows it"),
        (wecom(f'corpid = "{CANARY}"'), "corpid must be a corpid as WeCom shows it"),
        (wecom("agent = 1.5"), "agent must be the number of an application"),
        (wecom("agent = true"), "agent must be the number of an application"),
        (wecom('agent = "a/b"'), "agent must be the number of an application"),
        (wecom('agent = ""'), "agent must be the number of an application"),
        (wecom(f'agent = "{CANARY}"'), "agent must be the number of an application"),
        # As long as a secret of WeCom's.
        (wecom(f'corpid = "{CANARY}gHiJkLm-_Pq"'), "corpid must be a corpid as WeCom shows it"),
        (wecom(f'agent = "{CANARY}gHiJkLm-_Pq"'), "agent must be the number of an application"),
        (f'[[account]]\ntype = "wecom"\nagent = 1\nsecret = "{CANARY}"', "corpid is missing: write corpid = "),
        (f'[[account]]\ntype = "wecom"\ncorpid = "w"\nsecret = "{CANARY}"', "agent is missing: write agent = "),
    ],
)
def test_what_an_account_can_not_be_or_keep_is_said(text: str, words: str, file: Path) -> None:
    file.write_text(text)

    (fault,) = faults(file)
    assert fault.startswith(f"{file}: account 1")
    assert words in fault


def test_a_key_published_twice_by_one_account_counts_once(write: Callable[..., Path]) -> None:
    assert account(write('publish = ["B", "A", "B"]')).publish == ("B", "A")


# What a file that can't be used gets to hear.


@pytest.mark.parametrize(
    "line",
    [
        f'secret = "{CANARY}',
        f"secret = {CANARY}",
        f"secret = '{CANARY}\"",
        f'secret = "{CANARY}",',
        f'secret = "{CANARY}" "{CANARY}"',
        f'secret = "\\q{CANARY}"',
        f'secret = "{CANARY}\x00"',
        f'secret: "{CANARY}"',
        f'"secret" "{CANARY}"',
        f'secret = """{CANARY}',
        f'secret = "{CANARY}"\nsecret = "{CANARY}"',
        f'secret = "{CANARY}"\nsecret.x = "{CANARY}"',
        f'secret = "{CANARY}"\n[account.secret]',
        f'"(at line {CANARY})" = 1\n"(at line {CANARY})" = 2',
        f'secret = [{{ a = "{CANARY}" ]',
        f"secret = “{CANARY}”",
        f"secret = {'[' * 5000}{CANARY}",
        f"secret = {CANARY.replace('c', '1').replace('f', '2').replace('e', '3') * 200}",
        "publish = [",
    ],
)
def test_a_file_that_is_not_toml_says_where_but_not_what(line: str, write: Callable[..., Path]) -> None:
    (fault,) = faults(write(line))

    assert fault.startswith(f"{write(line)}: is not TOML: ")
    assert ": look " in fault


def test_an_error_of_syntax_names_its_line(write: Callable[..., Path]) -> None:
    assert faults(write(f"secret = {CANARY}")) == [f"{write()}: is not TOML: look at line 3, column 10"]


@pytest.mark.parametrize("encoding", ["utf-16", "gb18030"])
def test_a_file_in_another_encoding_is_refused(encoding: str, file: Path) -> None:
    file.write_bytes(toml('name = "店"').encode(encoding))

    assert faults(file) == [f"{file}: is not UTF-8 text"]


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing here\n", "account = []\n"])
def test_a_file_without_accounts_is_refused(content: str, file: Path) -> None:
    file.write_text(content)

    assert faults(file) == [f"{file}: lists no account: write [[account]] with appid and secret for each"]


def loop(path: Path) -> None:
    path.symlink_to(path)


def fill(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)


NO_FILES: list[tuple[str, Callable[[Path], object]]] = [
    ("No such file", lambda _: None),
    ("it is a directory", Path.mkdir),
    ("not a regular file", os.mkfifo),
    ("not a regular file", lambda path: path.symlink_to("/dev/zero")),
    ("symbolic links", loop),
    ("bytes", fill),
]


@pytest.mark.parametrize(("reason", "make"), NO_FILES)
def test_what_is_no_file_of_accounts_is_refused_with_the_reason(
    reason: str, make: Callable[[Path], object], file: Path
) -> None:
    make(file)

    (fault,) = faults(file)
    assert fault.startswith(f"{file}: can't be read: ")
    assert reason in fault


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[None]:
    """Be a user who owns nothing, where the tests run as root."""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    user = os.geteuid()
    codecs.lookup("utf-8-sig")  # another user may not read the folder of Python's own modules
    os.seteuid(user or 65534)
    yield
    os.seteuid(user)


def test_a_file_without_permission_is_refused(write: Callable[..., Path], request: pytest.FixtureRequest) -> None:
    path = write()
    path.chmod(0)
    request.getfixturevalue("nobody")

    (fault,) = faults(path)
    assert fault.startswith(f"{path}: can't be read: Permission denied: let the user that runs tokenworker")
    assert f"(uid {os.geteuid()})" in fault


def test_a_secret_file_without_permission_is_refused(
    write: Callable[..., Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "secret").write_text(CANARY)
    (tmp_path / "secret").chmod(0)
    path = write(f'secret_file = "{tmp_path}/secret"')
    request.getfixturevalue("nobody")

    (fault,) = faults(path)
    assert f"secret_file {tmp_path}/secret can't be read: Permission denied: let the user" in fault


@pytest.mark.parametrize("path", ["accounts.toml", "etc/accounts.toml", "./accounts.toml"])
def test_a_relative_path_is_named_with_the_folder_it_was_looked_for_in(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert faults(Path(path)) == [f"{Path(path)} (in {tmp_path}): can't be read: No such file or directory"]


def test_a_relative_path_in_a_folder_that_is_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    (fault,) = faults(Path("accounts.toml"))
    assert "in a folder that is gone" in fault


@pytest.mark.parametrize("path", ["~/accounts.toml", "~shop/accounts.toml"])
def test_a_path_from_home_says_that_it_must_be_written_whole(path: str) -> None:
    (fault,) = faults(Path(path))

    assert "only a shell replaces the ~: write the whole path" in fault


def test_a_secret_file_from_home_says_that_it_must_be_written_whole(write: Callable[..., Path]) -> None:
    (fault,) = faults(write('secret_file = "~/secret"'))

    assert "secret_file ~/secret " in fault
    assert "only a shell replaces the ~: write the whole path" in fault


@pytest.mark.parametrize("path", [f"/{'x' * 300}", "/dev/null/accounts.toml"])
def test_a_path_that_can_be_none_is_refused(path: str) -> None:
    (fault,) = faults(Path(path))

    assert fault.startswith(path[:200])
    assert len(fault) < 260


@pytest.mark.parametrize("path", ["a\x00b", "a\nb", CANARY, f"account=[{{secret='{CANARY}'}}]", toml()])
def test_what_is_no_path_is_refused_and_not_shown(path: str) -> None:
    (fault,) = faults(Path(path))

    assert fault.startswith("TOKENWORKER_ACCOUNTS must be the path of a file")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f'[account]\nappid = "{APPID}"\nsecret = "{CANARY}"', "[[account]]"),
        (f'account = ["{CANARY}"]', "[[account]]"),
        (f'account = "{CANARY}"', "[[account]]"),
        (f'secret = "{CANARY}"\n{toml()}', "'secret' is unknown here: write [[account]]"),
        (f'[accounts]\nsecret = "{CANARY}"', "'accounts' is unknown here: write [[account]]"),
        (f'[[acount]]\nsecret = "{CANARY}"', "'acount' is unknown here: write [[account]]"),
    ],
)
def test_what_is_not_under_double_brackets_is_refused(text: str, named: str, file: Path) -> None:
    file.write_text(text)

    assert any(fault.startswith(f"{file}: ") and named in fault for fault in faults(file))


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        # Fields that do not exist.
        ([f'sercet = "{CANARY}"'], "'sercet' is unknown: use appid, endpoint, secret, "),
        ([f'Secret = "{CANARY}"'], "'Secret' is unknown"),
        ([f'password.secret = "{CANARY}"'], "'password' is unknown"),
        ([f"'{'x ' * 21}' = 1"], f"'{'x ' * 20}' is unknown"),
        # Appids.
        (['appid = ""'], "appid must be an appid"),
        (["appid = 123"], "appid must be an appid"),
        ([f'appid = ["{CANARY}"]'], "appid must be an appid"),
        ([f'appid = {{ secret = "{CANARY}" }}'], "appid must be an appid"),
        ([f"appid = 0x{'f' * 5000}"], "appid must be an appid"),
        ([f'appid = "{CANARY}"'], "appid must be an appid"),
        ([f'appid = "{CANARY.upper()}"'], "appid must be an appid"),
        ([f'appid = "{CANARY} "'], "appid must be an appid"),
        *[
            ([f"appid = {json.dumps(appid, ensure_ascii=False)}"], "appid must be an appid")
            for appid in [
                "wx{0123}",
                "wx:0123",
                "wx 0123",
                " wx0123",
                "wx0123\n",
                "wx\n0123",
                "wx店",
                "wx\u0660",
                "wx*",
                "x" * 65,
                "x" * 200,
            ]
        ],
        # Secrets.
        (["secret = 123"], "secret must be a text"),
        ([f"secret = 0x{CANARY.translate(str.maketrans('', '', 'x'))}"], "secret must be a text"),
        (['secret = ""'], "secret must be a text"),
        (["secret = true"], "secret must be a text"),
        ([f'secret = ["{CANARY}"]'], "secret must be a text"),
        ([f'secret = {{ value = "{CANARY}" }}'], "secret must be a text"),
        (['secret = "  "'], "secret holds no AppSecret"),
        ([f'secret = "{CANARY} {CANARY}"'], "secret holds no AppSecret"),
        ([f'secret = """\n{CANARY}\n{CANARY}"""'], "secret holds no AppSecret"),
        ([f'secret = "{CANARY}密"'], "secret holds no AppSecret"),
        ([f'secret = "\\u0007{CANARY}"'], "secret holds no AppSecret"),
        ([f"secret = '\"{CANARY}\"'"], "secret holds no AppSecret"),
        ([f"secret = \"'{CANARY}'\""], "secret holds no AppSecret"),
        ([f'secret = "{CANARY * 16}x"'], "secret holds no AppSecret"),
        ([f'secret = "{CANARY}"', f'secret_env = "{CANARY}"'], "secret and secret_env are set: keep one"),
        ([f'secret = "{CANARY}"', 'secret_file = "/x"'], "secret and secret_file are set: keep one"),
        (["secret_file = 5"], "secret_file must be a text"),
        (["secret_env = []"], "secret_env must be a text"),
        # The secret itself, where its place should be named.
        ([f'secret_file = "{CANARY}"'], "secret_file can't be read: No such file or directory (in /"),
        ([f'secret_file = "{CANARY[:16]}"'], "secret_file can't be read: No such file or directory (in /"),
        (['secret_file = "nope"'], "secret_file nope (in /"),
        ([f'secret_file = "{CANARY}\\u0000"'], "secret_file can't be read"),
        ([f'secret_env = "{CANARY}"'], "secret_env names a variable that is not set"),
        ([f'secret_env = "{CANARY}_"'], "secret_env names a variable that is not set"),
        (['secret_env = "SHOP_2_SECRET"'], "secret_env names SHOP_2_SECRET that is not set"),
        # Names.
        (["name = 1"], "name must be a text"),
        (['name = "a\\nb"'], "name must be a text on one line"),
        *[([f'name = "{name}"'], "name must be a text on one line") for name in [" shop", "shop ", " ", "\u3000店"]],
        ([f'name = {{ secret = "{CANARY}" }}'], "name must be a text"),
        # Endpoints.
        (['endpoint = "stable-token"'], "endpoint must be stable_token or token"),
        (['endpoint = "Token"'], "endpoint must be stable_token or token"),
        (['endpoint = ""'], "endpoint must be stable_token or token"),
        (["endpoint = true"], "endpoint must be stable_token or token"),
        ([f'endpoint = ["{CANARY}"]'], "endpoint must be stable_token or token"),
        # Leeways.
        *[
            ([f"leeway = {leeway}", 'endpoint = "token"'], "leeway must be a number of seconds")
            for leeway in [
                "true",
                "false",
                "0",
                "-1",
                "-0.5",
                "nan",
                "-nan",
                "inf",
                "-inf",
                "7200",
                "1e400",
                f"1{'0' * 400}",
                f"0x{'f' * 5000}",
                '"295"',
                "[295]",
                "2026-01-01",
                f'{{ secret = "{CANARY}" }}',
            ]
        ],
        (
            ["leeway = 300.5"],
            "leeway is 300.5: stable_token hands out a new token only in the last 300 s, so write 295",
        ),
        (["leeway = 301"], "leeway is 301: stable_token"),
        (["leeway = 3600", 'endpoint = "stable_token"'], "leeway is 3600: stable_token"),
        # Quotas.
        *[
            ([f"quota = {quota}"], "quota must be")
            for quota in ["0", "-1", "1.5", "true", '"200"', "1_000_000_001", f"0x{'f' * 5000}", f'["{CANARY}"]']
        ],
        # Keys to publish under.
        *[
            ([f"publish = {keys}"], "publish must be a list of Redis keys")
            for keys in [
                '"KEY"',
                "1",
                "[1]",
                '[""]',
                '[" "]',
                '[" KEY"]',
                '["KEY\\n"]',
                '["a\\nb"]',
                f'[["{CANARY}"]]',
                f'{{ "{CANARY}" = "KEY" }}',
            ]
        ],
        (['publish = ["wxjav"]'], "publish names 'wxjav', which looks like the format wxjava"),
        (['publish = ["tokenworker"]'], "one of tokenworker's own"),
        (['publish = ["tokenworker:due"]'], "one of tokenworker's own"),
        ([f'publish = ["tokenworker:{{{APPID}}}:state"]'], "one of tokenworker's own"),
    ],
)
def test_a_field_that_is_wrong_is_named_with_its_account_and_what_to_write(
    lines: list[str], field: str, write: Callable[..., Path]
) -> None:
    (fault,) = faults(write(*lines))

    assert fault.startswith(f"{write(*lines)}: account 1")
    assert field in fault


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f'[[account]]\nsecret = "{CANARY}"', "account 1: appid is missing: write appid = "),
        (f'[[account]]\nappid = "{APPID}"', f"account 1 ({APPID}): secret is missing: set one of secret, secret_file"),
    ],
)
def test_a_field_that_is_missing_is_named(text: str, named: str, file: Path) -> None:
    file.write_text(text)

    (fault,) = faults(file)
    assert named in fault


@pytest.mark.parametrize(("reason", "make"), NO_FILES)
def test_a_secret_file_that_can_not_be_read_is_named_with_the_reason(
    reason: str, make: Callable[[Path], object], write: Callable[..., Path], tmp_path: Path
) -> None:
    make(tmp_path / "secret")

    (fault,) = faults(write(f'secret_file = "{tmp_path}/secret"'))
    assert f"secret_file {tmp_path}/secret can't be read: " in fault
    assert reason in fault


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "secret_file holds no AppSecret"),
        (b"\n", "secret_file holds no AppSecret"),
        (f"{CANARY}\n{CANARY}\n".encode(), "secret_file holds no AppSecret"),
        (f"secret={CANARY} ".encode() * 2, "secret_file holds no AppSecret"),
        (f'"{CANARY}"'.encode(), "secret_file holds no AppSecret"),
        (CANARY.encode("utf-16"), "it must be the path of a text file"),
        (b"\x80" + CANARY.encode(), "it must be the path of a text file"),
        (CANARY.encode() * 1000, "it has more than 4096 bytes"),
    ],
)
def test_a_secret_file_that_holds_something_else_is_refused(
    content: bytes, words: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(content)

    (fault,) = faults(write(f'secret_file = "{tmp_path}/secret"'))
    assert words in fault


@pytest.mark.parametrize("value", ["", " ", f"{CANARY} {CANARY}", f"'{CANARY}'"])
def test_a_variable_that_holds_something_else_is_refused(value: str, write: Callable[..., Path]) -> None:
    (fault,) = faults(write('secret_env = "SHOP_SECRET"'), SHOP_SECRET=value)

    assert "secret_env holds no AppSecret" in fault


def test_all_faults_of_all_accounts_are_listed_at_once(file: Path) -> None:
    file.write_text(
        f'title = "{CANARY}"\n'
        + toml('appid = "a b"', "secret = 1", 'endpoint = "x"', "leeway = 0", "publish = 1", "name = 1", "nmae = 1")
        + toml("leeway = 301")
        + toml('publish = ["wxjav"]')
    )

    words = ["title", "nmae", "appid", "secret", "name", "endpoint", "leeway", "publish", "publish", "twice", "leeway"]
    found = faults(file)
    assert len(found) == len(words)
    for fault, word in zip(found, words, strict=True):
        assert word in fault


def test_an_endpoint_that_is_wrong_does_not_make_its_leeway_wrong_too(write: Callable[..., Path]) -> None:
    (fault,) = faults(write('endpoint = "tokn"', "leeway = 3600"))

    assert "endpoint" in fault


def test_the_message_lists_the_faults_line_by_line(write: Callable[..., Path]) -> None:
    error = ConfigError(faults(write("leeway = 0", "name = 1")))

    assert str(error).splitlines()[1:] == [f"  - {fault}" for fault in error.faults]


# What is wrong between accounts.


def test_the_same_appid_twice_is_refused_naming_both_places(file: Path) -> None:
    file.write_text(toml() + toml('appid = "wxother"') + toml())

    places = f"{file}: account 1 ({APPID}), and {file}: account 3 ({APPID})"
    assert faults(file) == [f"account {APPID} stands twice: {places}"]


def test_places_count_the_accounts_of_the_file_also_those_with_faults(file: Path) -> None:
    file.write_text(toml("appid = 1") + toml() + toml("leeway = 0"))

    assert faults(file)[-1] == (
        f"account {APPID} stands twice: {file}: account 2 ({APPID}), and {file}: account 3 ({APPID})"
    )


def test_two_accounts_without_appid_are_not_the_same_appid_twice(file: Path) -> None:
    file.write_text("[[account]]\nsecret = 'x'\n" * 2)

    assert not [fault for fault in faults(file) if "twice" in fault]


def test_appids_differ_by_case(file: Path) -> None:
    file.write_text(toml('appid = "wxa"') + toml('appid = "wxA"'))

    assert list(accounts(file)) == ["wxa", "wxA"]


@pytest.mark.parametrize("number", [2, 3])
def test_a_name_that_stands_twice_is_refused_naming_both_places(number: int, file: Path) -> None:
    others = [toml(f'appid = "wx{other}"') for other in range(2, number)]
    file.write_text(toml('name = "店"') + "".join(others) + toml('appid = "wxb"', 'name = "店"'), encoding="utf-8")

    assert faults(file) == [f"name 店 stands twice: {file}: account 1 ({APPID}), and {file}: account {number} (wxb)"]


@pytest.mark.parametrize("names", [("wxb", "x"), ("x", "wxa")])
def test_a_name_that_is_the_id_of_another_is_refused(names: tuple[str, str], file: Path) -> None:
    appids = ("wxa", "wxb")
    file.write_text(
        "".join(toml(f'appid = "{it}"', f'name = "{name}"') for it, name in zip(appids, names, strict=True))
    )

    (fault,) = faults(file)
    assert ": name is the id of " in fault


def test_names_that_leave_nothing_open_are_taken(file: Path) -> None:
    tables = [("wxa", "shop"), ("wxb", "Shop"), ("wxc", "wxc"), ("wxd", ""), ("wxe", "")]
    file.write_text("".join(toml(f'appid = "{appid}"', f'name = "{name}"') for appid, name in tables))

    assert [it.name for it in accounts(file).values()] == ["shop", "Shop", "wxc", "", ""]


def test_one_key_for_the_tokens_of_two_accounts_is_refused_naming_both_places(file: Path) -> None:
    file.write_text(toml('appid = "wxa"', 'publish = ["K", "L"]') + toml('appid = "wxb"', 'publish = ["M", "K"]'))

    (fault,) = faults(file)
    assert " K stands twice" in fault
    assert "account 1 (wxa)" in fault
    assert "account 2 (wxb)" in fault


# Secrets and what depends on them.


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!s:>40}".format, ascii, lambda secret: f"{[secret]}"])
def test_a_secret_is_not_shown(show: Callable[[Secret], str]) -> None:
    assert "Secret(***)" in show(Secret(CANARY))
    assert CANARY not in show(Secret(CANARY))


@pytest.mark.parametrize("send", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_a_secret_does_not_travel(send: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError) as caught:
        send(Secret(CANARY))
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("show", [vars, bytes, iter, len])
def test_a_secret_has_no_content_but_by_reveal(show: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError):
        show(Secret(CANARY))
    assert Secret(CANARY).reveal() == CANARY


def test_secrets_are_equal_by_value() -> None:
    assert Secret(CANARY) == Secret(CANARY)
    assert len({Secret(CANARY), Secret(CANARY)}) == 1
    assert Secret(CANARY) != Secret("x")
    assert Secret(CANARY) != CANARY


def test_an_account_shows_its_appid_and_not_its_secret() -> None:
    assert APPID in repr(Account(APPID, Secret(CANARY)))
    assert "ecret(" not in repr(Account(APPID, Secret(CANARY)))
    assert CANARY not in repr(Account(APPID, Secret(CANARY)))


def test_the_revision_changes_with_the_secret_and_the_endpoint_only() -> None:
    before = Account(APPID, Secret(CANARY))

    assert (
        before.settings_digest == Account("wxother", Secret(CANARY), "name", leeway=5, publish=("K",)).settings_digest
    )
    assert before.settings_digest != Account(APPID, Secret("x")).settings_digest
    assert before.settings_digest != Account(APPID, Secret(CANARY), endpoint="token").settings_digest
