"""A poll that is as fresh as it can be.

aiokafka fetches more of a partition as soon as what it holds of it was taken. Where little comes, that would be the
record of the next millisecond: it waits until this poll is worked off, and all that follow it wait with the broker for
yet another fetch. So after a small poll nothing is fetched before the next one asks, and one fetch brings all of it.
"""

from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from workers.runtime.batch import RawRecord
from workers.runtime.connection import PollLimits

Polled = Mapping[TopicPartition, Sequence[RawRecord]]


async def poll(consumer: AIOKafkaConsumer, limits: PollLimits) -> Polled:
    """What there is by partition, within the limits; raises as `getmany`."""
    consumer.resume(*consumer.paused())
    polled: Polled = await consumer.getmany(timeout_ms=limits.wait_ms, max_records=limits.records)
    if 0 < sum(map(len, polled.values())) < limits.records // 10:
        # Before anything else is awaited: the fetcher looks for what to fetch in a task of its own.
        consumer.pause(*consumer.assignment())
    return polled
