"""What a change of a topic's JSON Schema breaks: `python -m tools.compatibility OLD_FOLDER NEW_FOLDER`.

Of inputs, every record that fitted must still fit: producers are older than workers. Of outputs, every record must be
readable by those who read the old ones: consumers ignore unknown fields, and take an unknown word of an enumeration as
one that they do not know. So fields are only added, and enumerations only grow. What else changes is a breach, also
where it might do no harm. Keywords that only describe are left out.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.topics import TOPICS

Schema = dict[str, Any]

_DESCRIBE: Final = frozenset({"$schema", "$defs", "title", "description", "examples"})
_UPPER: Final = frozenset({"maxLength", "maximum", "maxItems", "maxProperties"})
_LOWER: Final = frozenset({"minLength", "minimum", "minItems", "minProperties"})


@dataclass(frozen=True, slots=True)
class _Pair:
    """A schema before and after, with the definitions of both documents, and where in the record it stands."""

    old: Schema
    new: Schema
    old_defs: Schema
    new_defs: Schema
    of_input: bool
    at: str

    def of(self, old: Any, new: Any, step: str = "") -> "_Pair":
        return _Pair(
            _resolved(old, self.old_defs),
            _resolved(new, self.new_defs),
            self.old_defs,
            self.new_defs,
            self.of_input,
            self.at + step,
        )


def breaches(old: Schema, new: Schema, *, of_input: bool) -> list[str]:
    """What a change of one topic's document breaks, one line each. Both have their definitions in `$defs`."""
    whole = _Pair({}, {}, old["$defs"], new["$defs"], of_input, old["title"])
    return list(_compared(whole.of(_body(old), _body(new))))


def _body(document: Schema) -> Schema:
    return {key: value for key, value in document.items() if key not in _DESCRIBE}


def _resolved(found: Any, defs: Schema) -> Schema:
    """The schema itself, without a reference. True and False are schemas as well."""
    while isinstance(found, dict) and "$ref" in found:
        found = defs[found["$ref"].removeprefix("#/$defs/")]
    if isinstance(found, bool):
        return {} if found else {"not": {}}
    return dict(found)


def _compared(pair: _Pair) -> Iterator[str]:
    if "anyOf" in pair.old or "anyOf" in pair.new:
        yield from _alternatives(pair)
        return
    old, new = (_plain(schema) for schema in (pair.old, pair.new))
    yield from _types(pair)
    yield from _words(pair)
    yield from _fields(pair)
    yield from _bounds(pair)
    for keyword in ("items", "additionalProperties", "propertyNames"):
        if keyword in old or keyword in new:
            yield from _compared(pair.of(old.pop(keyword, True), new.pop(keyword, True), f".{keyword}"))
    yield from _rules(pair.of({"allOf": old.pop("allOf", [])}, {"allOf": new.pop("allOf", [])}))
    for keyword in sorted(old.keys() | new.keys()):
        if old.get(keyword) != new.get(keyword) and not _vanished(pair, keyword):
            yield f"{pair.at}: `{keyword}` changed"


def _vanished(pair: _Pair, keyword: str) -> bool:
    """A pattern or a rule that is gone: inputs take more. A default says what an absent field means, so it stays."""
    return pair.of_input and keyword != "default" and keyword not in pair.new


def _plain(schema: Schema) -> Schema:
    """The keywords that `_compared` still has to compare one by one."""
    taken = _DESCRIBE | _UPPER | _LOWER | {"type", "enum", "const", "properties", "required"}
    return {key: value for key, value in schema.items() if key not in taken}


def _alternatives(pair: _Pair) -> Iterator[str]:
    """Unions. Inputs may take more kinds; outputs may say fewer, and never another one, null included."""
    yield from _compared(pair.of(_beside_union(pair.old), _beside_union(pair.new)))
    before, after = _by_name(pair.old, pair.old_defs), _by_name(pair.new, pair.new_defs)
    for name in before.keys() & after.keys():
        yield from _compared(pair.of(before[name], after[name], f".{name}" if "title" in before[name] else ""))
    for name in sorted(before.keys() - after.keys()) if pair.of_input else sorted(after.keys() - before.keys()):
        yield f"{pair.at}: {name} is {'no longer taken' if pair.of_input else 'new'}"


def _beside_union(schema: Schema) -> Schema:
    """What stands beside a union's alternatives. A schema that is no union is its own only alternative."""
    kept = {"default"} if "anyOf" not in schema else schema.keys() - {"anyOf"}
    return {key: value for key, value in schema.items() if key in kept}


def _by_name(schema: Schema, defs: Schema) -> dict[str, Schema]:
    """The alternatives by what tells them apart: a struct's name, the type, or the alternative as text."""
    alone = {key: value for key, value in schema.items() if key != "default"}
    named: dict[str, Schema] = {}
    for member in (_resolved(member, defs) for member in schema.get("anyOf", [alone])):
        name = _name(member)
        named[name if name not in named else json.dumps(member, sort_keys=True)] = member
    return named


def _name(member: Schema) -> str:
    if "title" in member:
        return str(member["title"])
    if isinstance(member.get("type"), str):
        return str(member["type"])
    return "string" if "enum" in member else json.dumps(member, sort_keys=True)


def _types(pair: _Pair) -> Iterator[str]:
    before, after = _kinds(pair.old), _kinds(pair.new)
    lost = before - after if pair.of_input else after - before
    if lost:
        yield f"{pair.at}: {', '.join(sorted(lost))} is {'no longer taken' if pair.of_input else 'new'}"


def _kinds(schema: Schema) -> set[str]:
    """The JSON types that a schema takes, whole numbers apart."""
    every = {"array", "boolean", "integer", "null", "number", "object", "string"}
    if "enum" in schema or "const" in schema:
        return {_kind(value) for value in schema.get("enum", [schema.get("const")])}
    told = schema.get("type")
    kinds = every if told is None else {told} if isinstance(told, str) else set(told)
    return kinds | ({"integer"} if "number" in kinds else set())


def _kind(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else names[type(value)]


def _words(pair: _Pair) -> Iterator[str]:
    """Enumerations: they grow, in both directions. Of inputs free text may take the place of one."""
    before, after = _listed(pair.old), _listed(pair.new)
    if before is None:
        if after is not None and pair.of_input:
            yield f"{pair.at}: only listed values are taken"
    elif after is None:
        if not pair.of_input:
            yield f"{pair.at}: values are no longer listed"
    else:
        yield from (f"{pair.at}: {word} is gone" for word in sorted(before - after))


def _listed(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {json.dumps(schema["const"])}
    return {json.dumps(value) for value in schema["enum"]} if "enum" in schema else None


def _fields(pair: _Pair) -> Iterator[str]:
    before, after = pair.old.get("properties", {}), pair.new.get("properties", {})
    yield from (f"{pair.at}.{name}: the field is gone" for name in sorted(before.keys() - after.keys()))
    for name in before.keys() & after.keys():
        yield from _compared(pair.of(before[name], after[name], f".{name}"))
    required, now = set(pair.old.get("required", [])), set(pair.new.get("required", []))
    if pair.of_input:
        yield from (f"{pair.at}.{name}: the field is required now" for name in sorted(now - required))
    else:
        yield from (f"{pair.at}.{name}: the field may be missing now" for name in sorted(required - now))


def _bounds(pair: _Pair) -> Iterator[str]:
    """Bounds: those of inputs widen, those of outputs narrow."""
    for keyword in sorted((_UPPER | _LOWER) & (pair.old.keys() | pair.new.keys())):
        unbounded = float("inf") if keyword in _UPPER else float("-inf")
        before, after = pair.old.get(keyword, unbounded), pair.new.get(keyword, unbounded)
        wider = after > before if keyword in _UPPER else after < before
        if before != after and wider != pair.of_input:
            yield f"{pair.at}: `{keyword}` is {_bound(after)}, was {_bound(before)}"


def _bound(value: float) -> str:
    return "none" if value in {float("inf"), float("-inf")} else str(value)


def _rules(pair: _Pair) -> Iterator[str]:
    """Rules between fields. Each new one must take what an old one took; an alternative more does."""
    for rule in pair.new["allOf"]:
        if not any(_follows(pair, before, rule) for before in pair.old["allOf"]):
            yield f"{pair.at}: a rule between fields is new or stricter"
    if not pair.of_input and len(pair.new["allOf"]) < len(pair.old["allOf"]):
        yield f"{pair.at}: a rule between fields is gone"


def _follows(pair: _Pair, before: Schema, after: Schema) -> bool:
    """Whether a record that fitted a rule fits its successor. No record had a word that the old document lacks."""
    told = {**after, "if": _without(after["if"], _words_of(pair.old_defs))} if "if" in after else after
    return before.keys() == told.keys() and not any(_compared(pair.of(before, told)))


def _without(condition: Any, known: set[str]) -> Any:
    match condition:
        case {"enum": list(words)}:
            return {**condition, "enum": [word for word in words if json.dumps(word) in known]}
        case dict():
            return {key: _without(value, known) for key, value in condition.items()}
        case _:
            return condition


def _words_of(found: Any) -> set[str]:
    """Every word of every enumeration."""
    match found:
        case {"enum": list(words)}:
            return {json.dumps(word) for word in words}
        case dict():
            return set().union(*(_words_of(value) for value in found.values()))
        case list():
            return set().union(*(_words_of(value) for value in found))
        case _:
            return set()


def main() -> int:
    """Prints each breach; exit code 1 if there is one."""
    old, new = (Path(folder) for folder in sys.argv[1:3])
    found = []
    for file in sorted(old.glob("*.json")):
        topic = TOPICS.get(file.stem)
        if topic is None or not (new / file.name).exists():
            found.append(f"{file.stem}: the topic is gone")
        else:
            documents = (json.loads(path.read_text(encoding="utf-8")) for path in (file, new / file.name))
            found += breaches(*documents, of_input=topic.direction == "in")
    for breach in found:
        sys.stdout.write(breach + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
