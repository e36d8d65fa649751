"""The bare floor: decode, COPY, produce, commit, no rules at all. What any consumer of this field must at least do.

One process, TypedDict decode, gc frozen, one COPY per poll of 2,000 into a table with a uuid primary key,
`create_batch`/`send_batch` of the input values, acks awaited, offsets committed per poll.
"""

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NotRequired
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from benchmarks.sides.told import Told, consuming, told

POLL: Final = 2_000
COLUMNS: Final = "message_id uuid PRIMARY KEY, address text, received_at text, body text"
Polled = Mapping[TopicPartition, Sequence[Any]]


class Sender(TypedDict):
    address: str
    name: NotRequired[str]
    language: NotRequired[str]


class Content(TypedDict):
    type: str
    text: NotRequired[str]


class Message(TypedDict):
    workspace_id: str
    channel_id: str
    channel: str
    provider_message_id: str
    sender: Sender
    sent_at: str
    received_at: str
    content: Content


Row = tuple[UUID, str, str, str]


async def run(arguments: Told) -> None:
    """Copies every message to a table and to the output topic, until the process is ended."""
    connection: Any = await asyncpg.connect(arguments.database)
    await connection.execute(f"CREATE TABLE floor ({COLUMNS})")
    consumer: Any = AIOKafkaConsumer(
        arguments.source,
        bootstrap_servers=arguments.bootstrap,
        group_id=arguments.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer: Any = AIOKafkaProducer(bootstrap_servers=arguments.bootstrap, enable_idempotence=True, acks="all")
    decode = TypeAdapter(Message).validate_json
    await producer.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    await consumer.start()  # until partitions are assigned
    consuming()
    while True:
        polled = await consumer.getmany(timeout_ms=200, max_records=POLL)
        if polled:
            await connection.copy_records_to_table("floor", records=_rows(polled, decode))
            await _publish(producer, arguments.accepted, polled)
            await consumer.commit({partition: records[-1].offset + 1 for partition, records in polled.items()})


def _rows(polled: Polled, decode: Callable[[bytes], Message]) -> list[Row]:
    return [row_of(decode(record.value), record.value) for records in polled.values() for record in records]


def row_of(message: Message, value: bytes) -> Row:
    name = f"{message['workspace_id']}\0{message['channel_id']}\0in\0{message['provider_message_id']}"
    return uuid5(NAMESPACE_URL, name), message["sender"]["address"], message["received_at"], value.decode()


async def _publish(producer: Any, topic: str, polled: Polled) -> None:
    sent = [
        await producer.send_batch(batch, topic, partition=source.partition)
        for source, records in polled.items()
        for batch in _batches(producer, records)
    ]
    await asyncio.gather(*sent)


def _batches(producer: Any, records: Sequence[Any]) -> list[Any]:
    batches = [producer.create_batch()]
    for record in records:
        if batches[-1].append(key=record.key, value=record.value, timestamp=None) is None:
            batches.append(producer.create_batch())
            batches[-1].append(key=record.key, value=record.value, timestamp=None)
    return batches


if __name__ == "__main__":
    asyncio.run(run(told()))
