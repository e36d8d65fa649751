"""The AsyncAPI 3.0 document of all topics, made from the registry.

It holds the same schemas as the files of `json_schemas`, as components. A struct that is the same in every topic is one
component, so that programs that make code from the document make one type of it.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from schemas.json_schemas import schema
from schemas.topics import EVERY_TOPIC, TopicSpec

Json = dict[str, Any]

KAFKA_BINDING: Final = "0.5.0"

_REF: Final = "#/$defs/"
_ABOUT: Final = (
    "Workers read the topics of `receive`, decide exactly once in PostgreSQL, and publish to those of `send`. "
    "Values are UTF-8 JSON objects. Unknown fields are ignored. Absent values are null in outputs. "
    "A prefix may stand before all names of topics. docs/contract.md has the rules behind the shapes."
)
_TEXT: Final[Json] = {"type": "string"}
_TRACE: Final[Json] = {"traceparent": {**_TEXT, "description": "W3C Trace Context, carried from input to output."}}
_CLOUD_EVENT: Final[Json] = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": {**_TEXT, "format": "uuid", "description": "The same fact always has the same id: skip an id you know."},
    "ce_type": {**_TEXT, "description": "`sluice.` and the name of the topic."},
    "ce_source": {**_TEXT, "description": "`/sluice/` and the workspace."},
    "ce_time": {**_TEXT, "format": "date-time"},
    "content-type": {"type": "string", "const": "application/json"},
    **_TRACE,
}
_REQUIRED: Final = [name for name in _CLOUD_EVENT if name not in _TRACE]
_SOURCE: Final[Json] = {
    name: {**_TEXT, "description": about}
    for name, about in {
        "error": "Why the record could not be understood.",
        "source_topic": "Where it came from.",
        "source_partition": "A whole number.",
        "source_offset": "A whole number.",
    }.items()
}
_LAST: Final[Json] = {
    "source_last_offset": {**_TEXT, "description": "Of a batch that could not be read: where it ends."}
}
_TRAITS: Final[Json] = {
    "input": {"headers": {"type": "object", "properties": _TRACE}},
    "output": {"headers": {"type": "object", "properties": _CLOUD_EVENT, "required": _REQUIRED}},
    # Between these stand the record's own headers.
    "deadLetter": {
        "headers": {
            "type": "object",
            "properties": {**_SOURCE, **_LAST, **_CLOUD_EVENT},
            "required": [*_SOURCE, *_REQUIRED],
        }
    },
}
_BYTES: Final = "application/octet-stream"
_BESIDE_STRUCTS: Final[dict[str, dict[str, Json]]] = {
    "contacts.changes": {
        "Tombstone": {"summary": "The contact is gone: a record without a value.", "payload": {"type": "null"}}
    },
    "dead.letters": {"Record": {"summary": "The record, byte for byte.", "contentType": _BYTES, "payload": {}}},
    "webhooks.unmapped": {"Webhook": {"summary": "The body, byte for byte.", "contentType": _BYTES, "payload": {}}},
}
"""What a topic also carries, which no struct describes."""


def document(version: str) -> str:
    """The AsyncAPI document as JSON text. `version` is the release's."""
    return msgspec.json.format(msgspec.json.encode(asyncapi(version)), indent=2).decode() + "\n"


def asyncapi(version: str) -> Json:
    """The AsyncAPI document."""
    found = {name: schema(topic) for name, topic in EVERY_TOPIC.items() if topic.values}
    names = _component_names({topic: one["$defs"] for topic, one in found.items()})
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Sluice", "version": version, "description": _ABOUT},
        "defaultContentType": "application/json",
        "channels": {name: _channel(topic) for name, topic in EVERY_TOPIC.items()},
        "operations": {_operation(topic): _does(topic) for topic in EVERY_TOPIC.values()},
        "components": {
            "messages": {
                f"{name}.{message}": body
                for name, topic in EVERY_TOPIC.items()
                for message, body in _messages(topic, names.get(name, {}), found.get(name, {}).get("$defs", {}))
            },
            "messageTraits": _TRAITS,
            "schemas": {
                names[topic][own]: _renamed(one, names[topic])
                for topic, document in found.items()
                for own, one in document["$defs"].items()
            },
        },
    }


def _channel(topic: TopicSpec) -> Json:
    retention = {} if topic.retention_ms is None else {"retention.ms": topic.retention_ms}
    return {
        "address": topic.name,
        "description": topic.about,
        "messages": {
            name: {"$ref": f"#/components/messages/{topic.name}.{name}"} for name in _names_of_messages(topic)
        },
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [topic.cleanup_policy],
                    **retention,
                    "max.message.bytes": topic.max_message_bytes,
                },
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _operation(topic: TopicSpec) -> str:
    return f"{_action(topic)}.{topic.name}"


def _action(topic: TopicSpec) -> str:
    return "receive" if topic.direction == "in" else "send"


def _does(topic: TopicSpec) -> Json:
    return {"action": _action(topic), "channel": {"$ref": f"#/channels/{topic.name}"}, "summary": topic.about}


def _names_of_messages(topic: TopicSpec) -> list[str]:
    return [*(value.__name__ for value in topic.values), *_BESIDE_STRUCTS.get(topic.name, {})]


def _messages(topic: TopicSpec, names: dict[str, str], defs: Json) -> Iterator[tuple[str, Json]]:
    """Each kind of record of a topic. `names` leads from a struct to its component."""
    of_all: Json = {
        "traits": [{"$ref": f"#/components/messageTraits/{trait}"} for trait in _traits(topic)],
        "bindings": {"kafka": {"key": {**_TEXT, "description": topic.key}, "bindingVersion": KAFKA_BINDING}},
    }
    for value in topic.values:
        own = value.__name__
        about = defs[own].get("description")
        said = {} if about is None else {"summary": about}
        yield own, {"name": own, **said, "payload": {"$ref": f"#/components/schemas/{names[own]}"}, **of_all}
    for own, body in _BESIDE_STRUCTS.get(topic.name, {}).items():
        yield own, {"name": own, **body, **of_all}


def _traits(topic: TopicSpec) -> list[str]:
    if topic.name == "dead.letters":
        return ["deadLetter"]
    return {"in": ["input"], "out": ["output"], "connectors": []}[topic.direction]


def _component_names(defs: dict[str, dict[str, Json]]) -> dict[str, dict[str, str]]:
    """Topic to struct to the name of its component: the struct's, after it the direction's, after it the topic's."""
    everywhere = _shared(list(defs.values()))
    ways = {EVERY_TOPIC[topic].direction for topic in defs}
    one_way = {way: _shared([d for topic, d in defs.items() if EVERY_TOPIC[topic].direction == way]) for way in ways}

    def name_of(topic: str, own: str) -> str:
        way = EVERY_TOPIC[topic].direction
        return own if own in everywhere else f"{way}.{own}" if own in one_way[way] else f"{topic}.{own}"

    return {topic: {own: name_of(topic, own) for own in found} for topic, found in defs.items()}


def _shared(defs: list[dict[str, Json]]) -> set[str]:
    """The structs of which every topic that has them says the same, and of everything that they refer to."""
    own: dict[str, list[Json]] = {}
    for found in defs:
        for name, one in found.items():
            own.setdefault(name, []).append(one)
    shared = {name for name, each in own.items() if all(one == each[0] for one in each)}
    while apart := {name for name in shared if not _refers_to(own[name][0]) <= shared}:
        shared -= apart
    return shared


def _refers_to(found: Any) -> set[str]:
    return set(re.findall(rf'"{re.escape(_REF)}([^"]+)"', msgspec.json.encode(found).decode()))


def _renamed(found: Any, names: dict[str, str]) -> Any:
    """The same with references to components."""
    match found:
        case {"$ref": str(ref)}:
            return {"$ref": f"#/components/schemas/{names[ref.removeprefix(_REF)]}"}
        case dict():
            return {key: _renamed(value, names) for key, value in found.items()}
        case list():
            return [_renamed(value, names) for value in found]
        case _:
            return found
