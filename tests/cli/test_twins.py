"""Every command has a twin on the command line: its options become the fields of the record, and nothing else does."""

import asyncio
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from asyncpg import Pool
from typer.main import get_command

from schemas.commands import Command
from schemas.decoding import COMMAND_NAMES
from tests.cli.commands import Sluice
from tests.support.brokers import Broker
from workers.cli import main
from workers.cli.bulk.selections import selection
from workers.cli.twins.building import short_names, twins
from workers.cli.twins.fields import NOT_GIVEN, options_of
from workers.errors import ExitCode, SettingsError

ID = "0e37df36-f698-11e6-8dd4-cb9ced3df976"
HEAD = ("--workspace", "acme", "--actor", "ann", "--role", "owner")


def fields(name: str, *arguments: str) -> dict[str, Any]:
    """The fields of the record that `sluice NAME ARGUMENTS` would produce."""
    group = get_command(main.app)
    twin = group.get_command(None, name)  # type: ignore[attr-defined]
    values = twin.make_context(name, [*HEAD, *arguments]).params
    options = options_of(twins()[short_names().get(name, name)])
    return {option.name: value for option in options if (value := option.read(values)) is not NOT_GIVEN}


def test_every_command_has_a_twin_and_the_contract_s_short_names() -> None:
    assert {name.replace("-", "_") for name in twins()} == COMMAND_NAMES
    assert sorted(short_names()) == ["attach", "block", "detach", "merge", "protect", "unblock", "unprotect"]
    assert set(short_names().values()) <= twins().keys()


@pytest.mark.parametrize("command", get_args(Command), ids=lambda command: str(command.__struct_config__.tag))
def test_every_field_of_a_command_has_options(command: Any) -> None:
    head = {"command_id", "workspace_id", "actor", "issued_at"}
    own = [field.encode_name for field in msgspec.structs.fields(command) if field.name not in head]

    assert sorted(option.name for option in options_of(command)) == sorted(own)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("block", ["--contact-id", ID, "--note", "rude"], {"contact_id": ID, "note": "rude"}),
        (
            "unblock-contact",
            ["--channel", "line", "--address", "u1", "--channel-id", "line-1"],
            {"identity": {"channel": "line", "address": "u1", "channel_id": "line-1"}},
        ),
        (
            "update-contact",
            [
                "--contact-id",
                ID,
                "--set",
                "first_name=a=b:=c",
                "--set",
                "custom.age:=42",
                "--set",
                "custom.x=",
                "--clear",
                "phone",
            ],
            {"contact_id": ID, "set": {"first_name": "a=b:=c", "custom.age": 42, "custom.x": "", "phone": None}},
        ),
        (
            "create-contact",
            ["--channel", "sms", "--address", "+4915112345678", "--tag", "a", "--tags", "b", "--set", "country=GB"],
            {
                "identity": {"channel": "sms", "address": "+4915112345678"},
                "set": {"country": "GB"},
                "tags": ["a", "b"],
            },
        ),
        (
            "release-dropped",
            ["--contact-id", ID, "--from", "2026-03-01", "--to", "2026-03-02 08:00:00Z"],
            {"contact_id": ID, "from": "2026-03-01T00:00:00Z", "to": "2026-03-02T08:00:00Z"},
        ),
        ("assign-conversation", ["--contact-id", ID, "--no-assignee"], {"contact_id": ID, "assignee": None}),
        ("assign-conversation", ["--contact-id", ID, "--assignee", "bo"], {"contact_id": ID, "assignee": "bo"}),
        (
            "merge",
            ["--survivor-id", ID, "--loser-id", ID, "--choice", "phone=loser"],
            {"survivor_id": ID, "loser_id": ID, "choices": {"phone": "loser"}},
        ),
        ("delete-contacts", ["--all", "--expected-count", "7"], {"all": True, "expected_count": 7}),
        ("create-profile", ["--name", "A", "--field", "size:=3"], {"name": "A", "fields": {"size": 3}}),
        ("define-status", ["--name", "vip", "--no-protected"], {"name": "vip", "protected": False}),
        ("set-profile-companies", ["--profile-id", "p", "--no-company-ids"], {"profile_id": "p", "company_ids": []}),
        ("settle-send", ["--send-id", ID, "--as", "retry"], {"send_id": ID, "as": "retry"}),
        (
            "configure-workspace",
            ["--set", "anchor_day=15", "--set", "two_person_confirm=true", "--set", "time_zone=Europe/Berlin"],
            {"set": {"anchor_day": 15, "two_person_confirm": True, "time_zone": "Europe/Berlin"}},
        ),
        ("configure-workspace", ["--clear", "mac_limit"], {"set": {"mac_limit": None}}),
        (
            "configure-channel",
            ["--channel-id", "wa", "--channel", "whatsapp", "--no-count"],
            {"channel_id": "wa", "channel": "whatsapp", "count": False},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_are_the_fields_of_the_record(name: str, arguments: list[str], expected: dict[str, Any]) -> None:
    assert msgspec.to_builtins(fields(name, *arguments)) == expected


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("update-contact", ["--set", "phone"], "NAME=TEXT or NAME:=JSON"),
        ("update-contact", ["--set", "phone:=x"], "expected JSON"),
        ("update-contact", ["--set", "phone=1", "--clear", "phone"], "given twice"),
        ("configure-workspace", ["--set", "colour=red"], "there is no 'colour'"),
        ("configure-workspace", ["--clear", "colour"], "there is no 'colour'"),
        ("block", ["--address", "+491"], "--channel and --address belong together"),
        ("assign-conversation", ["--contact-id", ID], "either --assignee or --no-assignee"),
        ("set-profile-companies", ["--profile-id", "p"], "either --company-id or --no-company-ids"),
        ("snooze-conversation", ["--contact-id", ID, "--until", "tomorrow"], "--until: expected a time"),
    ],
)
def test_options_that_do_not_fit_are_wrong_use(name: str, arguments: list[str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        fields(name, *arguments)


@pytest.mark.parametrize("text", ["", "tag", "tag=", "colour=red", "TAG=a"])
def test_a_selection_says_how_and_by_what(text: str) -> None:
    with pytest.raises(SettingsError, match="expected tag=…"):
        selection(text)


async def test_ids_of_a_selection_are_ids(pool: Pool) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(SettingsError, match="expected the id of a contact, got '7'"):
            [page async for page in selection(f"ids={ID},7").pages(connection, "acme")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("update-contact", *HEAD, "--colour", "red"), "No such option"),
        (("add-tag", *HEAD), "--tag"),
        (("add-tag", "--tag", "a"), "--workspace"),
        (("add-tag", *HEAD, "--tag", "a", "--timeout", "0"), "--timeout"),
        (("add-tags",), "No such command"),
    ],
)
async def test_wrong_use_is_exit_code_2(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    ended = await asyncio.to_thread(Sluice(tmp_path).run, *arguments)

    assert (ended.code, ended.out) == (ExitCode.SETUP, "")
    assert words in ended.err
    assert "Traceback" not in ended.err


async def test_the_help_lists_every_twin_and_says_who_may(tmp_path: Path) -> None:
    whole = await asyncio.to_thread(Sluice(tmp_path).run, "--help")
    assert whole.code == ExitCode.CLEAN
    assert all(name in whole.out for name in (*twins(), *short_names()))

    one = await asyncio.to_thread(Sluice(tmp_path).run, "delete-contacts", "--help")
    assert "Roles that may: manager from api or contacts, owner from api or contacts, system" in " ".join(
        one.out.split()
    )
    assert "contact_deletion forbids it to a manager" in " ".join(one.out.split())


async def test_no_answer_in_time_is_exit_code_1_and_says_how_to_go_on(
    database: str, broker: Broker, tmp_path: Path
) -> None:
    await broker.create("contacts.commands")
    sluice = Sluice(tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP=broker.bootstrap)
    ended = await asyncio.to_thread(
        sluice.run, "define-status", *HEAD, "--name", "vip", "--protected", "--command-id", ID, "--timeout", "0.2"
    )

    assert (ended.code, ended.out) == (ExitCode.FAULT, "")
    assert f"no answer to command {ID} within 0.2 s" in ended.err
    assert "the same with the same --command-id" in ended.err
    [record] = await broker.read("contacts.commands", 1)
    assert record.key == b"acme:settings"


async def test_a_server_that_is_away_is_one_sentence(database: str, tmp_path: Path) -> None:
    sluice = Sluice(tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP="127.0.0.1:1")
    ended = await asyncio.to_thread(sluice.run, "define-status", *HEAD, "--name", "vip", "--protected")

    assert (ended.code, ended.out) == (ExitCode.FAULT, "")
    assert ended.err == "sluice: Kafka does not answer at SLUICE_KAFKA_BOOTSTRAP (127.0.0.1:1)\n"


async def test_no_answer_to_many_says_how_many_had_one(database: str, broker: Broker, tmp_path: Path) -> None:
    await broker.create("contacts.commands")
    sluice = Sluice(tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP=broker.bootstrap)
    chosen = ("--tag", "a", "--selection", f"ids={ID},{ID.replace('0', '1')}", "--timeout", "0.2")
    ended = await asyncio.to_thread(sluice.run, "add-tag", *HEAD, *chosen)

    assert (ended.code, ended.out) == (ExitCode.FAULT, "")
    assert "0 commands were answered before this:" in ended.err
    assert "no answer to 2 commands within 0.2 s" in ended.err
