"""How many records a poll brings: as many as a transaction can apply in a fraction of a second.

Records differ: one record can take as long as thousands of another kind. Later records wait for the transaction in
progress and for the polls that were read already, so each of these has to be short. If even few records take long, the
loop reads nothing ahead, and applies partitions with few records first, in a transaction of their own.
"""

from collections.abc import Sequence
from typing import Final

from workers.runtime.decoding import Part

GOAL_S: Final = 0.2
LONGEST_S: Final = 0.4
LEAST: Final = 100
FIRST_POLL: Final = 500
LITTLE: Final = 20


class PollSize:
    """`records` is the maximum of the next poll; it never exceeds `most`.

    Starts again with `FIRST_POLL` after a time of small polls, because the next records may be of any kind.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._first = self.records = min(FIRST_POLL, most)

    @property
    def slow(self) -> bool:
        """Whether even few records take long."""
        return self.records <= LEAST < self._most

    def soonest(self, parts: Sequence[Part]) -> Sequence[Part]:
        """The parts of a poll to apply before the others."""
        little = [part for part in parts if len(part.raw) <= LITTLE] if self.slow else ()
        return little or parts

    def came(self, records: int) -> None:
        """Notes that a poll brought so many records."""
        if 4 * records < self.records:
            self.records = min(self.records, self._first)

    def took(self, records: int, seconds: float) -> None:
        """Notes that a transaction applied so many records in so many seconds."""
        if seconds > LONGEST_S:
            self.records = min(self.records, max(LEAST, int(records * GOAL_S / seconds)))
        elif seconds < GOAL_S and 2 * records > self.records:
            self.records = min(2 * self.records, self._most)
