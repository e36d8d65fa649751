"""The shape of a value that does not fit, for errors; never its content."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

_AT: Final = re.compile(r" - at `\$([^`]*)`")
_STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]|(\[\.\.\.\])")
_NAMED: Final = re.compile(r"`(\w+)`")


def with_shape(error: str, raw: bytes) -> str:
    """`error`, from decoding the JSON text `raw`, with the shape of the value if it has none yet."""
    if ", got " in error or "missing required field" in error:
        return error
    came = ", ".join(_shapes(error, raw))
    return f"{error}; got {came}" if came else error


def shape(value: object) -> str:
    """The shape of a decoded value, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return f"a text of {_counted(len(value), 'character')}"
        case list():
            return f"a list of {_counted(len(value), 'item')}"
        case dict():
            return f"an object of {_counted(len(value), 'field')}"
        case _:
            raise TypeError("expected a value that JSON knows")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _shapes(error: str, raw: bytes) -> Iterator[str]:
    at = _AT.search(error)
    try:
        name, found = _follow(at[1] if at else "", msgspec.json.decode(raw))
    except (msgspec.MsgspecError, ValueError, OverflowError, LookupError):
        return  # the error does not name the value among many, or only its own decoder can read it
    # A rule in words, about fields of an object: shows those that came.
    named = dict.fromkeys(_NAMED.findall(error[: at.start()] if at else error)) if isinstance(found, dict) else {}
    if not named or name in named:
        if name:
            yield shape(found)
        return
    given = {wanted: value for wanted in named for value in _fields(found, wanted)}
    for wanted, value in given.items():
        yield f"`{wanted}`: {shape(value)}"
    if not given:
        yield "none of them" if len(named) > 1 else "nothing"


def _follow(path: str, found: Any) -> tuple[str, Any]:
    """The name of the last field of a path, and its value. Raises LookupError if there is none."""
    last = ""
    for name, position, _any in _STEP.findall(path):
        if name:
            last, found = name, found[name]
        elif position:
            found = found[int(position)]
        else:
            members = list(found.values() if isinstance(found, dict) else found)
            if len(members) != 1:
                raise LookupError(path)
            found = members[0]
    return last, found


def _fields(found: Mapping[str, Any], name: str) -> Iterator[Any]:
    """The field of an object, or of an object in it: the whole command checks the rules about `set`."""
    if name in found:
        yield found[name]
        return
    yield from [inner[name] for inner in found.values() if isinstance(inner, dict) and name in inner][:1]
