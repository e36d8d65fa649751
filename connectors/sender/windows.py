"""Which offsets of a partition may be committed while its records are worked on side by side. Pure."""

from collections import deque


class Window:
    """The records of one partition that were polled and are not committed. Offsets may have gaps."""

    def __init__(self) -> None:
        self._polled: deque[int] = deque()
        self._open: dict[int, int] = {}
        self._next: int | None = None
        self._committed: int | None = None
        self.bytes = 0
        """Of the records that are not done."""
        self.lost = False
        """Another member of the group has the partition now."""

    @property
    def open(self) -> int:
        """How many records are not done."""
        return len(self._open)

    @property
    def span(self) -> int:
        """How many records a next owner would read again: those that are not done, and what was polled after them."""
        return len(self._polled)

    def add(self, offset: int, size: int) -> None:
        """Adds a polled record of that many bytes; offsets grow."""
        self._polled.append(offset)
        self._open[offset] = size
        self.bytes += size

    def done(self, offset: int) -> None:
        """Notes that nothing is left to do for a record."""
        self.bytes -= self._open.pop(offset)
        while self._polled and self._polled[0] not in self._open:
            self._next = self._polled.popleft() + 1

    def to_commit(self) -> int | None:
        """The offset to commit; None if there is no new one."""
        return None if self._next == self._committed else self._next

    def committed(self, offset: int) -> None:
        """Notes that Kafka has this offset."""
        self._committed = offset
