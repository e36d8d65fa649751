"""Polls with the least delay, and reports how far it read.

aiokafka fetches more of a partition as soon as its records were taken. Under low load such a fetch brings the record of
the next millisecond. That record waits until this poll is done, and all records after it wait at the broker for one
more fetch. So after a small poll nothing is fetched until the next poll, and one fetch brings everything.
"""

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

from workers.kafka.connection import PollLimits
from workers.records import EnvelopeFault, RawRecord, Slice, Unreadable

Polled = dict[TopicPartition, Slice]
Places = dict[TopicPartition, int]
"""The position in each partition that may be read."""


async def poll(consumer: AIOKafkaConsumer, limits: PollLimits, most: int, places: Places) -> Polled:
    """The records by partition, at most `most` and within the limits, of the partitions in `places`, whose positions it
    advances. A partition without records is in the result if its position advanced. Raises as `getmany`.
    """
    consumer.resume(*(consumer.paused() & places.keys()))
    found = await consumer.getmany(timeout_ms=limits.wait_ms, max_records=most)
    if 0 < sum(map(len, found.values())) < most // 10:
        # Before any other await: the fetcher runs in a task of its own and looks for partitions to fetch.
        consumer.pause(*consumer.assignment())
    polled: Polled = {}
    for partition in consumer.assignment() & places.keys():
        end = await consumer.position(partition)
        if end != places[partition]:
            records = found.get(partition, ())
            places[partition], polled[partition] = end, Slice(records, end, _faults(records))
    return polled


def _faults(records: Iterable[RawRecord]) -> dict[int, EnvelopeFault]:
    if Unreadable not in set(map(type, records)):
        return {}
    return {r.offset: EnvelopeFault(r.error, r.last_offset) for r in records if isinstance(r, Unreadable)}
