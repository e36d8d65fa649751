"""Fetches by topic id: what brokers answer, and what becomes of the answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11

from tests.runtime.ledgerbook import OUTPUT, TOPIC
from tests.support.brokers import Broker
from workers.dev.broker import guarded_broker
from workers.dev.relay import LOOPBACK, listening, port_of
from workers.kafka.topic_id_requests import FetchByIdRequest, FetchRequestV13
from workers.kafka.topic_ids import UNKNOWN_TOPIC_ID, Fetched, TopicIds

PARTITION: Final = TopicPartition("t", 0)


class Reader:
    """Fetches partitions from their beginning, without a group."""

    def __init__(self, member: AIOKafkaConsumer) -> None:
        self._client: Any = member._client  # noqa: SLF001
        self._ids = TopicIds(member)

    async def note(self, *partitions: TopicPartition) -> None:
        await self._ids.note(partitions, 10.0)

    async def fetch(self, *partitions: TopicPartition) -> tuple[int, list[Fetched]]:
        """The version of the answer and its parts, by partition."""
        answer = await self.answer(*partitions)
        return answer.API_VERSION, self.parts(answer, *partitions)

    async def answer(self, *partitions: TopicPartition) -> Any:
        request = self._ids.by_id(request_for(*partitions), partitions)
        return await self._client.send(self._client.get_random_node(), request)

    def parts(self, answer: Any, *partitions: TopicPartition) -> list[Fetched]:
        return sorted(self._ids.answers(answer, partitions))


def request_for(*partitions: TopicPartition) -> FetchRequest:
    topics: dict[str, list[tuple[int, int, int]]] = {}
    for topic, number in partitions:
        topics.setdefault(topic, []).append((number, 0, 100_000))
    return FetchRequest(100, 1, 1_000_000, 1, list(topics.items()))


@asynccontextmanager
async def reading(bootstrap: str) -> AsyncIterator[Reader]:
    member = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await member.start()
    try:
        yield Reader(member)
    finally:
        await member.stop()


async def test_an_answer_by_topic_id_says_what_the_answer_by_name_says(any_broker: Broker) -> None:
    await any_broker.create(TOPIC, OUTPUT)
    for topic, number in ((TOPIC, 0), (TOPIC, 2), (OUTPUT, 0)):
        await any_broker.produce(topic, [(b"k", topic.encode())] * 3, partition=number)
    partitions = [TopicPartition(any_broker.topic_prefix + t, p) for t, p in ((TOPIC, 0), (TOPIC, 2), (OUTPUT, 0))]
    async with reading(any_broker.bootstrap) as reader:
        version, by_name = await reader.fetch(*partitions)
        assert version == 11
        await reader.note(*partitions)
        assert await reader.fetch(*partitions) == (13, by_name)
    assert [(each.error_code, each.highwater) for each in by_name] == [(0, 3)] * 3
    assert all(each.partition.topic.removeprefix(any_broker.topic_prefix).encode() in each.records for each in by_name)


@pytest.mark.kafka
async def test_a_topic_that_was_created_again_is_not_read_until_its_id_is_asked_for(kafka: Broker) -> None:
    await kafka.create(TOPIC)
    partition = TopicPartition(kafka.topic_prefix + TOPIC, 0)
    async with reading(kafka.bootstrap) as reader:
        await kafka.produce(TOPIC, [(None, b"old")], partition=0)
        await reader.note(partition)
        old = await reader.answer(partition)
        assert b"old" in reader.parts(old, partition)[0].records
        await kafka.remake(TOPIC)
        await kafka.produce(TOPIC, [(None, b"new")], partition=0)
        _, [refused] = await reader.fetch(partition)
        assert (refused.error_code, refused.records) == (UNKNOWN_TOPIC_ID, b"")
        await reader.note(partition)
        assert reader.parts(old, partition) == []
        assert b"new" in await records(reader, partition)


@pytest.mark.kafka
async def test_a_topic_that_did_not_exist_is_not_read_by_its_name(kafka: Broker) -> None:
    await kafka.create(TOPIC)
    missing, present = (TopicPartition(kafka.topic_prefix + topic, 0) for topic in (OUTPUT, TOPIC))
    async with reading(kafka.bootstrap) as reader:
        await reader.note(missing, present)
        await kafka.create(OUTPUT)
        await kafka.produce(OUTPUT, [(None, b"new")], partition=0)
        version, [one, other] = await reader.fetch(missing, present)
        assert (version, one.partition, one.error_code) == (13, missing, UNKNOWN_TOPIC_ID)
        assert (other.partition, other.error_code) == (present, 0)
        await reader.note(missing)
        assert b"new" in await records(reader, missing)


async def records(reader: Reader, partition: TopicPartition) -> bytes:
    """Waits until the broker knows the topic, which takes a moment after it was created."""
    async with asyncio.timeout(20):
        while True:
            _, [fetched] = await reader.fetch(partition)
            if fetched.error_code == 0:
                return fetched.records
            await asyncio.sleep(0.05)


async def test_a_broker_without_topic_ids_is_asked_by_name() -> None:
    with listening(None, 0, "--kafka-port") as bound, guarded_broker(bound, {TOPIC}):
        broker = Broker("embedded", f"{LOOPBACK}:{port_of(bound)}")
        await broker.produce(TOPIC, [(None, b"here")], partition=0)
        async with reading(broker.bootstrap) as reader:
            await reader.note(TopicPartition(TOPIC, 0))
            version, [fetched] = await reader.fetch(TopicPartition(TOPIC, 0))
    assert version == 11
    assert b"here" in fetched.records


@pytest.mark.parametrize(
    ("supported", "sent"), [((4, 12), FetchRequest_v11), ((4, 13), FetchRequestV13), ((4, 18), FetchRequestV13)]
)
def test_each_broker_gets_the_version_that_it_supports(supported: tuple[int, int], sent: type) -> None:
    assert type(FetchByIdRequest(request_for(PARTITION), {PARTITION: bytes(range(16))}).prepare({1: supported})) is sent
