"""Steps 7 and 8: publishes what is owed, poll after poll in the order of their commits, and then commits offsets.

One task publishes; at most `MOST_OWED` polls are owed at any time, so memory is bounded and little is repeated after a
crash.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workers.runtime.batch import Source
from workers.runtime.ports import Input, Output, Owed, OwedKey, Probe

MOST_OWED: Final = 2
_COMMIT_EVERY_S: Final = 0.5


@dataclass(slots=True)
class _Poll:
    owed: Sequence[Owed]
    offsets: Mapping[Source, int]


class Outlet:
    """`run` is a task of its own; every other method is the loop's."""

    def __init__(self, input_: Input, output: Output, probe: Probe) -> None:
        self._input = input_
        self._output = output
        self._probe = probe
        self._polls: deque[_Poll] = deque()
        self._offsets: dict[Source, int] = {}
        self._settled: list[OwedKey] = []
        self._committed_at = 0.0
        self._changed = asyncio.Condition()
        self._committing = asyncio.Lock()

    async def room(self) -> None:
        """Waits until another poll may be owed."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._polls) < MOST_OWED)

    async def put(self, owed: Sequence[Owed], offsets: Mapping[Source, int]) -> None:
        """Hands over a committed poll: what it owes, and the offsets that hold once that is published."""
        async with self._changed:
            self._polls.append(_Poll(owed, offsets))
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Nothing is to be published, and nothing published is still to be forgotten by the ledger."""
        return not self._polls and not self._settled

    def settled(self) -> list[OwedKey]:
        """What is published and not yet forgotten by the ledger; each key is handed out once."""
        settled, self._settled = self._settled, []
        return settled

    def unsettle(self, keys: Sequence[OwedKey]) -> None:
        """The transaction that was to forget these did not commit."""
        self._settled.extend(keys)

    def drop(self, sources: frozenset[Source]) -> None:
        """Forgets what lost partitions owe: their new owner publishes it."""
        for poll in self._polls:
            poll.owed = [owed for owed in poll.owed if owed.key.source not in sources]
            poll.offsets = {s: offset for s, offset in poll.offsets.items() if s not in sources}
        for source in sources:
            self._offsets.pop(source, None)

    def forget(self) -> None:
        """Forgets everything that is still owed: it stays in the ledger for the next owner."""
        for poll in self._polls:
            poll.owed, poll.offsets = (), {}
        self._offsets = {}

    async def drained(self) -> None:
        """Waits until everything is published and every offset committed."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._polls)
        await self._commit()

    async def run(self) -> None:
        """Publishes until cancelled.

        Raises:
            Unreachable, SetupError: Kafka is gone, or refuses.
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
        """The oldest poll. Nobody waits for offsets to be committed, so that is done while there is none."""
        while True:
            try:
                async with asyncio.timeout(self._due_in() if self._offsets else None), self._changed:
                    await self._changed.wait_for(lambda: bool(self._polls))
                    return self._polls[0]
            except TimeoutError:
                await self._commit()

    async def _publish(self, poll: _Poll) -> None:
        facts = [fact for owed in poll.owed for fact in owed.facts]
        if facts:
            await self._output.publish(facts)
            await self._probe("published")
        # What was forgotten meanwhile is not ours to settle: after a rewind its key may stand for something else.
        self._settled.extend(owed.key for owed in poll.owed)
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
