"""Named queries. SQL lives in `queries/*.sql` of a package; each statement follows a line `-- name: the_name`."""

import re
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

_NAME: Final = re.compile(r"^-- name: ([a-z0-9_]+)$", re.MULTILINE)


@cache
def statements(package: str, family: str) -> MappingProxyType[str, str]:
    """Statements of `queries/<family>.sql` of the package, by name.

    Raises:
        ValueError: two statements of the file share a name, or text stands before the first name.
    """
    text = resources.files(package).joinpath("queries", f"{family}.sql").read_text(encoding="utf-8")
    head, *rest = _NAME.split(text)
    names, bodies = rest[::2], rest[1::2]
    if re.sub(r"^--.*$", "", head, flags=re.MULTILINE).strip() or len(set(names)) != len(names):
        raise ValueError(f"queries/{family}.sql: every statement needs its own '-- name: …' line")
    return MappingProxyType(dict(zip(names, (body.strip() for body in bodies), strict=True)))
