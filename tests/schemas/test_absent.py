"""Null is the same as absent in every optional field of every input record; inside `set` it clears."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import inspect

from schemas.changes import WorkspaceSettings
from schemas.json_schemas import structs
from schemas.topics import INPUTS
from tests.schemas.samples import full_inputs, raw, refused
from tests.schemas.test_properties import DECODERS

TYPES = {topic.name: inspect.multi_type_info(topic.values) for topic in INPUTS}
Path = tuple[str | int, ...]


def optional(struct: inspect.StructType) -> list[inspect.Field]:
    """The fields that may be absent and mean the same as null; in a `set` the two are different."""
    return [field for field in struct.fields if not field.required and struct.cls is not WorkspaceSettings]


def found(kinds: Iterator[inspect.StructType] | list[inspect.StructType], value: Any, path: Path = ()) -> Iterator[Any]:
    """(struct, field, path) of every optional field that a value may have where it is."""
    for struct in kinds:
        if struct.tag is not None and value.get(struct.tag_field) != struct.tag:
            continue
        for field in struct.fields:
            if field in optional(struct):
                yield struct, field, (*path, field.encode_name)
            yield from within(field.type, value.get(field.encode_name), (*path, field.encode_name))


def within(kind: inspect.Type, value: Any, path: Path) -> Iterator[Any]:
    items = enumerate(value) if isinstance(value, list) else [(None, value)]
    for number, item in items:
        if isinstance(item, dict):
            direct = [s for s in structs(kind) if {f.encode_name for f in s.fields if f.required} <= item.keys()]
            yield from found(direct[:1], item, path if number is None else (*path, number))


CASES = [
    (topic, value, struct, field, path)
    for topic, value in full_inputs()
    for struct, field, path in found([k for k in TYPES[topic] if isinstance(k, inspect.StructType)], value)
]


def changed(value: Any, path: Path, *, absent: bool) -> bytes:
    whole = copy.deepcopy(value)
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = None
    if absent:
        del place[path[-1]]
    return raw(whole)


def test_every_optional_field_of_every_input_is_tried() -> None:
    tried = {(struct.cls, field.encode_name) for _, value, struct, field, path in CASES if _given(value, path)}
    there = {
        (struct.cls, field.encode_name)
        for kinds in TYPES.values()
        for kind in kinds
        for struct in structs(kind)
        for field in optional(struct)
    }

    assert tried == there


@pytest.mark.parametrize(
    ("topic", "value", "path"),
    [(topic, value, path) for topic, value, _, _, path in CASES],
    ids=[
        "-".join(map(str, (topic, value.get("command", value.get("event", "")), *path)))
        for topic, value, _, _, path in CASES
    ],
)
def test_null_is_absent(topic: str, value: dict[str, Any], path: Path) -> None:
    with_null = DECODERS[topic](changed(value, path, absent=False))
    without = DECODERS[topic](changed(value, path, absent=True))

    assert not refused(DECODERS[topic](raw(value)))
    assert refused(with_null) == refused(without)
    assert refused(without) or with_null == without


def _given(value: Any, path: Path) -> bool:
    for key in path:
        if isinstance(key, str) and value.get(key) is None:
            return False
        value = value[key]
    return True
