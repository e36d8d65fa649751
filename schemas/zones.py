"""Time zones by their IANA names, from the tzdata package of the release, never from the machine.

Two workers on two machines must compute the same billing months, so no zone is read from the system's folder.
"""

from datetime import tzinfo
from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

_PACKAGE: Final = files("tzdata")
_NO_PLACES: Final = frozenset({"Factory", "localtime", "posixrules"})
_OTHER_READINGS: Final = ("posix/", "right/")

ZONES: Final[frozenset[str]] = frozenset(
    name
    for name in (_PACKAGE / "zones").read_text(encoding="utf-8").split()
    if name not in _NO_PLACES and not name.startswith(_OTHER_READINGS)
)


@cache
def zone(name: str) -> tzinfo:
    """The zone of this name. Raises KeyError unless it is one of ZONES, in their spelling."""
    if name not in ZONES:
        raise KeyError(name)
    with _PACKAGE.joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)
