"""The contents of `set`: changes of a contact, of a profile and of a workspace's settings.

A `set` that changes nothing is an error. Unknown keys of settings are ignored like unknown fields anywhere on a topic.
Of contacts and profiles they are an error: a custom field without its prefix must not be lost.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from schemas.fields import FieldValue, Region
from schemas.regions import require_region
from schemas.zones import ZONES

CONTACT_FIELDS: Final[frozenset[str]] = frozenset(
    {"first_name", "last_name", "country", "language", "email", "phone", "assignee"}
)
CUSTOM: Final = "custom."
LONGEST_NAME: Final = 128
LONGEST_BUILT_IN: Final = 512
_CONTACT_NAMES: Final = (
    f"one of {', '.join(sorted(CONTACT_FIELDS))}, or a custom field as `custom.NAME` with a name of 1 to "
    f"{LONGEST_NAME} characters"
)

_PROFILE_NAMES: Final = f"name, or a custom field as `custom.NAME` with a name of 1 to {LONGEST_NAME} characters"


def require_contact_fields(given: Mapping[str, FieldValue]) -> None:
    """Raises ValueError unless every key is a contact's own field, with a short text or null, or `custom.*`.

    Whether a text is a phone number, and a custom field defined, is for the rules: `workers.rules.details`.
    """
    for key, value in given.items():
        if key in CONTACT_FIELDS:
            _require_short_text(key, value)
        elif not is_custom(key):
            raise ValueError(f"Expected every name in `set` to be {_CONTACT_NAMES}")


def require_changes(given: Mapping[str, FieldValue]) -> None:
    """As `require_contact_fields`, and raises ValueError if there is no change."""
    require_contact_fields(given)
    if not given:
        raise ValueError("Expected `set` to change at least one field")


def profile_changes(given: Mapping[str, object]) -> dict[str, FieldValue]:
    """`update_profile`'s `set`: `name` and `custom.*`.

    A `fields` object, as in `create_profile`, counts as `custom.*` keys. Raises ValueError for any other key, if a
    value does not fit, and if there is no change.
    """
    changes: dict[str, FieldValue] = {}
    for key, value in given.items():
        if key == "name":
            changes[key] = _require_name(value)
        elif is_custom(key):
            changes[key] = require_field_value(value)
        elif key == "fields" and isinstance(value, dict):
            changes.update({CUSTOM + plain_name(name): require_field_value(item) for name, item in value.items()})
        else:
            raise ValueError(f"Expected every name in `set` to be {_PROFILE_NAMES}")
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
    return key.startswith(CUSTOM) and len(CUSTOM) < len(key) <= len(CUSTOM) + LONGEST_NAME


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
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_BUILT_IN:
        raise ValueError(f"Expected `name` to be a text of 1 to {LONGEST_BUILT_IN} characters")
    return value


def _require_short_text(key: str, value: FieldValue) -> None:
    if value is not None and not (isinstance(value, str) and len(value) <= LONGEST_BUILT_IN):
        raise ValueError(f"Expected `{key}` to be a text of at most {LONGEST_BUILT_IN} characters, or null")


def _require_some(changes: dict[str, FieldValue]) -> dict[str, FieldValue]:
    if not changes:
        raise ValueError("Expected `set` to change at least one known field")
    return changes


_Hours = Annotated[int, Meta(ge=0, le=87_600)]
_Days = Annotated[int, Meta(ge=0, le=3_650)]


class WorkspaceSettings(Struct, frozen=True, kw_only=True, gc=False):
    """The changes of `configure_workspace`: UNSET stays as it is, null goes back to its default."""

    time_zone: str | UnsetType | None = UNSET
    anchor_day: Annotated[int, Meta(ge=1, le=31)] | UnsetType | None = UNSET
    mac_block_effect: Literal["next_cycle", "immediate"] | UnsetType | None = UNSET
    count_broadcasts: bool | UnsetType | None = UNSET
    count_reactions: bool | UnsetType | None = UNSET
    close_grace_hours: _Hours | UnsetType | None = UNSET
    mac_limit: Annotated[int, Meta(ge=0, le=2**53 - 1)] | UnsetType | None = UNSET
    default_region: Region | UnsetType | None = UNSET
    quarantine_days: _Days | UnsetType | None = UNSET
    hold_ttl_hours: Annotated[int, Meta(ge=1, le=87_600)] | UnsetType | None = UNSET
    claim_ttl_hours: Annotated[int, Meta(ge=1, le=87_600)] | UnsetType | None = UNSET
    message_retention_days: Annotated[int, Meta(ge=1, le=3_650)] | UnsetType | None = UNSET
    merge_undo_hours: _Hours | UnsetType | None = UNSET
    two_person_confirm: bool | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        if all(getattr(self, name) is UNSET for name in self.__struct_fields__):
            raise ValueError("Expected `set` to change at least one known setting")
        if isinstance(self.time_zone, str) and self.time_zone not in ZONES:
            raise ValueError("Expected `time_zone` to be a name of the IANA database, such as `Europe/Berlin`")
        require_region(self.default_region)
