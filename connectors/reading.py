"""Reads topics without a consumer group: nothing is committed, and nobody else is disturbed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer

from workers.app.settings import Settings

_POLL_MS: Final = 200
_POLL_RECORDS: Final = 20
_LARGEST_FETCH: Final = 8 * 1024 * 1024
_LARGEST_OF_A_PARTITION: Final = 1024 * 1024
"""A larger record comes alone."""


class Reader:
    """All partitions of some topics. Every method raises as aiokafka does."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._ends: dict[Any, int] = {}
        self._since_ms = 0

    async def begin_at(self, since: datetime | None) -> None:
        """Begins with the first record at or after a Kafka timestamp, or with the first one, and ends at the present
        end.
        """
        partitions = self._consumer.assignment()
        self._ends = await self._consumer.end_offsets(partitions)
        begins = await self._consumer.beginning_offsets(partitions)
        if since is not None:
            self._since_ms = int(since.timestamp() * 1000)
            found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, self._since_ms))
            # The broker of `sluice dev` knows no offset of any time: there, records are passed over one by one.
            begins |= {p: at.offset for p, at in found.items() if at is not None}
        for partition, offset in begins.items():
            self._consumer.seek(partition, offset)

    async def begin_now(self) -> None:
        """Begins with the next record that is produced."""
        for partition, offset in (await self._consumer.end_offsets(self._consumer.assignment())).items():
            self._consumer.seek(partition, offset)

    async def ended(self) -> bool:
        """Whether everything is read up to the end that `begin_at` found."""
        return not [p for p, end in self._ends.items() if await self._consumer.position(p) < end]

    async def poll(self, most: int = _POLL_RECORDS) -> list[Any]:
        """A few records, those of a partition in their order; perhaps none. Leaves out those before the time to begin
        at, and those after the end.
        """
        polled = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=most)
        return [
            record
            for partition, records in polled.items()
            for record in records
            if record.offset < self._ends.get(partition, record.offset + 1) and record.timestamp >= self._since_ms
        ]


@asynccontextmanager
async def reader(settings: Settings, topics: Sequence[str], name: str) -> AsyncIterator[Reader]:
    """A reader of these topics (names without prefix), which must exist, connected inside the block."""
    cluster = settings.kafka()
    consumer = AIOKafkaConsumer(
        *map(cluster.topic, topics),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_bytes=_LARGEST_FETCH,
        max_partition_fetch_bytes=_LARGEST_OF_A_PARTITION,
        **cluster.clients(name),
    )
    try:
        await consumer.start()
        yield Reader(consumer)
    finally:
        await consumer.stop()
