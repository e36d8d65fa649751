"""Times in addresses and forms."""

from datetime import UTC, datetime

from schemas.limits import MAX_YEAR


def moment(text: str) -> datetime:
    """A time with its zone, in UTC.

    Raises:
        ValueError: it is none, or none that PostgreSQL and Python both hold in every zone.
    """
    return within_reach(datetime.fromisoformat(text))


def within_reach(at: datetime) -> datetime:
    """A time in UTC. Raises as `moment`."""
    if at.tzinfo is None or not 1 < at.year < MAX_YEAR:
        raise ValueError("expected a time with its zone")
    return at.astimezone(UTC)
