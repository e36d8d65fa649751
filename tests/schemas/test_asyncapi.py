"""docs/asyncapi.json is what the registry gives, and valid by AsyncAPI's own JSON Schema."""

import gzip
import json
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema_rs import Draft7Validator, Draft202012Validator

from schemas.asyncapi import asyncapi, document
from schemas.output_headers import cloud_event_headers
from schemas.topics import EVERY_TOPIC, INPUTS, TOPICS
from tests.schemas.samples import ROOT, SEND, golden
from workers.records import DeadLetter, Partition, PlainRecord
from workers.runtime.outbox_rows import dead_letter

STANDARD = Path(__file__).parent / "standards" / "asyncapi-3.0.0.json.gz"
PUBLISHED = ROOT / "docs" / "asyncapi.json"
MADE = asyncapi("1.2.3")


@cache
def standard() -> Draft7Validator:
    return Draft7Validator(json.loads(gzip.decompress(STANDARD.read_bytes())))


def test_the_published_document_is_the_one_the_registry_gives() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

    assert PUBLISHED.read_text(encoding="utf-8") == document(version), "run: python -m schemas"


def test_the_document_is_valid_by_the_standard() -> None:
    errors = [f"{list(error.instance_path)}: {error.message}" for error in standard().iter_errors(MADE)]

    assert errors == []


@pytest.mark.parametrize(
    "change",
    [
        {"asyncapi": "2.6.0"},
        {"operations": {"receive.x": {"action": "read", "channel": {"$ref": "#/channels/x"}}}},
        {"channels": {"x": {"address": 1}}},
        {"channels": {"x": {"bindings": {"kafka": {"partitions": 0, "bindingVersion": "0.5.0"}}}}},
        {"info": {"title": "Sluice"}},
    ],
)
def test_the_standard_finds_what_is_wrong(change: dict[str, Any]) -> None:
    assert list(standard().iter_errors({**MADE, **change}))


def test_every_reference_leads_somewhere() -> None:
    for ref in _refs(MADE):
        found: Any = MADE
        for part in ref.removeprefix("#/").split("/"):
            found = found[part]


def test_workers_receive_the_inputs_and_send_the_rest() -> None:
    received = {one["channel"]["$ref"] for one in MADE["operations"].values() if one["action"] == "receive"}

    assert received == {f"#/channels/{topic.name}" for topic in INPUTS}
    assert {channel["address"] for channel in MADE["channels"].values()} == set(EVERY_TOPIC)
    assert len(MADE["operations"]) == len(EVERY_TOPIC)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_golden_record_fits_one_message_of_its_channel(topic: str) -> None:
    fitting = [name for name, payload in _payloads(topic).items() if payload.is_valid(golden(topic))]

    assert "Tombstone" not in fitting
    assert set(fitting) - {"Record"}  # of dead letters: any bytes


def test_a_message_of_each_command_takes_its_command_only() -> None:
    fitting = [
        name for name, one in _payloads("contacts.commands").items() if one.is_valid(golden("contacts.commands"))
    ]

    assert fitting == ["BlockContact"]


def test_headers_of_outputs_and_dead_letters_are_those_that_are_sent() -> None:
    now = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
    common = cloud_event_headers("sends.status", UUID(SEND), "acme", now, b"00-ab-cd-01")
    record = PlainRecord(7, int(now.timestamp() * 1000), b"key", b"{", (("own", b"1"),))
    dead = dead_letter(DeadLetter(Partition("messages.inbound", 3), record, "bad", last_offset=9), now)

    assert _fit("output", common)
    assert _fit("deadLetter", [*dead.headers, *common])
    assert not _fit("output", common[1:])
    assert not _fit("deadLetter", [*dead.headers[1:], *common])
    known = MADE["components"]["messageTraits"]["deadLetter"]["headers"]["properties"].keys()
    assert {name for name, _ in (*dead.headers, *common)} - known == {"own"}


def _fit(trait: str, headers: Sequence[tuple[str, bytes | None]]) -> bool:
    told = {name: (value or b"").decode() for name, value in headers}
    return Draft7Validator(MADE["components"]["messageTraits"][trait]["headers"]).is_valid(told)


def test_a_struct_is_one_component_where_all_topics_say_the_same_of_it() -> None:
    components = MADE["components"]["schemas"]

    assert {"Actor", "in.Content", "out.Content"} <= components.keys()
    assert "Content" not in components
    assert [name for name in components if name.endswith("Identity")] == ["Identity"]


def _payloads(topic: str) -> dict[str, Draft202012Validator]:
    """The messages of a channel by name, ready to check values."""
    messages = MADE["channels"][topic]["messages"]
    bodies = {name: MADE["components"]["messages"][f"{topic}.{name}"]["payload"] for name in messages}
    return {name: Draft202012Validator({**body, "components": MADE["components"]}) for name, body in bodies.items()}


def _refs(found: Any) -> list[str]:
    match found:
        case {"$ref": str(ref)}:
            return [ref]
        case dict():
            return [ref for value in found.values() for ref in _refs(value)]
        case list():
            return [ref for value in found for ref in _refs(value)]
        case _:
            return []
