"""Every command is decoded; one whose head can be read is refused and not lost."""

import re
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest

from schemas.actors import Actor
from schemas.commands import Command, InvalidCommand
from schemas.contact_commands import SnoozeConversation, UpdateContact
from schemas.decoding import COMMAND_NAMES, BadRecord, decode_command
from schemas.profile_commands import CreateProfile, UpdateProfile
from schemas.settings_commands import ConfigureWorkspace, SettleSend
from tests.schemas.samples import COMMANDS, CONTACT, OTHER, SEND, TARGET, command, raw


def read(name: str, /, **changes: object) -> Command:
    value = decode_command(raw(command(name, **changes)))
    assert not isinstance(value, (BadRecord, InvalidCommand)), value
    return value


def invalid(name: str, /, **changes: object) -> InvalidCommand:
    value = decode_command(raw(command(name, **changes)))
    assert isinstance(value, InvalidCommand), value
    return value


def test_every_command_has_a_sample() -> None:
    assert set(COMMANDS) == COMMAND_NAMES


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_read(name: str) -> None:
    assert type(read(name)).__struct_config__.tag == name


@pytest.mark.parametrize("name", COMMANDS)
def test_what_was_read_survives_a_round_trip(name: str) -> None:
    once = read(name)

    assert decode_command(msgspec.json.encode(once)) == once


WRONG_FIELDS: Final[list[tuple[str, dict[str, object]]]] = [
    ("block_contact", {"contact_id": None}),
    ("block_contact", {"identity": {"channel": "sms", "address": "+1"}}),
    ("unblock_contact", {"identity": {"channel": "line", "address": "U4af"}}),
    ("release_dropped", {"to": None}),
    ("release_dropped", {"message_ids": [OTHER]}),
    ("release_dropped", {"from": None, "to": None, "message_ids": []}),
    ("release_dropped", {"from": "2026-05-03T00:00:00Z"}),
    ("update_contact", {"set": {}}),
    ("update_contact", {"set": {"shoe_size": 42}}),
    ("update_contact", {"set": {"first_name": 7}}),
    ("update_contact", {"set": {"first_name": "Ada", "shoe_size": 42}}),
    ("create_contact", {"identity": None}),
    ("create_contact", {"set": {"shoe_size": 42}}),
    ("create_contact", {"tags": [""]}),
    ("export_contacts", {"filter": 7}),
    ("update_contact", {"set": {"custom.x": {"a": 1}}}),
    ("update_contact", {"set": {"custom.": 1}}),
    ("define_field", {"type": "colour"}),
    ("add_tag", {"tag": ""}),
    ("remove_channel", {"identity": None}),
    ("merge_contacts", {"choices": {"phone": "both"}}),
    ("delete_contacts", {"all": True}),
    ("delete_contacts", {"contact_ids": None}),
    ("delete_contacts", {"contact_ids": None, "all": False}),
    ("delete_contacts", {"expected_count": -1}),
    ("snooze_conversation", {"until": "9999-12-31T00:00:00Z"}),
    ("update_profile", {"set": {"fields": {}}}),
    ("update_profile", {"set": {"name": None}}),
    ("update_profile", {"set": {"name": "Ada", "shoe": 1}}),
    ("attach_contact", {"profile_id": "p-1"}),
    ("attach_contact", {"profile_name": None}),
    ("confirm_send", {"group_id": "g"}),
    ("confirm_send", {"send_id": None}),
    ("settle_send", {"as": "lost"}),
    ("configure_workspace", {"set": {}}),
    ("configure_workspace", {"set": {"unheard_of": 1}}),
    ("configure_workspace", {"set": {"time_zone": "Mars/Olympus"}}),
    ("configure_workspace", {"set": {"anchor_day": 32}}),
    ("configure_workspace", {"set": {"anchor_day": True}}),
    ("configure_workspace", {"set": {"default_region": "gb"}}),
    ("configure_workspace", {"set": {"default_region": "UK"}}),
    ("configure_channel", {"default_region": "UK"}),
    ("configure_workspace", {"set": {"hold_ttl_hours": 0}}),
    ("configure_workspace", {"set": {"claim_ttl_hours": 0}}),
    ("configure_workspace", {"set": {"message_retention_days": 0}}),
    ("configure_workspace", {"set": {"quarantine_days": -1}}),
    ("configure_channel", {"channel": "pigeon"}),
    ("comment", {"issued_at": "not a time"}),
    ("close_cycle", {"cycle_start": "May"}),
    ("close_cycle", {"reason": ""}),
]


@pytest.mark.parametrize(("name", "changes"), WRONG_FIELDS)
def test_wrong_fields_make_an_invalid_command(name: str, changes: dict[str, object]) -> None:
    refused = invalid(name, **changes)

    assert refused.command == name
    assert refused.workspace_id == "acme"
    assert refused.actor == Actor(id="u-7", role="agent", module="inbox")
    assert refused.error


@pytest.mark.parametrize(("name", "changes"), WRONG_FIELDS)
def test_what_is_said_of_wrong_fields_names_field_shape_and_what_fits(name: str, changes: dict[str, object]) -> None:
    said = invalid(name, **changes).error
    inner = {key for value in changes.values() if isinstance(value, dict) for key in value}

    assert any(field in said for field in {*changes, *inner, "channel_id"}), said
    assert "xpected" in said, said
    assert re.search(r"[;,] got ", said), said


@pytest.mark.parametrize(
    "changes",
    [
        {"command": "explode"},
        {"command": None},
        {"command_id": "1"},
        {"workspace_id": "a b"},
        {"actor": {"id": "u", "role": "king", "module": "inbox"}},
        {"actor": None},
        {"note": "\0", "contact_id": None},
    ],
)
def test_unreadable_head_is_a_dead_letter(changes: dict[str, object]) -> None:
    assert isinstance(decode_command(raw(command("block_contact", **changes))), BadRecord)


def test_invalid_command_keeps_what_could_be_read() -> None:
    refused = invalid("block_contact", identity={"channel": "sms"}, issued_at="2026-05-04T11:40:00+02:00")

    assert refused.command_id == UUID("3b8e5d7a-1c2f-4e6d-9a0b-8c7d6e5f4a04")
    assert refused.issued_at == datetime(2026, 5, 4, 9, 40, tzinfo=UTC)
    assert refused.target == f'{{"contact_id":"{CONTACT}","identity":{{"channel":"sms"}}}}'
    assert invalid("block_contact", issued_at="1999-12-31T23:59:59Z").issued_at is None
    assert invalid("define_field", name="").target is None


def test_an_invalid_command_names_its_target_without_an_address() -> None:
    number = "+4915112345678"
    identity = {"channel": "sms", "channel_id": 7, "address": number}

    assert invalid("block_contact", contact_id=None, identity=identity).target is None
    assert invalid("block_contact", identity=identity | {"channel_id": "s"}).target == (
        f'{{"contact_id":"{CONTACT}","identity":{{"channel":"sms","channel_id":"s"}}}}'
    )
    assert invalid("block_contact", contact_id=number).target is None
    assert invalid("delete_contacts", contact_ids=[number]).target is None
    assert invalid("set_profile_status", profile_id={"address": number}).target is None


def test_unknown_command_is_told_without_its_name() -> None:
    assert decode_command(raw(command("comment", command="explode"))) == BadRecord(
        "Unknown value - at `$.command`; expected one of those in docs/schemas/contacts.commands.json"
    )


def test_contact_changes_keep_null_apart_from_absent() -> None:
    value = read("update_contact", set={"phone": None, "custom.tags": ["a", "b"], "custom.on": True})

    assert isinstance(value, UpdateContact)
    assert value.set == {"phone": None, "custom.tags": ["a", "b"], "custom.on": True}


def test_profile_fields_are_named_one_way() -> None:
    created = read("create_profile", fields={"custom.tier": "gold", "size": 3})
    updated = read("update_profile", set={"fields": {"tier": "gold"}, "custom.size": None})

    assert isinstance(created, CreateProfile)
    assert created.fields == {"tier": "gold", "size": 3}
    assert isinstance(updated, UpdateProfile)
    assert updated.set == {"custom.tier": "gold", "custom.size": None}


def test_settings_keep_null_apart_from_absent() -> None:
    value = read("configure_workspace", set={"mac_limit": None, "two_person_confirm": True, "unheard_of": 1})

    assert isinstance(value, ConfigureWorkspace)
    assert msgspec.to_builtins(value.set) == {"mac_limit": None, "two_person_confirm": True}
    assert value.set.anchor_day is msgspec.UNSET


def test_words_that_python_keeps_for_itself_are_read() -> None:
    value = read("settle_send", **{"as": "sent"})

    assert isinstance(value, SettleSend)
    assert value.as_ == "sent"
    assert value.send_id == UUID(SEND)


def test_times_of_commands_are_utc() -> None:
    value = read("snooze_conversation", issued_at="2026-05-04T11:40:00+02:00")

    assert isinstance(value, SnoozeConversation)
    assert (value.issued_at.hour, value.issued_at.tzinfo) == (9, UTC)
    assert (value.until.hour, value.until.tzinfo) == (6, UTC)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_required_field_is_required(name: str) -> None:
    sample: dict[str, Any] = command(name)
    kept_by_head = {"command", "command_id", "workspace_id", "actor"}
    required = {
        field.encode_name
        for field in msgspec.structs.fields(type(read(name)))
        if field.required and field.encode_name not in kept_by_head
    }
    for field in required:
        lacking = {key: value for key, value in sample.items() if key != field}
        assert isinstance(decode_command(raw(lacking)), InvalidCommand), field


def test_contact_of_a_target_may_be_known_by_either_name() -> None:
    by_identity = {"contact_id": None, "identity": {"channel": "whatsapp", "address": "+447911123456"}}

    read("add_tag", **TARGET)
    read("add_tag", **by_identity)
