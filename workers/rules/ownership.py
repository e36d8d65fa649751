"""Who owns an address: a contact from one moment to another (contract 2, remove_channel).

A removed address is its contact's until then, and of a contact that is blocked at that time until the block ends.
Otherwise removing it would lift the block.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from workers.rules.blocks import Interval, covering


class Tenure(Protocol):
    """An address in [began_at, ended_at), in which one contact has it; None: without begin or end."""

    @property
    def began_at(self) -> datetime | None: ...

    @property
    def ended_at(self) -> datetime | None: ...


def has_at(tenure: Tenure, at: datetime) -> bool:
    """Whether the contact has the address at that time."""
    return (tenure.began_at is None or tenure.began_at <= at) and (tenure.ended_at is None or at < tenure.ended_at)


def end_of(removed_at: datetime, intervals: Sequence[Interval]) -> datetime | None:
    """When a removed address ceases to be its contact's; None: it has not yet, because the contact is blocked since."""
    block = covering(intervals, removed_at)
    return removed_at if block is None else block.end
