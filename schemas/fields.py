"""The types of fields that several records share, and the conversion of times to UTC.

An unknown value of a `Literal` makes a poison record: add one only together with the rules that know it.
"""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from schemas import limits

Channel = Literal[
    "whatsapp", "sms", "email", "messenger", "instagram", "telegram", "line", "viber", "webchat", "custom"
]
CHANNELS: Final[frozenset[str]] = frozenset(get_args(Channel))
CHANNEL_SCOPED: Final[frozenset[str]] = frozenset({"messenger", "instagram", "line", "viber", "webchat", "custom"})
"""Kinds whose addresses have a meaning only within one account: their identities need a `channel_id`."""

Role = Literal["owner", "manager", "agent", "system"]
Direction = Literal["in", "out"]

NO_MORE: Final = r"(?!\n)"
"""In Python `$` also matches before a final newline."""
_WORKSPACE_ID: Final = rf"^[A-Za-z0-9_.-]{{1,64}}${NO_MORE}"
_REGION: Final = rf"^[A-Z]{{2}}${NO_MORE}"
IN_WORDS: Final = {
    _WORKSPACE_ID: "1 to 64 letters, digits, `_`, `.` or `-`",
    _REGION: "a region of two capital letters, such as GB",
}
"""The words for every pattern here in errors."""

WorkspaceId = Annotated[str, Meta(pattern=_WORKSPACE_ID)]
ChannelId = Annotated[str, Meta(min_length=1, max_length=limits.ID)]
ProviderMessageId = Annotated[str, Meta(min_length=1, max_length=limits.PROVIDER_MESSAGE_ID)]
Address = Annotated[str, Meta(min_length=1, max_length=limits.ADDRESS)]
Id = Annotated[str, Meta(min_length=1, max_length=limits.ID)]
Label = Annotated[str, Meta(min_length=1, max_length=limits.LABEL)]
Title = Annotated[str, Meta(min_length=1, max_length=limits.NAME)]
Name = Annotated[str, Meta(max_length=limits.NAME)]
Language = Annotated[str, Meta(max_length=limits.LANGUAGE)]
Url = Annotated[str, Meta(max_length=limits.URL)]
Text = Annotated[str, Meta(max_length=limits.TEXT)]
Written = Annotated[str, Meta(min_length=1, max_length=limits.TEXT)]
NoteText = Annotated[str, Meta(min_length=1, max_length=limits.NOTE)]
Count = Annotated[int, Meta(ge=0, le=limits.MAX_COUNT)]
Region = Annotated[str, Meta(pattern=_REGION)]
Moment = Annotated[datetime, Meta(tz=True)]
_A_TIME: Final = f"a time within the years {limits.FIRST_YEAR} to {limits.MAX_YEAR}"

FieldValue = Text | int | float | bool | list[Text] | None
"""The values of a custom field; null clears it."""


def utc_text(moment: datetime) -> str:
    """RFC 3339 of a time in UTC, as outputs have it."""
    return moment.isoformat().replace("+00:00", "Z")


def in_utc(moment: datetime) -> datetime:
    """The same instant in UTC. Raises ValueError outside 2000..9998."""
    if moment.tzinfo is not UTC:
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"Expected {_A_TIME}") from None
    if not limits.FIRST_YEAR <= moment.year <= limits.MAX_YEAR:
        raise ValueError(f"Expected {_A_TIME}")
    return moment


def settle_moments(record: msgspec.Struct, *names: str) -> None:
    """Converts the named times of a record that is being made to UTC. Raises ValueError outside 2000..9998."""
    for name in names:
        moment = getattr(record, name)
        if moment is None:
            continue
        try:
            settled = in_utc(moment)
        except ValueError:
            raise ValueError(f"Expected `{name}` to be {_A_TIME}") from None
        if settled is not moment:
            msgspec.structs.force_setattr(record, name, settled)


def require_one(record: msgspec.Struct, *names: str) -> None:
    """Raises ValueError unless exactly one of the named fields is given."""
    if sum(getattr(record, name) is not None for name in names) != 1:
        raise ValueError(f"Expected exactly one of {', '.join(f'`{name}`' for name in names)}")
