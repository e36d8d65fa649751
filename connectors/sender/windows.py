"""Which offsets of a partition may be committed while its records are worked on side by side. Pure."""

from collections import deque


class Window:
    """The records of one partition that were polled and are not committed. Offsets may have gaps."""

    def __init__(self) -> None:
        self._open: deque[int] = deque()
        self._done: set[int] = set()
        self._next: int | None = None
        self.lost = False
        """Another member of the group has the partition now."""

    def __len__(self) -> int:
        """Records that are not done, or stand behind such a one."""
        return len(self._open)

    def add(self, offset: int) -> None:
        """Adds a polled record; offsets grow."""
        self._open.append(offset)

    def done(self, offset: int) -> None:
        """Notes that nothing is left to do for a record."""
        self._done.add(offset)
        while self._open and self._open[0] in self._done:
            first = self._open.popleft()
            self._done.discard(first)
            self._next = first + 1

    def to_commit(self) -> int | None:
        """The offset to commit, once: None if nothing changed since the last call."""
        offset, self._next = self._next, None
        return offset
