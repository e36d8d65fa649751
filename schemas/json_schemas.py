"""The JSON Schemas for other teams, made from the registry of topics.

Those of inputs describe what decoding accepts, as far as JSON Schema can. Those of outputs require every field that is
not UNSET by default, because absent values are null there.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import inspect

from schemas import limits
from schemas.cross_field_rules import rules_of
from schemas.fields import NO_MORE
from schemas.topics import TOPICS, TopicSpec

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

# Validators need not check `format`; they check a pattern.
_YEAR: Final = "([2-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])"
_DAY: Final = "(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_OFFSET: Final = "([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_FORMS: Final = {
    "date-time": f"^{_YEAR}-{_DAY}[Tt]{_TIME}{_OFFSET}$",
    "uuid": "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
}
assert (limits.FIRST_YEAR, limits.MAX_YEAR) == (2000, 9998)  # noqa: S101 - what the pattern of years says


def documents() -> dict[str, str]:
    """File name to text, one per topic."""
    return {f"{topic.name}.json": document(topic) for topic in TOPICS.values()}


def document(topic: TopicSpec) -> str:
    """The JSON Schema of a topic's value, as text."""
    return msgspec.json.format(msgspec.json.encode(schema(topic)), indent=2).decode() + "\n"


def schema(topic: TopicSpec) -> dict[str, Any]:
    """The JSON Schema of a topic's value."""
    values, components = msgspec.json.schema_components(topic.values, ref_template="#/$defs/{name}")
    kinds = {kind.cls.__name__: kind.cls for value in inspect.multi_type_info(topic.values) for kind in structs(value)}
    for name, component in components.items():
        if "description" in component:
            component["description"] = " ".join(component["description"].split())
        if topic.direction == "out":
            left_out = {
                field.encode_name for field in msgspec.structs.fields(kinds[name]) if field.default is msgspec.UNSET
            }
            component["required"] = [field for field in component["properties"] if field not in left_out]
        elif rules := rules_of(kinds[name]):
            component["allOf"] = rules
    return {
        "$schema": DIALECT,
        "title": topic.name,
        "description": topic.about,
        **(values[0] if len(values) == 1 else {"anyOf": list(values)}),
        "$defs": _with_forms(components, _FORMS if topic.direction == "in" else {}),
    }


def structs(kind: inspect.Type) -> Iterator[inspect.StructType]:
    """Every record that a type may hold, and its parts."""
    match kind:
        case inspect.StructType(fields=fields):
            yield kind
            for field in fields:
                yield from structs(field.type)
        case inspect.Metadata(type=inner) | inspect.ListType(item_type=inner) | inspect.VarTupleType(item_type=inner):
            yield from structs(inner)
        case inspect.UnionType(types=members):
            for member in members:
                yield from structs(member)


def _with_forms(found: Any, forms: dict[str, str]) -> Any:
    """The same with a pattern beside each format, and without what only Python's patterns need."""
    match found:
        case {"pattern": str(pattern)}:
            return {**found, "pattern": pattern.removesuffix(NO_MORE)}
        case {"format": str(name)} if name in forms:
            return {**found, "pattern": forms[name]}
        case dict():
            return {key: _with_forms(value, forms) for key, value in found.items()}
        case list():
            return [_with_forms(value, forms) for value in found]
        case _:
            return found
