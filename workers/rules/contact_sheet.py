"""Contacts as lines of a sheet, one for each. `sluice import contacts` reads such a sheet."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from schemas.changes import CUSTOM
from workers.rules import cells

_FIRST_IDENTITY: Final = ("channel", "address", "channel_id")
_OWN: Final = (
    *(
        "contact_id",
        *_FIRST_IDENTITY,
        "display_name",
        "first_name",
        "last_name",
        "country",
        "language",
        "email",
        "phone",
    ),
    *("assignee", "conversation_status", "profile_id", "tags", "identities", "avatar_url"),
)


def head(fields: Sequence[str]) -> list[str]:
    """The first line: the names of the columns. `fields`: custom ones."""
    return [*_OWN, *(CUSTOM + name for name in fields)]


def row(contact: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    """The line of a contact, which has the columns of `contact_page`."""
    identities = contact["identities"]
    first = identities[0] if identities else {}
    values = {name: contact[name] for name in _OWN if name not in _FIRST_IDENTITY} | first
    values |= {"contact_id": str(contact["contact_id"]), "identities": msgspec.json.encode(identities).decode()}
    own = [values[name] if name == "identities" else cells.cell(values.get(name)) for name in _OWN]
    return own + [cells.cell(contact["custom"].get(name)) for name in fields]
