"""Which Sluice this is."""

import platform
from collections.abc import Mapping
from importlib.metadata import version

from workers.store import migrate


def document() -> Mapping[str, str | int]:
    """Version of Sluice, number of the newest migration of the schema that it needs, version of Python."""
    return {"sluice": version("sluice"), "schema": migrate.newest(), "python": platform.python_version()}


def line() -> str:
    """The same in one line for people."""
    known = document()
    return f"Sluice {known['sluice']} (schema {known['schema']}, Python {known['python']})"
