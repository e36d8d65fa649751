"""Produces recorded records, no faster than an in-memory broker can keep unread ones."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from asyncpg import Pool

from workers.dev.broker import UNREAD_LIMIT_BYTES
from workers.dev.recording import Barrier, NamedAddress, Recorded
from workers.records import Partition
from workers.store import reports
from workers.store.arrays import columns
from workers.store.queries import load

Positions = Mapping[Partition, int]

_SQL: Final = load("demo")
_PORTION: Final = 500  # records sent between two checks of the unread ones
_LOOK_S: Final = 0.05


class Feed:
    """A producer that knows what the workers have applied; an asynchronous context manager."""

    def __init__(self, bootstrap: str, pool: Pool) -> None:
        self._producer: Any = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", max_request_size=2 * 1024 * 1024, linger_ms=5
        )
        self._pool = pool
        self._ends: dict[Partition, int] = {}
        self._unread: defaultdict[Partition, deque[tuple[int, int]]] = defaultdict(deque)  # offset, bytes

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._producer.stop()

    async def play(self, items: Iterable[Recorded | Barrier], progress: Callable[[int], None]) -> None:
        """Sends everything. At a barrier it waits until everything before is applied. `progress` receives the number of
        sent records.
        """
        portion: list[Recorded] = []
        for item in items:
            if isinstance(item, Recorded):
                portion.append(item)
            if len(portion) == _PORTION or isinstance(item, Barrier):
                await self._send(portion, progress)
                portion = []
            if isinstance(item, Barrier):
                await self._until(self._applied, progress)
        await self._send(portion, progress)
        await self._until(self._background_done, progress)

    async def add(self, records: Sequence[Recorded], done: Callable[[], Awaitable[bool]]) -> None:
        """Sends some more records, and waits until they are applied and `done` says so."""

        async def applied(positions: Positions) -> bool:
            return await self._background_done(positions) and await done()

        await self._send(list(records), _quietly)
        await self._until(applied, _quietly)

    async def _until(self, done: Callable[[Positions], Awaitable[bool]], progress: Callable[[int], None]) -> None:
        """Waits until enough is applied; only the database shows that."""
        while True:
            applied = await self._applied_through()
            progress(sum(applied.values()))
            if await done(applied):
                return
            await asyncio.sleep(_LOOK_S)

    async def _send(self, portion: list[Recorded], progress: Callable[[int], None]) -> None:
        await self._until(self._room, progress)
        ids = await self._contact_ids({address for record in portion for _, address in record.contacts})
        waiting = [
            await self._producer.send(
                r.topic, _with_ids(r, ids), r.key, timestamp_ms=r.timestamp_ms, headers=list(r.headers)
            )
            for r in portion
        ]
        for record, sent in zip(portion, await asyncio.gather(*waiting), strict=True):
            source = Partition(sent.topic, sent.partition)
            self._ends[source] = max(sent.offset + 1, self._ends.get(source, 0))
            self._unread[source].append((sent.offset, len(record.value or b"") + len(record.key or b"")))

    async def _contact_ids(self, addresses: Collection[NamedAddress]) -> Mapping[NamedAddress, str]:
        if not addresses:
            return {}
        wanted = columns([(each.workspace_id, each.channel, each.address) for each in addresses], 3)
        rows = await self._pool.fetch(_SQL["contact_ids"], *wanted)
        return {NamedAddress(*row[:3]): str(row["contact_id"]) for row in rows}

    async def _applied_through(self) -> Positions:
        async with self._pool.acquire() as connection:
            rows = await reports.progress(connection)
        return {Partition(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    async def _room(self, applied: Positions) -> bool:
        for source, sizes in self._unread.items():
            while sizes and sizes[0][0] < applied.get(source, 0):
                sizes.popleft()
        return all(sum(size for _, size in sizes) <= UNREAD_LIMIT_BYTES / 2 for sizes in self._unread.values())

    async def _applied(self, applied: Positions) -> bool:
        return all(applied.get(source, 0) >= end for source, end in self._ends.items())

    async def _background_done(self, applied: Positions) -> bool:
        """Whether background work of the records is done as well. Stopping the workers publishes the outbox."""
        if not await self._applied(applied):
            return False
        async with self._pool.acquire() as connection:
            backlog = await reports.backlog(connection)
            deletions = await connection.fetchval(_SQL["deletions_at_work"])
        return not backlog["pending_work"] and not backlog["unpublished_events"] and not deletions


def _quietly(_applied: int) -> None:
    """Shows no progress."""


def _with_ids(record: Recorded, ids: Mapping[NamedAddress, str]) -> bytes | None:
    """The value, with the ids of the contacts that it names."""
    value = record.value
    for placeholder, address in record.contacts:
        if value is not None and address in ids:
            value = value.replace(placeholder.encode(), ids[address].encode())
    return value
