"""The texts of the console. They are in one file for each language; English is the only one so far."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

_FILE: Final = resources.files("console").joinpath("texts.en.toml")
TEXTS: Final[Mapping[str, Any]] = tomllib.loads(_FILE.read_text(encoding="utf-8"))


def text(key: str, /, count: int | None = None, **values: object) -> str:
    """A text by its key, `section.name`, with values in place of `{name}`.

    With `count` the text has two forms, `one` and `other`; `{count}` is the number with its thousands apart.

    Raises:
        KeyError: there is no such text.
    """
    found = _found(key)
    if count is not None:
        found = found["one" if count == 1 else "other"]
        values["count"] = f"{count:,}"
    return str(found).format_map(values)


def known(key: str, /) -> bool:
    """Whether there is such a text: codes of a newer version have none."""
    try:
        _found(key)
    except KeyError:
        return False
    return True


def _found(key: str) -> Any:
    found: Any = TEXTS
    for name in key.split("."):
        found = found[name]
    return found
