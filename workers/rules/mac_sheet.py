"""The rows of an exported count."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from schemas.fields import utc_text

COLUMNS: Final = (
    *("kind", "workspace_id", "cycle_start", "contact_id", "amount"),
    *("first_message_id", "first_counted_at", "adjustment_id", "cause", "fact_id", "at"),
)
"""`kind` is `contact`, with the two columns behind `amount`, or `adjustment`, with the last four. The sum of `amount`
is what is billed.
"""


@dataclass(frozen=True, slots=True)
class CycleName:
    """Of which cycle the rows are."""

    workspace_id: str
    cycle_start: datetime


def contact_row(name: CycleName, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """The columns of a contact."""
    own = (row["contact_id"], 1, row["first_message_id"], row["first_counted_at"])
    return ("contact", name.workspace_id, name.cycle_start, *own, None, None, None, None)


def adjustment_row(name: CycleName, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """The columns of an adjustment."""
    own = (row["contact_id"], row["amount"], None, None, row["adjustment_id"], row["cause"])
    return ("adjustment", name.workspace_id, name.cycle_start, *own, row["fact_id"], row["at"])


def cells(row: tuple[Any, ...]) -> list[Any]:
    """A row as a CSV file has it."""
    return [utc_text(value) if isinstance(value, datetime) else value for value in row]
