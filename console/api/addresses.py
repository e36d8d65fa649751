"""The names in addresses of calls: what stands for them, and how it is described."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from console.moments import moment
from schemas import limits

_ID: Final = {"type": "string", "minLength": 1, "maxLength": limits.ID}
_UUID: Final = {"type": "string", "format": "uuid"}
_GREATEST: Final = 2**63 - 1


class Named(NamedTuple):
    """A name in an address. `read` raises ValueError for what cannot exist. `convertor`: Starlette's."""

    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    convertor: str = "str"


def _id(text: str) -> str:
    if not text or len(text) > limits.ID or "\0" in text:
        raise ValueError("no id")
    return text


def _number(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < number <= _GREATEST:
        raise ValueError("no number of a row")
    return number


NAMES: Final[Mapping[str, Named]] = {
    "workspace": Named(_id, {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"}),
    "contact_id": Named(UUID, _UUID),
    "send_id": Named(UUID, _UUID),
    "command_id": Named(UUID, _UUID),
    # Ids that others chose may have slashes.
    "profile_id": Named(_id, _ID, "path"),
    "group_id": Named(_id, _ID, "path"),
    "cycle_start": Named(moment, {"type": "string", "format": "date-time"}),
    "letter": Named(_number, {"type": "integer", "minimum": 1, "maximum": _GREATEST}),
}
