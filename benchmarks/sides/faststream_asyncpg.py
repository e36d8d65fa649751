"""FastStream with asyncpg: a subscriber for one message, with one worker or several.

Offsets are committed after the handler (`AckPolicy.NACK_ON_ERROR`): the default commits before it, and loses messages.
With that, `max_workers` are consumers of one group, so at most as many work as there are partitions.
"""

import asyncio
from typing import Any

import asyncpg
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

from benchmarks.sides.job import SCHEMA, verdict
from benchmarks.sides.per_message import keep
from benchmarks.sides.told import Told, consuming, told


async def run(arguments: Told) -> None:
    """Consumes until the process is ended."""
    lanes = arguments.lanes
    broker = KafkaBroker(arguments.bootstrap, enable_idempotence=True, logger=None)
    async with asyncpg.create_pool(arguments.database, min_size=lanes, max_size=lanes) as pool:
        await pool.execute(SCHEMA)

        async def handle(body: dict[str, Any], message: KafkaMessage) -> None:
            id_, contact_id, dropped = await keep(pool, body)
            raw: Any = message.raw_message
            topic = arguments.dropped if dropped else arguments.accepted
            await broker.publish(verdict(body, id_, contact_id), topic, key=raw.key)

        subscriber = broker.subscriber(
            arguments.source,
            group_id=arguments.group,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            max_workers=lanes,
        )
        subscriber(handle)
        app = FastStream(broker, logger=None)
        app.after_startup(consuming)  # by then partitions are assigned
        await app.run()


if __name__ == "__main__":
    asyncio.run(run(told()))
