"""A poll that is as fresh as it can be.

aiokafka fetches more of a partition only once what it holds of it was taken. Where polls are small, what lies ready is
therefore as old as the last poll, and what came since is still with the broker: it is worth a moment to have it, too.
What had to be waited for is fresh.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException, KafkaError

from workers.runtime.batch import RawRecord
from workers.runtime.connection import PollLimits

Polled = Mapping[TopicPartition, Sequence[RawRecord]]
_MOMENT_MS: Final = 3
_WAITED_S: Final = 0.001


async def poll(consumer: AIOKafkaConsumer, limits: PollLimits) -> Polled:
    """What there is by partition, within the limits; raises as `getmany`."""
    began = asyncio.get_running_loop().time()
    ready: Polled = await consumer.getmany(timeout_ms=limits.wait_ms, max_records=limits.records)
    count = sum(len(records) for records in ready.values())
    waited = asyncio.get_running_loop().time() - began > _WAITED_S
    if waited or not 0 < count < limits.records // 10:
        return ready
    try:
        fresh = await consumer.getmany(timeout_ms=_MOMENT_MS, max_records=limits.records - count)
    except CorruptRecordException:
        raise
    except KafkaError:
        # It goes wrong the next time, too; but the records in hand would not come again.
        return ready
    return {p: [*ready.get(p, ()), *fresh.get(p, ())] for p in ready.keys() | fresh.keys()}
