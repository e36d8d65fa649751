"""Until when a conversation may be snoozed. Pure: the time is an argument."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

from schemas.zones import zone

_MORNING: Final = time(9)
_MONDAY: Final = 0


def zone_of(name: str | None) -> tzinfo:
    """The zone of a workspace; UTC if it has none that is known."""
    try:
        return zone(name or "UTC")
    except KeyError:
        return UTC


def choices(now: datetime, place: tzinfo) -> Mapping[str, datetime]:
    """What is offered, by its name, in UTC: mornings are those of the place."""
    here = now.astimezone(place)
    to_monday = (_MONDAY - here.weekday() - 1) % 7 + 1
    offered = {
        "hour": now + timedelta(hours=1),
        "hours": now + timedelta(hours=4),
        "tomorrow": datetime.combine(here.date() + timedelta(days=1), _MORNING, place),
        "monday": datetime.combine(here.date() + timedelta(days=to_monday), _MORNING, place),
    }
    return {name: at.astimezone(UTC) for name, at in offered.items()}


def chosen(name: str, typed: str, now: datetime, place: tzinfo) -> datetime | None:
    """The time of a choice, or the one that somebody typed in the place's time; None: it is no time."""
    if name != "typed":
        return choices(now, place).get(name)
    try:
        return datetime.fromisoformat(typed).replace(tzinfo=place).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
