"""Which shares of a workspace's limit a count has reached (contract 5, `mac_limit`)."""

from collections.abc import Collection
from typing import Final

THRESHOLDS: Final = (80, 100, 120)
"""Percent of the limit, smallest first."""


def thresholds_to_tell(active_contacts: int, limit: int, told: Collection[int]) -> list[int]:
    """The thresholds that the count has reached and that were not told yet, smallest first.

    A cycle without an active contact reaches none, also if the limit is 0.
    """
    return [t for t in THRESHOLDS if active_contacts > 0 and active_contacts * 100 >= limit * t and t not in told]
