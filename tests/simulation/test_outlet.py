"""What the outlet forgets is not its own any more: found by thinking through a schedule, too rare to wait for."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from workers.runtime.batch import Fact, Source
from workers.runtime.outlet import Outlet
from workers.runtime.ports import Owed, OwedKey, no_probe
from workers.runtime.tasks import ended

SOURCE = Source("messages.inbound", 0)
KEY = OwedKey(SOURCE, 7)
MESSAGE = Fact("messages.accepted", b"k", b"v", UUID(int=1), "w", datetime(2026, 3, 1, tzinfo=UTC))


class _Ports:
    """An output that acknowledges when it is told to, and an input that remembers what was committed."""

    def __init__(self) -> None:
        self.publishing = asyncio.Event()
        self.acknowledged = asyncio.Event()
        self.committed: dict[Source, int] = {}

    async def publish(self, _messages: Sequence[Fact]) -> None:
        self.publishing.set()
        await self.acknowledged.wait()

    async def commit(self, offsets: Mapping[Source, int]) -> None:
        self.committed.update(offsets)


@pytest.mark.parametrize("forgotten", [False, True])
async def test_what_is_forgotten_on_its_way_is_neither_settled_nor_committed(forgotten: bool) -> None:  # noqa: FBT001
    ports: Any = _Ports()
    outlet = Outlet(ports, ports, no_probe)
    running = asyncio.create_task(outlet.run())
    await outlet.put([Owed(KEY, [MESSAGE])], {SOURCE: 7, Source("messages.inbound", 1): 3})
    await asyncio.wait_for(ports.publishing.wait(), 10)

    if forgotten:
        outlet.forget()
    ports.acknowledged.set()
    await asyncio.wait_for(outlet.drained(), 10)

    # After a rewind the same key may stand for outputs that are not published yet.
    assert outlet.settled() == ([] if forgotten else [KEY])
    assert ports.committed == ({} if forgotten else {SOURCE: 7, Source("messages.inbound", 1): 3})
    await ended(running)


async def test_offsets_are_committed_while_nothing_more_comes() -> None:
    ports: Any = _Ports()
    ports.acknowledged.set()
    outlet = Outlet(ports, ports, no_probe)
    running = asyncio.create_task(outlet.run())
    for end in (7, 8):
        await outlet.put([Owed(OwedKey(SOURCE, end), [MESSAGE])], {SOURCE: end})
    async with asyncio.timeout(10):
        while ports.committed != {SOURCE: 8}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await ended(running)


async def test_whoever_drains_waits_for_a_commit_under_way() -> None:
    ports: Any = _Ports()
    ports.acknowledged.set()
    answered, asked = asyncio.Event(), asyncio.Event()

    async def commit(offsets: Mapping[Source, int]) -> None:
        if ports.committed:
            asked.set()
            await answered.wait()
        ports.committed.update(offsets)

    ports.commit = commit
    outlet = Outlet(ports, ports, no_probe)
    running = asyncio.create_task(outlet.run())
    for end in (7, 8):
        await outlet.put([Owed(OwedKey(SOURCE, end), [MESSAGE])], {SOURCE: end})
    await asyncio.wait_for(asked.wait(), 10)
    draining = asyncio.create_task(outlet.drained())
    await asyncio.sleep(0)
    assert not draining.done()
    answered.set()
    await asyncio.wait_for(draining, 10)
    assert ports.committed == {SOURCE: 8}
    await ended(running)
