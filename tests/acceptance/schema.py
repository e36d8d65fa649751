"""Checks values against the published JSON Schemas: as much of JSON Schema as these use, and no keyword unnoticed."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

_FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "schemas"
_SAY_NOTHING: Final = {"$schema", "$defs", "title", "description", "default", "examples"}
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_FORMATS: Final[dict[str, Any]] = {"uuid": UUID, "date-time": datetime.fromisoformat}


def breaches(topic: str, value: Any) -> list[str]:
    """What is wrong with a value of a topic, one line each."""
    return list(_breaches(published(topic), value, "$", published(topic)["$defs"]))


@cache
def published(topic: str) -> Any:
    """The schema in docs/schemas."""
    return json.loads((_FOLDER / f"{topic}.json").read_text(encoding="utf-8"))


def _breaches(schema: Any, value: Any, where: str, defs: Any) -> Iterator[str]:
    for keyword, wanted in schema.items():
        match keyword:
            case "$ref":
                yield from _breaches(defs[wanted.removeprefix("#/$defs/")], value, where, defs)
            case "anyOf":
                if all(any(_breaches(option, value, where, defs)) for option in wanted):
                    yield f"{where}: none of the {len(wanted)} kinds it may be"
            case "properties":
                for name in wanted.keys() & _members(value):
                    yield from _breaches(wanted[name], value[name], f"{where}.{name}", defs)
            case "additionalProperties":
                for name in _members(value) - schema.get("properties", {}).keys():
                    yield from _breaches(wanted, value[name], f"{where}.{name}", defs)
            case "items":
                for number, item in enumerate(value if isinstance(value, list) else ()):
                    yield from _breaches(wanted, item, f"{where}[{number}]", defs)
            case _ if keyword not in _SAY_NOTHING and not _holds(keyword, wanted, value):
                yield f"{where}: {value!r} against {keyword} {wanted!r}"


def _members(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()


def _holds(keyword: str, wanted: Any, value: Any) -> bool:
    if keyword not in _CHECKS:
        raise NotImplementedError(f"JSON Schema's {keyword}")
    return _CHECKS[keyword](wanted, value)


def _is_a(wanted: str | list[str], value: Any) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    return any(isinstance(value, _TYPES[name]) and isinstance(value, bool) == (name == "boolean") for name in names)


def _reads(format_: str, text: str) -> bool:
    try:
        _FORMATS[format_](text)
    except ValueError:
        return False
    return True


_CHECKS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "type": _is_a,
    "format": _reads,
    "enum": lambda wanted, value: value in wanted,
    "required": lambda wanted, value: set(wanted) <= _members(value),
    "pattern": lambda wanted, value: re.search(wanted, value) is not None,
    "minLength": lambda wanted, value: len(value) >= wanted,
    "maxLength": lambda wanted, value: len(value) <= wanted,
    "minimum": lambda wanted, value: bool(value >= wanted),
    "maximum": lambda wanted, value: bool(value <= wanted),
}
