"""A value fits the published schema of an input exactly if it is decoded, as far as JSON Schema can express."""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.topics import INPUTS, TOPICS
from tests.acceptance.schema import published, validator
from tests.schemas.samples import CONTACT, full_inputs, raw, refused
from tests.schemas.test_properties import DECODERS, paths

FORGIVEN = (["sent_at"], ["sender", "name"], ["sender", "language"], ["sender", "avatar_url"])
"""Fields of which some values are read although they do not fit: they count as missing."""

UNSAID = {"`from` before `to`", "`extra` of at most", "a name of the IANA database", "that the numbering data knows"}
"""Why decoding refuses what fits: rules that JSON Schema cannot say, and lists that it leaves out."""

WORDS = {"whatsapp", "line", "text", "survivor", "echo", "failed", "wait", "manager", "settings", "immediate", "retry"}
VALUES: list[Any] = [
    None, True, False, 0, 1, 7, -1, 31, 32, 7.0, 7.5, 87_600, 87_601, 2**31 - 1, 2**31, 2**53 - 1, 2**53, -(2**53),
    *("x" * length for length in (0, 1, 64, 65, 128, 129, 320, 321, 512, 513, 9_000)),
    *sorted(WORDS), "a b", "acme\n", "GB", "GB\n", "gb", "Europe/Berlin", "é" * 128, "💙" * 128, CONTACT,
    CONTACT.upper(),
    CONTACT[:-1], "2026-05-04T09:30:00Z", "2026-05-04t09:30:00.1234567+05:45", "2016-12-31T23:59:60Z",
    "1999-12-31T23:59:59Z", "9999-01-01T00:00:00Z", "2000-01-01T00:00:00Z", "9998-12-31T23:59:59Z",
    "2026-02-30T09:30:00Z", "2026-13-01T09:30:00Z", "2026-05-04T24:00:00Z", "2026-05-04T09:30:00", "2026-05-04",
    [], [""], ["x"], ["x" * 129], [CONTACT], [None], [{}], [{"kind": "image", "url": ""}],
    {}, {"name": "Ada"}, {"name": ""}, {"first_name": None}, {"first_name": "x" * 513}, {"size": 7},
    {"anchor_day": None},
    {"custom.size": 7}, {"custom.size": {}}, {"custom.size": ["a", None]}, {"custom.": 7}, {"custom." + "x" * 129: 7},
    {"custom." + "💙" * 128: 7}, {"custom.a\nb": 7}, {"first_name\n": "x"}, {"fields": {}}, {"fields": {"size": 7}},
    {"fields": {"custom.size": 7}}, {"fields": {"": 7}}, {"fields": {"custom.": 7}}, {"fields": {"x" * 129: 7}},
    {"fields": 7, "name": "Ada"}, {"fields": 7}, {"text": "x"}, {"type": "text", "subject": ""},
    {"type": "text", "html": "x"},
    {"type": "text", "attachments": []}, {"type": "text", "template": {"name": "x", "language": "en"}},
    {"channel": "sms", "address": "x"}, {"channel": "line", "address": "x"},
    {"channel": "line", "address": "x", "channel_id": None}, {"channel": "line", "address": "x", "channel_id": "x"},
    {"contact_id": CONTACT}, {"address": "x"}, {"contact_id": CONTACT, "address": "x"}, {"contact_id": None},
]  # fmt: skip
ABSENT = ...  # copied, it stays itself
HEAD = {"command_id", "workspace_id", "actor", "issued_at"}


@cache
def names(topic: str) -> list[str]:
    """Every name of a field that the topic's schema knows."""
    found: set[str] = set()

    def look(schema: Any) -> None:
        if isinstance(schema, dict):
            found.update(schema.get("properties", {}) if isinstance(schema.get("properties"), dict) else ())
        for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
            look(inner)

    look(published(topic))
    return sorted(found)


def change(value: Any, path: tuple[Any, ...], new: Any) -> None:
    place = _at(value, path[:-1])
    if new is not ABSENT:
        place[path[-1]] = new
    elif isinstance(place, list) or path[-1] in place:
        del place[path[-1]]


def fits(topic: str, value: Any) -> bool:
    return all(forgiven(error) for error in validator(topic).iter_errors(value))


def forgiven(error: jsonschema_rs.ValidationError) -> bool:
    path, value = list(error.instance_path), error.instance
    return path == ["sent_at"] or (path in FORGIVEN and isinstance(value, str))


def agree(topic: str, value: Any) -> None:
    decoded = DECODERS[topic](raw(value))
    if not (refused(decoded) and any(reason in str(decoded) for reason in UNSAID)):
        assert fits(topic, value) == (not refused(decoded)), value


RECORDS = full_inputs()


@pytest.mark.parametrize(("topic", "value"), RECORDS)
def test_records_that_are_read_fit(topic: str, value: dict[str, Any]) -> None:
    agree(topic, value)
    assert fits(topic, value)


def places(topic: str, value: Any) -> Iterator[tuple[Any, ...]]:
    """Every place of a record, and every one where a known field may be added."""
    objects = [(), *(path for path in _all_paths(value) if isinstance(_at(value, path), dict))]
    yield from _all_paths(value)
    yield from ((*path, name) for path in objects for name in names(topic) if name not in _at(value, path))


def _all_paths(value: Any) -> list[tuple[Any, ...]]:
    return [path for path in paths(value) if path]


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def once(records: list[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any], list[tuple[Any, ...]]]]:
    """The records with those of their places that none before has: commands share a head."""
    seen: set[Any] = set()
    for topic, value in records:
        kind = value.get("command", value.get("event"))
        new = [path for path in _all_paths(value) if (topic, path[0] not in HEAD and kind, path) not in seen]
        seen.update((topic, path[0] not in HEAD and kind, path) for path in new)
        yield topic, value, new


@pytest.mark.parametrize(("topic", "value", "new_places"), list(once(RECORDS)))
def test_schema_and_decoder_agree_on_every_value_at_every_place(
    topic: str, value: dict[str, Any], new_places: list[tuple[Any, ...]]
) -> None:
    for path in new_places:
        changed = copy.deepcopy(value)
        for new in (*VALUES, ABSENT):
            change(changed, path, new)
            agree(topic, changed)


@settings(max_examples=500)
@given(st.sampled_from(RECORDS), st.data())
def test_schema_and_decoder_agree_on_several_changes(record: tuple[str, dict[str, Any]], data: st.DataObject) -> None:
    topic, value = copy.deepcopy(record)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(topic, value))))
        change(value, path, copy.deepcopy(data.draw(st.sampled_from([ABSENT, *VALUES]))))

    agree(topic, value)


def test_what_is_forgiven_is_read_and_does_not_fit() -> None:
    for topic, value in RECORDS[:1]:
        record = {**value, "sent_at": "yesterday"}
        assert not refused(DECODERS[topic](raw(record)))
        assert not validator(topic).is_valid(record)


@pytest.mark.parametrize("topic", [topic.name for topic in INPUTS])
def test_only_patterns_that_every_dialect_reads_are_published(topic: str) -> None:
    def look(schema: Any) -> Iterator[str]:
        for key, inner in schema.items() if isinstance(schema, dict) else enumerate(schema):
            if isinstance(inner, (dict, list)):
                yield from look(inner)
            elif key == "pattern":
                yield inner

    for pattern in look(published(topic)):
        assert "(?" not in pattern, pattern


def test_every_schema_is_one() -> None:
    for topic in TOPICS:
        jsonschema_rs.meta.validate(published(topic))
