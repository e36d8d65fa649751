"""The bare floor: decode, COPY, produce, commit, no rules at all. What any consumer of this field must at least do.

One process, TypedDict decoding, garbage frozen, one COPY per poll of 2,000 into a table with a uuid primary key, the
input's values produced with `create_batch`/`send_batch`, acknowledgements awaited, offsets committed per poll.
"""

import asyncio
import gc
import time
from collections import defaultdict
from typing import Any, NotRequired
from uuid import NAMESPACE_URL, uuid5

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from benchmarks.load import PARTITIONS
from benchmarks.result import Result, finished

POLL = 2_000


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


async def measure(bootstrap: str, database: str, topic: str, output: str, group: str, count: int) -> Result:
    """Consume `count` messages of `topic` and copy them to a table and to `output`."""
    decode = TypeAdapter(Message).validate_json
    connection: Any = await asyncpg.connect(database)
    await connection.execute(
        "CREATE TABLE floor (message_id uuid PRIMARY KEY, address text, received_at text, body text)"
    )
    consumer: Any = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    await consumer.start()
    await producer.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    done, started, cpu = 0, 0.0, 0.0
    while done < count:
        polled = await consumer.getmany(timeout_ms=200, max_records=POLL)
        if not started:
            started, cpu = time.perf_counter(), time.process_time()
        rows: list[tuple[object, ...]] = []
        batches: dict[int, Any] = {}
        ends: dict[TopicPartition, int] = {}
        full: dict[int, list[Any]] = defaultdict(list)
        for partition, records in polled.items():
            for record in records:
                message = decode(record.value)
                name = f"{message['workspace_id']}\0{message['channel_id']}\0in\0{message['provider_message_id']}"
                rows.append(
                    (
                        uuid5(NAMESPACE_URL, name),
                        message["sender"]["address"],
                        message["received_at"],
                        record.value.decode(),
                    )
                )
                target = partition.partition % PARTITIONS
                batch = batches.get(target) or batches.setdefault(target, producer.create_batch())
                if batch.append(key=record.key, value=record.value, timestamp=None) is None:
                    full[target].append(batch)
                    batches[target] = producer.create_batch()
                    batches[target].append(key=record.key, value=record.value, timestamp=None)
            ends[partition] = records[-1].offset + 1
        if not rows:
            continue
        await connection.copy_records_to_table("floor", records=rows)
        sent = [
            await producer.send_batch(batch, output, partition=target)
            for target, last in batches.items()
            for batch in (*full[target], last)
        ]
        await asyncio.gather(*sent)
        await consumer.commit(ends)
        done += len(rows)
    result = finished("floor", done, started, cpu)
    await consumer.stop()
    await producer.stop()
    await connection.close()
    return result
