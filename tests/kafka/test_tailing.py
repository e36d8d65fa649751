"""Reading the ends of topics on real Kafka: what the reader survives, and when it says that it may lack records."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from tests.support.brokers import PATIENCE_S, Broker
from tests.support.kafka import KafkaServer, demand, real_kafka
from workers.process.tailing import Positions, Tail, Tailed

pytestmark = pytest.mark.kafka


class Book:
    """What a reader was given."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.begun = 0
        self.positions: Positions = {}
        self._changed = asyncio.Event()

    def begin(self, positions: Positions) -> None:
        self.begun += 1
        self.positions = positions
        self._changed.set()

    def take(self, records: Sequence[Tailed], positions: Positions) -> None:
        self.values += [record.value or b"" for record in records]
        self.positions = positions
        self._changed.set()

    async def has(self, *values: bytes) -> None:
        """Waits until exactly these records were read, in any order."""
        await self._until(lambda: sorted(self.values) == sorted(values))

    async def has_begun(self, times: int) -> None:
        """Waits until reading has begun so often."""
        await self._until(lambda: self.begun >= times)

    async def _until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not reached():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def reading(broker: Broker, *topics: str, back: int = 100) -> AsyncIterator[Book]:
    book = Book()
    task = asyncio.create_task(Tail(broker.cluster(), "test", topics, back).run(book.begin, book.take))
    try:
        await book.has_begun(1)
        yield book
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
def own_kafka() -> Iterator[KafkaServer]:
    """A broker that may be killed: nobody else uses it."""
    demand()
    with real_kafka() as server:
        yield server


@pytest.fixture
def real(kafka_server: KafkaServer) -> Broker:
    return Broker("kafka", kafka_server.bootstrap, f"tail-{uuid4().hex[:8]}.")


async def test_it_begins_a_little_before_the_end(real: Broker) -> None:
    await real.create("t", partitions=1)
    await real.produce("t", [(b"k", str(n).encode()) for n in range(5)])

    async with reading(real, "t", back=2) as book:
        await book.has(b"3", b"4")
        await real.produce("t", [(b"k", b"5")])
        await book.has(b"3", b"4", b"5")


async def test_a_broker_that_was_away_costs_no_record(own_kafka: KafkaServer) -> None:
    broker = Broker("kafka", own_kafka.bootstrap)
    await broker.create("t", partitions=2)
    async with reading(broker, "t") as book:
        await broker.produce("t", [(b"k", b"before")])
        await book.has(b"before")
        own_kafka.kill()
        await asyncio.sleep(2)
        own_kafka.start()
        await broker.produce("t", [(b"k", b"after")])
        await book.has(b"before", b"after")
        assert book.begun == 1


async def test_partitions_that_are_added_are_read_from_their_beginning(real: Broker) -> None:
    await real.create("t", partitions=1)
    async with reading(real, "t") as book:
        admin = AIOKafkaAdminClient(bootstrap_servers=real.bootstrap)
        await admin.start()
        await admin.create_partitions({real.topic_prefix + "t": NewPartitions(total_count=3)})
        await admin.close()
        async with asyncio.timeout(PATIENCE_S):
            while len(await real.ends("t")) < 3:  # noqa: ASYNC110 - nothing tells when the broker knows them
                await asyncio.sleep(0.1)
        await real.produce("t", [(b"k", b"new")], partition=2)
        await book.has(b"new")
        assert (book.begun, len(book.positions)) == (1, 3)


async def test_a_topic_that_was_made_again_is_said_to_be_another_one(real: Broker) -> None:
    await real.create("t", partitions=1)
    async with reading(real, "t") as book:
        await real.produce("t", [(b"k", str(n).encode()) for n in range(5)])
        await book.has(b"0", b"1", b"2", b"3", b"4")
        await real.remake("t", partitions=1)
        await book.has_begun(2)
        await real.produce("t", [(b"k", b"new")])
        await book.has(b"0", b"1", b"2", b"3", b"4", b"new")


async def test_a_topic_that_comes_later_is_read(real: Broker) -> None:
    await real.create("t", partitions=1)
    async with reading(real, "t", "later") as book:
        await real.create("later", partitions=1)
        await real.produce("later", [(b"k", b"new")])
        await book.has(b"new")
