"""The outlet must not delete rows that it has dropped: a case that is too rare for random schedules."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from workers.process.tasks import ended
from workers.records import Event, OutboxKey, OutboxRow, Partition
from workers.runtime.ports import no_probe
from workers.runtime.publishing import Outlet

SOURCE = Partition("messages.inbound", 0)
KEY = OutboxKey(SOURCE, 7)
MESSAGE = Event("messages.accepted", b"k", b"v", UUID(int=1), "w", datetime(2026, 3, 1, tzinfo=UTC))


class _Ports:
    """An output that acknowledges when it is told to, and an input that remembers what was committed."""

    def __init__(self) -> None:
        self.publishing = asyncio.Event()
        self.acknowledged = asyncio.Event()
        self.committed: dict[Partition, int] = {}

    async def publish(self, _messages: Sequence[Event]) -> None:
        self.publishing.set()
        await self.acknowledged.wait()

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        self.committed.update(offsets)


@pytest.mark.parametrize("forgotten", [False, True])
async def test_what_is_forgotten_on_its_way_is_neither_settled_nor_committed(forgotten: bool) -> None:  # noqa: FBT001
    ports: Any = _Ports()
    outlet = Outlet(ports, ports, no_probe)
    running = asyncio.create_task(outlet.run())
    await outlet.put([OutboxRow(KEY, [MESSAGE])], {SOURCE: 7, Partition("messages.inbound", 1): 3})
    await asyncio.wait_for(ports.publishing.wait(), 10)

    if forgotten:
        outlet.forget()
    ports.acknowledged.set()
    await asyncio.wait_for(outlet.drained(), 10)

    # After a rewind the same key may stand for outputs that are not published yet.
    assert outlet.published() == ([] if forgotten else [KEY])
    assert ports.committed == ({} if forgotten else {SOURCE: 7, Partition("messages.inbound", 1): 3})
    await ended(running)


async def test_offsets_are_committed_while_nothing_more_comes() -> None:
    ports: Any = _Ports()
    ports.acknowledged.set()
    outlet = Outlet(ports, ports, no_probe)
    running = asyncio.create_task(outlet.run())
    for end in (7, 8):
        await outlet.put([OutboxRow(OutboxKey(SOURCE, end), [MESSAGE])], {SOURCE: end})
    async with asyncio.timeout(10):
        while ports.committed != {SOURCE: 8}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await ended(running)


async def test_whoever_drains_waits_for_a_commit_under_way() -> None:
    ports: Any = _Ports()
    ports.acknowledged.set()
    answered, asked = asyncio.Event(), asyncio.Event()

    async def commit(offsets: Mapping[Partition, int]) -> None:
        if ports.committed:
            asked.set()
            await answered.wait()
        ports.committed.update(offsets)

    ports.commit = commit
    outlet = Outlet(ports, ports, no_probe)
    running = asyncio.create_task(outlet.run())
    for end in (7, 8):
        await outlet.put([OutboxRow(OutboxKey(SOURCE, end), [MESSAGE])], {SOURCE: end})
    await asyncio.wait_for(asked.wait(), 10)
    draining = asyncio.create_task(outlet.drained())
    await asyncio.sleep(0)
    assert not draining.done()
    answered.set()
    await asyncio.wait_for(draining, 10)
    assert ports.committed == {SOURCE: 8}
    await ended(running)
