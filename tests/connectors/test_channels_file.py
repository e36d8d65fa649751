"""A channels file that is wrong is refused in one line, which names entry and key and shows no value."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from connectors.channels import channels_of, listed, parsed, parsed_entries
from connectors.providers import PROVIDERS
from tests.cli.commands import Ended, Sluice
from tests.connectors.vectors import FILES
from workers.errors import SettingsError

VALUE: Final = "s3cret-value"
WRONG: Final[list[Any]] = [VALUE, f"{VALUE}\n{VALUE}", f"{VALUE}\x1b[2J", 5, 2.5, True, [], [VALUE], {VALUE: VALUE}, {},
                           float("nan"), float("inf"), -1, 10**30, ""]  # fmt: skip
ENTRY: Final = '[[channel]]\nworkspace_id = "acme"\nchannel_id = "tg-main"\nprovider = "telegram"\n'
KEYS: Final = 'bot_token = "env:BOT_TOKEN"\nsecret_token = "env:SECRET_TOKEN"\n'
SECRETS: Final = {"BOT_TOKEN": f"{VALUE}-1", "SECRET_TOKEN": f"{VALUE}-2"}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_whatever_a_key_holds_is_not_repeated(provider: str) -> None:
    entry = FILES[provider]["channel"]
    common = {"provider", "base_url", "rate_per_second", "timeout_s", "name", "default_region"}
    for key in sorted({*entry, *PROVIDERS[provider].keys.__struct_encode_fields__, *common} - {"channel_id"}):
        for value in WRONG:
            try:
                channels = parsed_entries([entry | {key: value}], read_secret=str)
            except SettingsError as error:
                words = str(error)
                assert words.isprintable(), (key, value)
                assert key in words, (key, value)
                assert VALUE not in words or key == "workspace_id", (key, value)
            else:
                assert value not in (float("inf"), -1, 10**30) and value == value, (key, value)  # noqa: PLR0124, PT018
                shown = json.dumps(listed(channels)) + repr(channels)
                assert VALUE not in shown or key not in ("bot_token", "secret_token", "app_secret", "auth_token")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"a\\n\\u001b" = 1', "unknown key `a??`: expected tables [[channel]], see docs/channels.md"),
        (
            ENTRY + '"s\\nx" = 1',
            "channel 1 (acme/tg-main): unknown key `s?x`; telegram has `bot_token`, `secret_token`",
        ),
        (ENTRY + KEYS.partition("\n")[0], "channel 1 (acme/tg-main): missing key `secret_token`"),
        (ENTRY + KEYS + ENTRY + KEYS, "channel 1 (acme/tg-main): there are two entries of this channel"),
        (ENTRY.replace("telegram", "pigeon"), "channel 1 (acme/tg-main): `provider` must be one of custom, instagram,"),
        (f"channel = {VALUE}", "no TOML: line 1, column 11"),
        (f'channel = "{VALUE}', "no TOML: end of document"),
        ("[" * 5_000, "no TOML: line 1, column 3"),
        ("x = " + "[" * 5_000, "no TOML that can be read"),
        ("x = " + "9" * 5_000, "no TOML that can be read"),
        ("", "there is no [[channel]], see docs/channels.md"),
        ("[channel]", "`channel` must be tables [[channel]], see docs/channels.md"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(text: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parsed(text, read_secret=str)

    assert str(refused.value).startswith(words)
    assert str(refused.value).isprintable()


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "bytes.toml", tmp_path / "none.toml", tmp_path):
        with pytest.raises(SettingsError, match="cannot be read"):
            channels_of(path)


def in_one_line(ended: Ended) -> str:
    """The only line that a command says of why it refuses."""
    [line] = ended.err.splitlines()
    assert (ended.code, ended.out) == (2, ""), ended
    assert VALUE not in line
    return line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (KEYS + "colour = 1\n", "unknown key `colour`"),
        (KEYS.partition("\n")[0], "missing key `secret_token`"),
        (KEYS + ENTRY + KEYS, "there are two entries of this channel"),
        (KEYS.replace("SECRET_TOKEN", "OTHER"), "`secret_token`: is env:NAME, but this variable is not set"),
        (KEYS.replace("env:SECRET_TOKEN", "file:/no"), "`secret_token`: is file:PATH, but this file cannot be read"),
        (KEYS.replace("env:SECRET_TOKEN", VALUE), "`secret_token`: must be env:NAME or file:PATH, never the secret"),
    ],
    ids=["unknown key", "missing key", "two entries", "no variable", "no file", "a secret as text"],
)
def test_the_check_says_what_is_wrong(text: str, words: str, tmp_path: Path) -> None:
    assert f"channel 1 (acme/tg-main): {words}" in refused(tmp_path, ENTRY + text, "channels", "check", "--json")


@pytest.mark.parametrize("command", ["receive", "send", "simulate"])
def test_every_process_refuses_a_wrong_file(command: str, tmp_path: Path) -> None:
    assert "unknown key `colour`" in refused(tmp_path, ENTRY + KEYS + "colour = 1", command)


def refused(folder: Path, text: str, *command: str) -> str:
    """The only line that a command says of why it refuses a channels file."""
    file = folder / "channels.toml"
    file.write_text(text, encoding="utf-8")
    servers = {"KAFKA_BOOTSTRAP": "127.0.0.1:9", "DATABASE_URL": "postgresql://x@127.0.0.1:9/x"}
    return in_one_line(Sluice(folder, CHANNELS_FILE=str(file), **servers).run(*command))


def test_a_file_that_is_right_is_listed_without_its_secrets(tmp_path: Path) -> None:
    file = tmp_path / "channels.toml"
    file.write_text(ENTRY + KEYS + 'name = "Acme"\n', encoding="utf-8")
    sluice = Sluice(tmp_path, CHANNELS_FILE=str(file))
    listing, as_json = (sluice.run("channels", "check", *more) for more in ((), ("--json",)))

    assert (listing.code, as_json.code, listing.err, as_json.err) == (0, 0, "", "")
    [row] = json.loads(as_json.out)
    assert (row["webhook"], row["provider"], row["name"]) == ("/webhooks/acme/tg-main", "telegram", "Acme")
    assert "/webhooks/acme/tg-main" in listing.out
    assert VALUE not in listing.out + as_json.out


def test_channels_need_a_group_and_must_be_in_the_file(tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        return refused(tmp_path, ENTRY + KEYS, "send", *arguments)

    assert "--channel requires --group" in said("--channel", "acme/tg-main")
    assert "has no channel 'acme/x'" in said("--channel", "acme/x", "--group", "one")
    assert "--group must be 1 to 64" in said("--channel", "acme/tg-main", "--group", "a b")
