"""What people write into a contact: its own fields, custom fields, the assignee (contract 2, update_contact).

A person's value stands beside the channel's and is shown in its place; null gives the field back to the channel. Of two
writes to one value the later one wins, in any order of arrival.
"""

import re
from collections.abc import Mapping
from typing import Final

import phonenumbers
from msgspec import Struct, structs

from schemas import limits
from schemas.changes import CUSTOM, LONGEST_BUILT_IN
from schemas.fields import FieldValue
from workers.rules import custom_fields, mail
from workers.rules.custom_fields import FieldDefinition, FieldKey
from workers.rules.identities import identify
from workers.rules.last_write_wins import WriteStamp
from workers.rules.results import Done, Refused, Result

ASSIGNEE: Final = "assignee"
# ISO 3166-1, with those that have no telephone numbers of their own.
_COUNTRIES: Final = frozenset(phonenumbers.SUPPORTED_REGIONS) | {"AQ", "BV", "GS", "HM", "PN", "TF", "UM"}
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*")
_EXPECTED: Final[Mapping[str, str]] = {
    "first_name": f"a text with visible characters, of at most {LONGEST_BUILT_IN}",
    "last_name": f"a text with visible characters, of at most {LONGEST_BUILT_IN}",
    "country": "a country's code of two letters, such as GB",
    "language": f"a language tag such as en or pt-BR, of at most {limits.LANGUAGE} characters",
    "email": "one bare e-mail address",
    "phone": "a possible telephone number, with `+` and the country's code unless the workspace has a `default_region`",
    ASSIGNEE: f"an id with visible characters, of at most {limits.ID}",
}


class Details(Struct, frozen=True, gc=False):
    """What people wrote into a contact. A field that is not in `edited` shows the channel's value.

    `written` has the last write of each value, cleared ones too; custom fields are there as `custom.NAME`.
    """

    edited: Mapping[str, str]
    custom: Mapping[str, FieldValue]
    assignee: str | None
    written: Mapping[str, WriteStamp]


NOTHING: Final = Details({}, {}, None, {})


def fitted(
    workspace_id: str,
    given: Mapping[str, FieldValue],
    known: Mapping[FieldKey, FieldDefinition],
    region: str | None,
) -> Mapping[str, FieldValue] | Refused:
    """The values of a `set` as they are stored, or why the whole command is refused."""
    values: dict[str, FieldValue] = {}
    for key, value in given.items():
        if key.startswith(CUSTOM):
            fitting = custom_fields.fit(known, (workspace_id, "contact", key.removeprefix(CUSTOM)), value, f"set.{key}")
            if isinstance(fitting, Refused):
                return fitting
            values[key] = fitting
        else:
            kept = None if value is None else _own(key, value, region)
            if kept is None and value is not None:
                return custom_fields.refused(f"set.{key}", _EXPECTED[key], value)
            values[key] = kept
    return values


def write(details: Details, values: Mapping[str, FieldValue], stamp: WriteStamp) -> tuple[Result, Details]:
    """Writes fitted values. `changed` names the fields, never their values: the result outlives the contact."""
    newer = {key: value for key, value in values.items() if stamp.beats(details.written.get(key))}
    if not newer:
        return Done(), details
    edited, custom = dict(details.edited), dict(details.custom)
    assignee = details.assignee
    for key, value in newer.items():
        if key == ASSIGNEE:
            assignee = value if isinstance(value, str) else None
        elif key.startswith(CUSTOM):
            _put(custom, key.removeprefix(CUSTOM), value)
        else:
            _put(edited, key, value)
    if custom != details.custom and custom_fields.too_large(custom):
        detail = f"`set`: the custom fields of a contact have at most {limits.CUSTOM_BYTES:,} bytes together, as JSON"
        return Refused("invalid", detail), details
    after = structs.replace(
        details,
        edited=edited,
        custom=custom,
        assignee=assignee,
        written={**details.written, **dict.fromkeys(newer, stamp)},
    )
    changed = [key for key in newer if _value(details, key) != _value(after, key)]
    return Done({"fields": changed} if changed else {}), after


def same_values(before: Details, after: Details) -> bool:
    """Whether both show the same: at most the times of the writes differ."""
    return (before.edited, before.custom, before.assignee) == (after.edited, after.custom, after.assignee)


def _own(key: str, value: FieldValue, region: str | None) -> str | None:
    """A contact's own field as it is stored; None if it does not fit."""
    if not isinstance(value, str):
        return None
    if key == "phone":
        return identify("sms", "", value, region).phone
    if key == "email":
        address = mail.parse_address(value)
        return None if address is None else address.lookup
    if key == "country":
        return value.upper() if value.upper() in _COUNTRIES else None
    return value if _is_fitting_text(key, value) else None


def _is_fitting_text(key: str, text: str) -> bool:
    if key == "language":
        return len(text) <= limits.LANGUAGE and _LANGUAGE.fullmatch(text) is not None
    return text.strip() != "" and len(text) <= (limits.ID if key == ASSIGNEE else LONGEST_BUILT_IN)


def _put(values: dict[str, FieldValue] | dict[str, str], key: str, value: FieldValue) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value  # type: ignore[assignment]  # own fields are texts once they fit


def _value(details: Details, key: str) -> FieldValue:
    if key == ASSIGNEE:
        return details.assignee
    if key.startswith(CUSTOM):
        return details.custom.get(key.removeprefix(CUSTOM))
    return details.edited.get(key)
