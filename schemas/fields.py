"""The types that fields of several records share, and how a moment is brought to UTC.

Unknown values of a `Literal` make a record unreadable: add one only together with the rules that know it.
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
"""Kinds whose addresses mean something only within one account: their identities need a `channel_id`."""

Role = Literal["owner", "manager", "agent", "system"]
Direction = Literal["in", "out"]

# In Python `$` also matches before a final newline, hence the look-ahead.
WorkspaceId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$(?!\n)")]
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
Count = Annotated[int, Meta(ge=0, le=limits.MAX_COUNT)]
Region = Annotated[str, Meta(pattern=r"^[A-Z]{2}$(?!\n)")]
Moment = Annotated[datetime, Meta(tz=True)]

FieldValue = Text | int | float | bool | list[Text] | None
"""What a custom field may be set to; null clears it."""


def in_utc(moment: datetime) -> datetime:
    """The same instant in UTC. Raises ValueError outside 1970..9998."""
    if moment.tzinfo is not UTC:
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            raise ValueError("Expected a time within the years 1970 to 9998") from None
    if not limits.FIRST_YEAR <= moment.year <= limits.LAST_YEAR:
        raise ValueError("Expected a time within the years 1970 to 9998")
    return moment


def settle_moments(record: msgspec.Struct, *names: str) -> None:
    """Bring the named moments of a record that is being made to UTC. Raises ValueError outside 1970..9998."""
    for name in names:
        moment = getattr(record, name)
        if moment is None:
            continue
        settled = in_utc(moment)
        if settled is not moment:
            msgspec.structs.force_setattr(record, name, settled)


def require_one(record: msgspec.Struct, *names: str) -> None:
    """Raises ValueError unless exactly one of the named fields is given."""
    if sum(getattr(record, name) is not None for name in names) != 1:
        raise ValueError(f"Expected exactly one of {', '.join(f'`{name}`' for name in names)}")
