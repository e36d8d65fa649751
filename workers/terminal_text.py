"""Makes text of others safe for a terminal: escapes control, invisible and direction characters (`\\x1b`).

Everything that a command prints or a worker logs passes through here.
"""

import re
from typing import Final

_UNCOMMON: Final = re.compile(r"[^ -~]")
_UNCOMMON_IN_JSON: Final = re.compile(r"[^ -~\n]")


def visible(text: str) -> str:
    """One line of printable characters. Its only white space is the common space: no tab, no end of line."""
    return _UNCOMMON.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """As `visible`, but keeps lines. Indents all but the first, so that none of them looks like a line of Sluice."""
    return "\n  ".join(map(visible, text.rstrip("\n").split("\n")))


def visible_json(text: str) -> str:
    """The same JSON document with its own escapes. Ends of lines stay: a JSON string contains none."""
    return _UNCOMMON_IN_JSON.sub(_escaped_in_json, text)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _escaped_in_json(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2))
