"""Steps 7 and 8: publishes the outbox, poll after poll in the order of their commits, and then commits offsets.

One task publishes. At most `MOST_UNPUBLISHED` polls are unpublished at any time, so memory and repeats after a crash
are bounded.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workers.records import OutboxKey, OutboxRow, Partition
from workers.runtime.ports import InputTopics, OutputTopics, Probe

MOST_UNPUBLISHED: Final = 2
_COMMIT_EVERY_S: Final = 0.5


@dataclass(slots=True)
class _Poll:
    outbox: Sequence[OutboxRow]
    offsets: Mapping[Partition, int]


class Outlet:
    """Call `run` in a task of its own; the loop calls the other methods."""

    def __init__(self, input_: InputTopics, output: OutputTopics, probe: Probe) -> None:
        self._input = input_
        self._output = output
        self._probe = probe
        self._polls: deque[_Poll] = deque()
        self._offsets: dict[Partition, int] = {}
        self._published: list[OutboxKey] = []
        self._committed_at = 0.0
        self._changed = asyncio.Condition()
        self._committing = asyncio.Lock()

    async def wait_for_capacity(self) -> None:
        """Waits until another poll may be put."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._polls) < MOST_UNPUBLISHED)

    async def put(self, outbox: Sequence[OutboxRow], offsets: Mapping[Partition, int]) -> None:
        """Takes a committed poll: its outbox rows, and the offsets to commit after they are published."""
        async with self._changed:
            self._polls.append(_Poll(outbox, offsets))
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be published, and no published row waits to be deleted."""
        return not self._polls and not self._published

    def published(self) -> list[OutboxKey]:
        """Keys of rows that are published and not yet deleted. Returns each key once."""
        published, self._published = self._published, []
        return published

    def restore_published(self, keys: Sequence[OutboxKey]) -> None:
        """Takes keys back because the transaction that should delete their rows did not commit."""
        self._published.extend(keys)

    def drop(self, sources: frozenset[Partition]) -> None:
        """Drops the rows of lost partitions: their new owner publishes them."""
        for poll in self._polls:
            poll.outbox = [row for row in poll.outbox if row.key.source not in sources]
            poll.offsets = {s: offset for s, offset in poll.offsets.items() if s not in sources}
        for source in sources:
            self._offsets.pop(source, None)

    def forget(self) -> None:
        """Drops all unpublished rows from memory: they stay in the database for the next owner."""
        for poll in self._polls:
            poll.outbox, poll.offsets = (), {}
        self._offsets = {}

    async def drained(self) -> None:
        """Waits until all rows are published and all offsets committed."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._polls)
        await self._commit()

    async def run(self) -> None:
        """Publishes until it is cancelled.

        Raises:
            Unreachable, SetupError: Kafka does not answer, or refuses a right.
        """
        while True:
            poll = await self._next()
            # 7. publish in order, await the acknowledgements
            await self._publish(poll)
            # 8. commit offsets
            if self._due_in() == 0:
                await self._commit()
            async with self._changed:
                self._polls.popleft()
                self._changed.notify_all()

    async def _next(self) -> _Poll:
        """The oldest poll. Commits offsets while there is none, because nothing waits for those."""
        while True:
            try:
                async with asyncio.timeout(self._due_in() if self._offsets else None), self._changed:
                    await self._changed.wait_for(lambda: bool(self._polls))
                    return self._polls[0]
            except TimeoutError:
                await self._commit()

    async def _publish(self, poll: _Poll) -> None:
        events = [event for row in poll.outbox for event in row.events]
        if events:
            await self._output.publish(events)
            await self._probe("published")
        # Do not delete rows that were dropped meanwhile: after a rewind their key may name another row.
        self._published.extend(row.key for row in poll.outbox)
        self._offsets.update(poll.offsets)

    def _due_in(self) -> float:
        return max(0.0, self._committed_at + _COMMIT_EVERY_S - asyncio.get_running_loop().time())

    async def _commit(self) -> None:
        async with self._committing:
            offsets, self._offsets = self._offsets, {}
            if not offsets:
                return
            await self._input.commit(offsets)
            self._committed_at = asyncio.get_running_loop().time()
        await self._probe("offsets_committed")
