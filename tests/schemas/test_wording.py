"""Errors say in words which values fit."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import inspect

from schemas.decoding import BadRecord, decode_command, decode_inbound
from schemas.fields import IN_WORDS
from schemas.topics import INPUTS
from tests.schemas.samples import command, golden, raw, refused


def patterns(kind: Any) -> Iterator[str]:
    match kind:
        case inspect.StrType(pattern=str(pattern)):
            yield pattern
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from patterns(field.type)
        case inspect.Metadata(type=inner) | inspect.ListType(item_type=inner) | inspect.VarTupleType(item_type=inner):
            yield from patterns(inner)
        case inspect.UnionType(types=members):
            for member in members:
                yield from patterns(member)


def test_every_pattern_has_words() -> None:
    used = {p for topic in INPUTS for kind in inspect.multi_type_info(topic.values) for p in patterns(kind)}

    assert used == set(IN_WORDS)


def error_of(**changes: object) -> str:
    bad = decode_inbound(raw({**golden("messages.inbound"), **changes}))
    assert isinstance(bad, BadRecord)
    return bad.error


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"workspace_id": "a b"}, "Expected 1 to 64 letters, digits, `_`, `.` or `-` - at `$.workspace_id`"),
        ({"received_at": "now"}, "Expected a time of RFC 3339 such as 2026-03-01T12:00:00Z - at `$.received_at`"),
        (
            {"received_at": "2026-03-01T12:00:00"},
            "Expected a time with an offset such as 2026-03-01T12:00:00Z - at `$.received_at`",
        ),
        (
            {"received_at": 1_777_887_000},
            "Expected a time of RFC 3339 such as 2026-03-01T12:00:00Z, got `int` - at `$.received_at`",
        ),
    ],
)
def test_an_error_says_what_fits(changes: dict[str, object], error: str) -> None:
    assert error_of(**changes) == error


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"contact_id": "7"}, "Expected a UUID - at `$.contact_id`; got a text of 1 character"),
        ({"tag": ""}, "Expected `str` of length >= 1 - at `$.tag`; got a text of 0 characters"),
    ],
)
def test_a_refused_command_says_what_came_as_well(changes: dict[str, object], error: str) -> None:
    assert getattr(decode_command(raw(command("add_tag", **changes))), "error", None) == error


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (
            {"command": "add-tag"},
            "Unknown value - at `$.command`; expected one of those in docs/schemas/contacts.commands.json",
        ),
        (
            {"actor": {"id": "u-1", "role": "manager", "module": "api", "restrictions": ["settings", "delete"]}},
            "Unknown value - at `$.actor.restrictions[1]`; expected one of contact_deletion, data_export, settings",
        ),
        ({"command_id": 7}, "Expected a UUID, got `int` - at `$.command_id`"),
        ({"issued_at": {"at": 0}, "command_id": None}, "Expected a UUID, got `null` - at `$.command_id`"),
    ],
)
def test_a_command_that_nobody_can_answer_says_what_fits(changes: dict[str, object], error: str) -> None:
    assert decode_command(raw(command("add_tag", **changes))) == BadRecord(error)


def test_an_optional_time_that_is_none_says_what_fits() -> None:
    refused_command = decode_command(raw(command("release_dropped", **{"from": 5, "to": "2026-03-01T12:00:00Z"})))

    assert refused(refused_command)
    assert "Expected a time of RFC 3339 such as 2026-03-01T12:00:00Z or null, got `int`" in str(refused_command)


def test_a_region_is_named_in_words() -> None:
    refused_command = decode_command(raw(command("configure_workspace", set={"default_region": "Germany"})))

    assert refused(refused_command)
    assert "a region of two capital letters, such as GB - at `$.set.default_region`" in str(refused_command)
