"""aiokafka and asyncpg, message by message, in one lane or several.

As aiokafka's documentation has it: `getmany`, process, `send_and_wait`, then commit what was polled. With several lanes
a poll's messages are dealt out by key, so that a key stays in one lane, and the poll is committed once all are done.
"""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.sides.job import SCHEMA, verdict
from benchmarks.sides.per_message import keep
from benchmarks.sides.told import Told, consuming, told


async def run(arguments: Told) -> None:
    """Consumes until the process is ended."""
    lanes = arguments.lanes
    async with asyncpg.create_pool(arguments.database, min_size=lanes, max_size=lanes) as pool:
        await pool.execute(SCHEMA)
        consumer: Any = AIOKafkaConsumer(
            arguments.source,
            bootstrap_servers=arguments.bootstrap,
            group_id=arguments.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        producer: Any = AIOKafkaProducer(bootstrap_servers=arguments.bootstrap, enable_idempotence=True)
        async with consumer, producer:
            consuming()
            while True:
                polled = await consumer.getmany(timeout_ms=1_000, max_records=500)
                dealt: defaultdict[int, list[Any]] = defaultdict(list)
                for records in polled.values():
                    for record in records:
                        dealt[zlib.crc32(record.key) % lanes].append(record)
                await asyncio.gather(*(_lane(arguments, pool, producer, lane) for lane in dealt.values()))
                if polled:
                    await consumer.commit({p: records[-1].offset + 1 for p, records in polled.items()})


async def _lane(arguments: Told, pool: Any, producer: Any, records: Iterable[Any]) -> None:
    for record in records:
        message = msgspec.json.decode(record.value)
        id_, contact_id, dropped = await keep(pool, message)
        topic = arguments.dropped if dropped else arguments.accepted
        await producer.send_and_wait(topic, msgspec.json.encode(verdict(message, id_, contact_id)), record.key)


if __name__ == "__main__":
    asyncio.run(run(told()))
