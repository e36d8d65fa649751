"""What a `set` may hold: changes of a contact, of a profile and of a workspace's settings.

Unknown keys are ignored like unknown fields anywhere on a topic; a `set` that changes nothing is an error.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Final, Literal
from zoneinfo import available_timezones

from msgspec import UNSET, Meta, Struct, UnsetType

from schemas.fields import FieldValue, Region

CONTACT_FIELDS: Final[frozenset[str]] = frozenset(
    {"first_name", "last_name", "country", "language", "email", "phone", "assignee"}
)
CUSTOM: Final = "custom."
_LONGEST_KEY: Final = 128 + len(CUSTOM)
_LONGEST_BUILT_IN: Final = 512


def contact_changes(given: dict[str, FieldValue]) -> dict[str, FieldValue]:
    """The known part of `update_contact`'s `set`. Raises ValueError if a value cannot fit or nothing is left."""
    changes = {key: value for key, value in given.items() if key in CONTACT_FIELDS or is_custom(key)}
    for key, value in changes.items():
        if not is_custom(key):
            _require_short_text(key, value)
    return _require_some(changes)


def profile_changes(given: Mapping[str, object]) -> dict[str, FieldValue]:
    """The known part of `update_profile`'s `set`: `name` and `custom.*`.

    A `fields` object, as `create_profile` has it, reads as `custom.*` keys. Raises ValueError if a value cannot fit or
    nothing is left.
    """
    changes: dict[str, FieldValue] = {}
    for key, value in given.items():
        if key == "name":
            changes[key] = _require_name(value)
        elif is_custom(key):
            changes[key] = require_field_value(value)
        elif key == "fields" and isinstance(value, dict):
            changes.update({CUSTOM + plain_name(name): require_field_value(item) for name, item in value.items()})
    return _require_some(changes)


def profile_fields(given: dict[str, FieldValue]) -> dict[str, FieldValue]:
    """`create_profile`'s `fields` by plain name, with or without prefix. Raises ValueError for an impossible name."""
    return {plain_name(name): value for name, value in given.items()}


def plain_name(key: str) -> str:
    """The name of a custom field without its prefix. Raises ValueError for an impossible name."""
    name = key.removeprefix(CUSTOM)
    if not is_custom(CUSTOM + name):
        raise ValueError("Expected field names of 1 to 128 characters")
    return name


def is_custom(key: str) -> bool:
    return key.startswith(CUSTOM) and len(CUSTOM) < len(key) <= _LONGEST_KEY


def require_field_value(value: object) -> FieldValue:
    """Raises ValueError unless the value is text, a number, true, false, null or a list of texts."""
    match value:
        case None | str() | int() | float() | bool():
            return value
        case list() if all(isinstance(item, str) for item in value):
            return value
        case _:
            raise ValueError("Expected a text, number, boolean, list of texts or null in `set`")


def _require_name(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_BUILT_IN:
        raise ValueError(f"Expected `name` to be a text of 1 to {_LONGEST_BUILT_IN} characters")
    return value


def _require_short_text(key: str, value: FieldValue) -> None:
    if value is not None and not (isinstance(value, str) and len(value) <= _LONGEST_BUILT_IN):
        raise ValueError(f"Expected `{key}` to be a text of at most {_LONGEST_BUILT_IN} characters, or null")


def _require_some(changes: dict[str, FieldValue]) -> dict[str, FieldValue]:
    if not changes:
        raise ValueError("Expected `set` to change at least one known field")
    return changes


_Hours = Annotated[int, Meta(ge=0, le=87_600)]
_Days = Annotated[int, Meta(ge=0, le=3_650)]


class WorkspaceSettings(Struct, frozen=True, kw_only=True, gc=False):
    """What `configure_workspace` changes: UNSET is left as it is, null clears where it is allowed."""

    time_zone: str | UnsetType = UNSET
    anchor_day: Annotated[int, Meta(ge=1, le=31)] | UnsetType = UNSET
    mac_block_effect: Literal["next_cycle", "immediate"] | UnsetType = UNSET
    count_broadcasts: bool | UnsetType = UNSET
    count_reactions: bool | UnsetType = UNSET
    close_grace_hours: _Hours | UnsetType = UNSET
    mac_limit: Annotated[int, Meta(ge=0, le=2**53 - 1)] | UnsetType | None = UNSET
    default_region: Region | UnsetType | None = UNSET
    quarantine_days: _Days | UnsetType = UNSET
    hold_ttl_hours: Annotated[int, Meta(ge=1, le=87_600)] | UnsetType = UNSET
    merge_undo_hours: _Hours | UnsetType = UNSET
    two_person_confirm: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        if all(getattr(self, name) is UNSET for name in self.__struct_fields__):
            raise ValueError("Expected `set` to change at least one known setting")
        if self.time_zone is not UNSET and self.time_zone not in _time_zones():
            raise ValueError("Expected `time_zone` to be a zone of the IANA database")


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())
