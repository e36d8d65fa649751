"""The JSON Schemas that other teams read, made from the registry of topics."""

from typing import Any

import msgspec

from schemas.topics import TOPICS, TopicSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def documents() -> dict[str, str]:
    """File name to text, one per topic."""
    return {f"{topic.name}.json": _text(schema(topic)) for topic in TOPICS.values()}


def schema(topic: TopicSpec) -> dict[str, Any]:
    """The JSON Schema of a topic's value."""
    values, components = msgspec.json.schema_components(topic.values, ref_template="#/$defs/{name}")
    for component in components.values():
        if "description" in component:
            component["description"] = " ".join(component["description"].split())
    return {
        "$schema": DIALECT,
        "title": topic.name,
        "description": topic.about,
        **(values[0] if len(values) == 1 else {"anyOf": list(values)}),
        "$defs": components,
    }


def _text(document: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
